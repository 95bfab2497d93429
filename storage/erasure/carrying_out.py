"""Carrying an order out: from the plan to the signed receipt (invariants 5 and 6).

    planned     everything concerned is collected before anything is deleted
    fenced      runs are stopped, what they wrote is removed, nothing planned can be read
    deleted     every version and marker of every object
    elsewhere   scratch folders, the orchestrator's records
    shredded    the keys; survivors of a narrow erasure move under a new scope key
    reduced     rows become tombstones, the person's ledger payloads go
    verified    nothing is found, and an auditor can open nothing
    signed      one receipt is on record

Every step may be done again: a worker that is killed anywhere is followed by another, which begins
with the first step that is not on record. Nothing here reads or decrypts what it erases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select

from models.schema.erasure import Step
from models.schema.errors import CheckFailed
from models.schema.purposes import Purpose
from storage.catalogue import erasures, lineage, orders, people, runs, tombstones
from storage.catalogue.artefacts import ARTEFACTS
from storage.catalogue.erasures import Action, Erasure, Item
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import INTENTS, IntentState
from storage.catalogue.orders import Order, OrderState
from storage.catalogue.runs import RUNS, RunState
from storage.chain import stamp
from storage.database import Writing
from storage.door import Door
from storage.erasure.elsewhere import Elsewhere
from storage.erasure.lease import Lease
from storage.erasure.plan import Target, collect
from storage.erasure.recording import record_owed
from storage.erasure.signing import ReceiptWriter
from storage.erasure.verification import Leftovers, Verification
from storage.foundation import Foundation
from storage.objects.interface import ObjectStore
from storage.recorded_erasures import RecordedErasures, Suppression
from storage.restoration import bring_current

ERASURE_DONE: Final = "erasure_done"
_PAGE: Final = 1000
_ROUNDS: Final = 3
"""How often what verification finds is deleted again before somebody has to look."""


def _nothing(_: str) -> None:
    """Nobody watches."""


class CarryingOut:
    """Carries orders out. `passed` is told the name of every durable action once it is done."""

    def __init__(
        self,
        base: Foundation,
        *,
        store: ObjectStore,
        door: Door,
        passed: Callable[[str], None] = _nothing,
    ) -> None:
        self._base = base
        self._catalogue = base.catalogue
        self._vault = base.vault
        self._store = store
        self._door = door
        self._clock = base.clock
        self._recorded = RecordedErasures(base.keys.database)
        self._verification = Verification(catalogue=base.catalogue, vault=base.vault, store=store)
        self._receipts = ReceiptWriter(base)
        self._passed = passed

    def run(self, order_id: str, *, elsewhere: Sequence[Elsewhere] = ()) -> Order:
        """Carry an order out to its receipt; a done one is left as it is.

        Raises what `Lease.take` raises, ServiceUnavailable where a store does not answer, and
        CheckFailed where something stays after three rounds. Then the order is still owed, and the
        next run goes on with it.
        """
        bring_current(self._catalogue, self._base.keys, self._base.ledger)
        lease = Lease(self._catalogue, clock=self._clock)
        order = lease.take(order_id)
        try:
            record_owed(self._catalogue, self._base.keys, order, salt=None)
            if order.state is OrderState.DONE:
                self._recorded.record_state(order.id, OrderState.DONE, done_at=order.done_at)
                return order
            self._passed("taken")
            for _ in range(_ROUNDS):
                self._until_verified(order, lease, elsewhere)
                if self._progress(order).done(Step.VERIFIED):
                    return self._sign(order, lease)
            raise CheckFailed(
                f"Something of order {order.id} is still found after {_ROUNDS} rounds: "
                f"{self._left(order, elsewhere).places}.",
                remedy="Look for who writes it; the order stays open and is tried again.",
            )
        finally:
            # Where the catalogue does not answer either, the lease ends by itself.
            with suppress(Exception):
                lease.give_up(order.id)

    # --- the steps ----------------------------------------------------------------------------

    def _until_verified(self, order: Order, lease: Lease, elsewhere: Sequence[Elsewhere]) -> None:
        steps: dict[Step, Callable[[], None]] = {
            Step.PLANNED: lambda: self._plan(order, lease),
            Step.FENCED: lambda: self._fence(order, lease),
            Step.DELETED: lambda: self._delete(order, lease),
            Step.ELSEWHERE: lambda: self._remove_elsewhere(order, lease, elsewhere),
            Step.SHREDDED: lambda: self._shred(order, lease),
            Step.REDUCED: lambda: self._reduce(order, lease),
            Step.VERIFIED: lambda: self._verify(order, lease, elsewhere),
        }
        for step, carry_out in steps.items():
            if not self._progress(order).done(step):
                carry_out()
                self._passed(step.value)

    def _plan(self, order: Order, lease: Lease) -> None:
        with self._catalogue.writing() as writing:
            plan = collect(writing.connection, Target.of(order))
            erasures.add_items(writing.connection, order.id, plan.items)
            self._done(writing, order, lease, Step.PLANNED, concerned=plan.groups)

    def _fence(self, order: Order, lease: Lease) -> None:
        progress = self._progress(order)
        in_scope = self._runs_in(order, progress)
        with self._catalogue.writing() as writing:
            connection = writing.connection
            if order.purpose is None:
                runs.stop_runs(connection, scope_condition=in_scope, purpose=None, at=self._clock())
            ended = RUNS.c.state.not_in([RunState.OPEN.value, RunState.COMMITTED.value])
            stopped = list(connection.execute(select(RUNS.c.id).where(in_scope, ended)).scalars())
            lease.keep(writing, order.id)
        for run_id in stopped:
            self._door.remove_writes(run_id)
            self._passed("writes removed")
        with self._catalogue.writing() as writing:
            connection = writing.connection
            items = erasures.items_of(connection, order.id, Action.ERASE)
            tombstones.take_out_of_use(connection, [item.object_id for item in items])
            concerned = {
                **progress.concerned,
                # A write that was under way may still arrive; reconcile visits these again too.
                "reaped": sorted(
                    {
                        *progress.concerned.get("reaped", []),
                        *connection.execute(
                            select(INTENTS.c.store_key).where(
                                INTENTS.c.run_id.in_(stopped),
                                INTENTS.c.state == IntentState.REAPED.value,
                            )
                        ).scalars(),
                    }
                ),
                # An open one works for another purpose, and goes on.
                "runs": list(
                    connection.execute(
                        select(RUNS.c.id).where(in_scope, RUNS.c.state != RunState.OPEN.value)
                    ).scalars()
                ),
            }
            self._done(writing, order, lease, Step.FENCED, concerned=concerned)

    def _delete(self, order: Order, lease: Lease) -> None:
        after = ""
        while page := self._page(order, after):
            self._store.delete_many(item.store_key for item in page)
            self._passed("page deleted")
            after = page[-1].store_key
            with self._catalogue.writing() as writing:
                erasures.mark_done(
                    writing.connection,
                    order.id,
                    [item.object_id for item in page],
                    at=self._clock(),
                )
                lease.keep(writing, order.id)
            self._passed("page recorded")
        self._store.delete_many(self._progress(order).concerned.get("reaped", []))
        with self._catalogue.writing() as writing:
            self._done(writing, order, lease, Step.DELETED)

    def _remove_elsewhere(self, order: Order, lease: Lease, elsewhere: Sequence[Elsewhere]) -> None:
        for place in elsewhere:
            place.remove(self._progress(order).concerned)
            self._passed(f"{place.name} cleared")
        with self._catalogue.writing() as writing:
            self._done(writing, order, lease, Step.ELSEWHERE)

    def _shred(self, order: Order, lease: Lease) -> None:
        concerned = self._progress(order).concerned
        # A base has a scope key of its own; a model of one person has none, which changes nothing.
        for owner_id in (*concerned["subjects"], *concerned["artefacts"]):
            self._vault.destroy_scope_keys(owner_id)
            self._passed("scope keys destroyed")
        with self._catalogue.reading() as connection:
            items = erasures.items_of(connection, order.id, Action.ERASE)
        self._vault.destroy_object_keys([item.object_id for item in items])
        self._passed("object keys destroyed")
        for owner_id in sorted({*concerned["owners"]} - {*concerned["subjects"]}):
            self._vault.renew_scope_key(owner_id)
            self._passed("scope key renewed")
        with self._catalogue.writing() as writing:
            self._done(writing, order, lease, Step.SHREDDED)

    def _reduce(self, order: Order, lease: Lease) -> None:
        progress = self._progress(order)
        self._suppress(order, progress)
        now = self._clock()
        with self._catalogue.reading() as connection:
            erased = erasures.items_of(connection, order.id, Action.ERASE)
        for start in range(0, len(erased), _PAGE):
            page = erased[start : start + _PAGE]
            with self._catalogue.writing() as writing:
                tombstones.reduce_objects(
                    writing.connection, [item.object_id for item in page], at=now
                )
                lease.keep(writing, order.id)
            self._passed("page reduced")
        with self._catalogue.writing() as writing:
            removed = self._reduce_rows(writing, order, progress, now)
            self._done(writing, order, lease, Step.REDUCED, removed_rows=removed)
        self._catalogue.truncate_log()

    def _reduce_rows(
        self, writing: Writing, order: Order, progress: Erasure, now: datetime
    ) -> dict[str, int]:
        connection, concerned = writing.connection, progress.concerned
        removed = {
            group: len(concerned[group])
            for group in ("accounts", "subjects", "uploads", "avatars", "artefacts", "generations")
        }
        if order.purpose is not None:
            narrowed = erasures.items_of(connection, order.id, Action.NARROW)
            tombstones.narrow_objects(
                connection, [item.object_id for item in narrowed], order.purpose
            )
            tombstones.narrow_uploads(connection, concerned["narrowed_uploads"], order.purpose)
        tombstones.reduce_generations(connection, concerned["generations"], at=now)
        tombstones.reduce_artefacts(connection, concerned["artefacts"], at=now)
        self._mark_bases(writing, order, concerned, now)
        tombstones.reduce_uploads(connection, concerned["uploads"])
        tombstones.reduce_avatars(connection, concerned["avatars"], at=now)
        for subject_id in concerned["subjects"]:
            entries = self._base.ledger.erase_payloads(writing, subject_id)
            gone = tombstones.forget_subject(connection, subject_id, at=now)
            for group, count in {**gone, "ledger_payloads": entries}.items():
                removed[group] = removed.get(group, 0) + count
        for account_id in concerned["accounts"]:
            tombstones.forget_account(connection, account_id, at=now)
        # Of an earlier round, or of a worker that was killed before this one: the most stands.
        return {
            group: max(count, progress.removed_rows.get(group, 0))
            for group, count in removed.items()
        }

    def _mark_bases(
        self, writing: Writing, order: Order, concerned: dict[str, list[str]], now: datetime
    ) -> None:
        """Shared bases are marked with their deadline, and forget what the order concerns; what
        goes whole, a person or an upload, leaves its members with its other rows."""
        connection = writing.connection
        retrain_by = now + timedelta(days=self._base.retention.base_retraining_days)
        tombstones.taint(connection, concerned["bases"], at=now, retrain_by=retrain_by)
        if order.purpose is None:
            return
        snapshots = connection.execute(
            select(ARTEFACTS.c.snapshot_id).where(ARTEFACTS.c.id.in_(concerned["bases"]))
        ).scalars()
        marked = [snapshot for snapshot in snapshots if snapshot is not None]
        for owner_id in concerned["owners"]:
            tombstones.forget_members(
                connection,
                marked,
                owner_id,
                upload_id=order.scope_id if order.scope is Scope.UPLOAD else None,
                before=order.ledger_sequence,
            )

    def _verify(self, order: Order, lease: Lease, elsewhere: Sequence[Elsewhere]) -> None:
        left = self._left(order, elsewhere)
        with self._catalogue.writing() as writing:
            if not left.counts:
                self._done(writing, order, lease, Step.VERIFIED)
                return
            # Whatever was found is planned for and deleted again.
            connection = writing.connection
            again = [
                item.object_id
                for item in erasures.items_of(connection, order.id, Action.ERASE)
                if item.store_key in left.store_keys
            ]
            erasures.mark_done(connection, order.id, again, at=None)
            plan = collect(connection, Target.of(order))
            erasures.add_items(connection, order.id, plan.items)
            progress = erasures.erasure_of(connection, order.id)
            known = progress.concerned if progress else {}
            concerned = {
                name: sorted({*known.get(name, []), *plan.groups.get(name, [])})
                for name in {*known, *plan.groups}
            }
            planned = {Step.PLANNED.value: stamp(self._clock())}
            lease.keep(writing, order.id, steps=planned, concerned=concerned)

    def _sign(self, order: Order, lease: Lease) -> Order:
        with self._catalogue.reading() as connection:
            items = erasures.items_of(connection, order.id, Action.ERASE)
            narrowed = erasures.count_of(connection, order.id, Action.NARROW)
        document = self._receipts.write(order, self._progress(order), items, narrowed)
        self._passed("receipt recorded")
        done_at = self._clock()
        with self._catalogue.writing() as writing:
            self._done(writing, order, lease, Step.SIGNED)
            if orders.change_order(
                writing.connection,
                order.id,
                expected=[OrderState.RUNNING],
                state=OrderState.DONE,
                done_at=done_at,
            ):
                payload = {"order": order.id, "receipt": document}
                self._base.ledger.append(writing, ERASURE_DONE, payload, subject_id=None)
                writing.after_commit.append(
                    lambda: self._recorded.record_state(order.id, OrderState.DONE, done_at=done_at)
                )
        self._passed(Step.SIGNED.value)
        with self._catalogue.reading() as connection:
            done = orders.order_by_id(connection, order.id)
        assert done is not None
        return done

    # --- what the steps share -----------------------------------------------------------------

    def _progress(self, order: Order) -> Erasure:
        with self._catalogue.reading() as connection:
            found = erasures.erasure_of(connection, order.id)
        assert found is not None
        return found

    def _done(
        self, writing: Writing, order: Order, lease: Lease, step: Step, **values: Any
    ) -> None:
        """Record a step in the transaction that ends it."""
        known = erasures.erasure_of(writing.connection, order.id)
        steps = {**(known.steps if known else {}), step.value: stamp(self._clock())}
        lease.keep(writing, order.id, steps=steps, **values)

    def _page(self, order: Order, after: str) -> list[Item]:
        with self._catalogue.reading() as connection:
            return erasures.items_of(
                connection, order.id, Action.ERASE, left=True, after=after, limit=_PAGE
            )

    def _left(self, order: Order, elsewhere: Sequence[Elsewhere]) -> Leftovers:
        return self._verification.leftovers(order, self._progress(order), elsewhere=elsewhere)

    @staticmethod
    def _runs_in(order: Order, progress: Erasure) -> Any:
        return lineage.runs_in(
            order.scope, order.scope_id, with_uploads=progress.concerned["uploads"]
        )

    def _suppress(self, order: Order, progress: Erasure) -> None:
        """Remember by keyed digest whom nothing may come back of, before their pseudonym goes."""
        named = [
            *(
                ("subject", Scope.SUBJECT, people.SUBJECTS, x)
                for x in progress.concerned["subjects"]
            ),
            *(
                ("account", Scope.ACCOUNT, people.ACCOUNTS, x)
                for x in progress.concerned["accounts"]
            ),
        ]
        for kind, scope, table, scope_id in named:
            with self._catalogue.reading() as connection:
                pseudonym = people.pseudonym_of(connection, table, scope_id)
            if pseudonym is None:
                continue
            self._recorded.suppress(
                Suppression(
                    digest=self._vault.suppression_digest(kind, pseudonym),
                    scope=scope,
                    purposes=frozenset(Purpose),
                    order_id=order.id,
                    since=order.created_at,
                )
            )
        self._passed("suppressed")
