"""Placing erasure orders, and what is owed by when (Policy P07, P15, P17-P19).

An order and the stop of all use in its scope are one commit, which needs no orchestrator. Asked
again, the same order is answered: an account that was closed stays closed (Policy P18).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nacl.utils import random as random_bytes
from sqlalchemy import Connection

from models.consent.facts import POSITIVE, Event
from models.receipts.reference import SALT_BYTES, reference_of
from models.schema import deadlines
from models.schema.erasure import ErasureGround, Requester
from models.schema.errors import BadUsage, NotFound
from models.schema.purposes import Purpose
from storage.catalogue import avatars, holds, lineage, orders, people, uploads
from storage.catalogue.erasures import erasure_of
from storage.catalogue.freezes import Scope
from storage.catalogue.holds import Hold
from storage.catalogue.orders import Order, OrderState
from storage.database import Writing
from storage.erasure.plan import Plan, Target, collect
from storage.erasure.recording import record_owed
from storage.foundation import Foundation
from storage.freezing import ERASURE_ORDERED, Stop, freeze_within, stopping
from storage.identifiers import checked_id
from storage.recorded_erasures import RecordedErasures, Suppression
from storage.records import statements_of
from storage.registers.subjects import Subjects


@dataclass(frozen=True)
class Request:
    """What is to be erased, why, and who asked."""

    scope: Scope
    named: str
    """The caller's own id of an account or subject; the random id of an avatar or upload."""
    purpose: Purpose | None = None
    ground: ErasureGround = ErasureGround.REQUESTED
    requester: Requester = Requester.PERSON
    keep_shared: bool = False
    """Uploads that other avatars need stay: the person's own choice, recorded (Policy P15)."""


@dataclass(frozen=True)
class Standing:
    """An order as it stands now."""

    order: Order
    steps: dict[str, str]
    held_by: tuple[Hold, ...]
    late: bool
    alarm: bool
    """It is to be looked at before it is late."""


class Orders:
    """Places orders and tells how they stand."""

    def __init__(self, base: Foundation, *, subjects: Subjects) -> None:
        self._base = base
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._ledger = base.ledger
        self._vault = base.vault
        self._subjects = subjects
        self._clock = base.clock
        self._recorded = RecordedErasures(base.keys.database)

    def plan(self, request: Request) -> Plan:
        """What an order would concern now; changes nothing. Raises NotFound."""
        scope_id = self._find(request)
        if scope_id is None:
            return Plan()
        target = Target(request.scope, scope_id, request.purpose, keep_shared=request.keep_shared)
        with self._catalogue.reading() as connection:
            return collect(connection, target)

    def earlier(self, request: Request) -> Order | None:
        """The order that `place` would answer instead of making a new one. Raises NotFound."""
        if (suppressed := self._suppressed(request)) is not None:
            return suppressed
        scope_id = self._find(request)
        if scope_id is None:
            return None
        with self._catalogue.reading() as connection:
            return self._same(connection, request, scope_id)

    def place(self, request: Request) -> Order:
        """Stop all use in the scope and owe its erasure, in one commit.

        Answers the order that is there already where the same was asked before. Raises NotFound
        for what is not known here, BadUsage for a choice that does not fit the scope.
        """
        _require_fitting(request)
        if (earlier := self._suppressed(request)) is not None:
            return earlier
        scope_id = self._find(request) or self._subjects.ensure_account(request.named)
        with stopping(self._catalogue, self._keys, self._ledger) as writing:
            _lock(writing.connection, request.scope, scope_id)
            if (same := self._same(writing.connection, request, scope_id)) is not None:
                return self._again(writing, request, same)
            stopped = freeze_within(
                writing,
                self._keys,
                self._ledger,
                self._stop(writing.connection, request, scope_id),
                now=self._clock(),
                retention=self._base.retention,
            )
            order = orders.order_by_id(writing.connection, stopped.order or "")
            assert order is not None
            self._close_after(writing, request, order)
        return order

    def by_id(self, order_id: str) -> Standing:
        """How one order stands; raises NotFound."""
        checked = checked_id(order_id, what="order")
        with self._catalogue.reading() as connection:
            order = orders.order_by_id(connection, checked)
            if order is None:
                raise NotFound(
                    "There is no order with this id.",
                    remedy="`likeness erase status` shows the orders.",
                )
            return self._standing(connection, order)

    def all(self) -> list[Standing]:
        """Every order, the nearest deadline first."""
        with self._catalogue.reading() as connection:
            return [self._standing(connection, order) for order in orders.all_orders(connection)]

    def due(self) -> list[Standing]:
        """The orders that may be carried out now, the nearest deadline first."""
        now = self._clock()
        with self._catalogue.reading() as connection:
            standing = [
                self._standing(connection, order)
                for order in orders.unfinished_orders(connection)
                if order.starts_at is None or order.starts_at <= now
            ]
        return [
            each for each in standing if not each.held_by or each.order.state is OrderState.RUNNING
        ]

    def urgent(self) -> list[Standing]:
        """The unfinished orders that raise the alarm: soon late, or late already."""
        return [each for each in self.all() if each.alarm]

    # --- inside -------------------------------------------------------------------------------

    def _find(self, request: Request) -> str | None:
        """The random id; None for an account that is not known. Raises NotFound."""
        if request.scope is Scope.SUBJECT:
            return self._subjects.known(request.named).id
        with self._catalogue.reading() as connection:
            if request.scope is Scope.ACCOUNT:
                pseudonym = self._vault.pseudonym("account", request.named)
                return people.account_by_pseudonym(connection, pseudonym)
            checked = checked_id(request.named, what=request.scope.value)
            known = (
                avatars.avatar_by_id(connection, checked)
                if request.scope is Scope.AVATAR
                else uploads.upload_by_id(connection, checked)
            )
        if known is None:
            raise NotFound(f"There is no {request.scope.value} with this id.")
        return checked

    def _suppressed(self, request: Request) -> Order | None:
        """The order by which an account was closed, or a person erased who is not known since."""
        if request.scope not in {Scope.ACCOUNT, Scope.SUBJECT} or request.purpose is not None:
            return None
        kind = request.scope.value
        pseudonym = self._vault.pseudonym(kind, request.named)
        if request.scope is Scope.SUBJECT:
            with self._catalogue.reading() as connection:
                if people.subject_by_pseudonym(connection, pseudonym) is not None:
                    return None
        found = self._recorded.suppression(self._vault.suppression_digest(kind, pseudonym))
        if found is None:
            return None
        return next((o for o in self._recorded.orders() if o.id == found.order_id), None)

    def _again(self, writing: Writing, request: Request, order: Order) -> Order:
        """The order that is there already; a crash may have kept it from the key store."""
        salt = None
        if all(known.id != order.id for known in self._recorded.orders()):
            if order.reference is not None:
                # Its salt died with whoever placed it, and nobody was told.
                salt = random_bytes(SALT_BYTES)
                order = replace(order, reference=reference_of(salt, request.named))
                orders.change_order(
                    writing.connection,
                    order.id,
                    expected=[OrderState.PENDING, OrderState.RUNNING],
                    reference=order.reference,
                )
            writing.after_commit.append(
                lambda: record_owed(self._catalogue, self._keys, order, salt=salt)
            )
        self._close_after(writing, request, order)
        return order

    def _same(self, connection: Connection, request: Request, scope_id: str) -> Order | None:
        """An order for the same, unless something was agreed to since."""
        for order in reversed(orders.orders_of(connection, request.scope, scope_id)):
            if order.purpose is not request.purpose or order.state is OrderState.CANCELLED:
                continue
            if order.starts_at is not None and order.starts_at > self._clock():
                continue
            if order.purpose is None:
                if order.keep_shared and not request.keep_shared and _is_owed(order):
                    continue  # the person now wants the shared uploads gone too
                return order
            if not _agreed_since(connection, order):
                return order
        return None

    def _stop(self, connection: Connection, request: Request, scope_id: str) -> Stop:
        payload = {"ground": request.ground.value, "requester": request.requester.value}
        cause = ERASURE_ORDERED
        if request.scope is Scope.SUBJECT:
            payload["subject"] = scope_id
            if request.purpose is not None:
                # To the decision it is what it is: the person takes a purpose back.
                facts = statements_of(connection, scope_id).facts
                agreed = any(f.event in POSITIVE and f.purpose is request.purpose for f in facts)
                cause = (Event.WITHDRAWAL if agreed else Event.REFUSAL).value
        return Stop(
            scope=request.scope,
            scope_id=scope_id,
            purpose=request.purpose,
            cause=cause,
            ground=request.ground,
            payload=payload,
            requester=request.requester,
            named=request.named,
            keep_shared=request.keep_shared,
        )

    def _close_after(self, writing: Writing, request: Request, order: Order) -> None:
        if request.scope is Scope.ACCOUNT and request.purpose is None:
            writing.after_commit.append(lambda: self._close(request.named, order.id))

    def _close(self, named: str, order_id: str) -> None:
        digest = self._vault.suppression_digest("account", self._vault.pseudonym("account", named))
        self._recorded.suppress(
            Suppression(
                digest=digest,
                scope=Scope.ACCOUNT,
                purposes=frozenset(Purpose),
                order_id=order_id,
                since=self._clock(),
            )
        )

    def _standing(self, connection: Connection, order: Order) -> Standing:
        now = self._clock()
        progress = erasure_of(connection, order.id)
        owed = order.state in {OrderState.PENDING, OrderState.RUNNING}
        held = holds.holds_over(connection, [(order.scope, order.scope_id)], at=now) if owed else []
        return Standing(
            order=order,
            steps=progress.steps if progress else {},
            held_by=tuple(held),
            late=owed and deadlines.is_late(order.due_at, now),
            alarm=owed and deadlines.alarm_due(order.due_at, now, retention=self._base.retention),
        )


def age(order: Order, now: datetime) -> timedelta:
    """How long an order has been, or was, on record."""
    return (order.done_at or now) - order.created_at


def _require_fitting(request: Request) -> None:
    if request.keep_shared and request.scope is not Scope.AVATAR:
        raise BadUsage(
            "Only an avatar shares its uploads with others, so nothing can be kept for them.",
            remedy="Leave --keep-shared out, or name an avatar.",
        )


def _lock(connection: Connection, scope: Scope, scope_id: str) -> None:
    """Two requests for the same come one after the other."""
    if scope is Scope.ACCOUNT:
        people.lock_account(connection, scope_id)
        return
    subject = holds.subject_of(connection, scope, scope_id)
    if subject is not None:
        people.lock(connection, subject.id, exclusively=True)


def _is_owed(order: Order) -> bool:
    return order.state in {OrderState.PENDING, OrderState.RUNNING}


def _agreed_since(connection: Connection, order: Order) -> bool:
    """Whether something that the order does not concern rests on a newer consent."""
    subject = holds.subject_of(connection, order.scope, order.scope_id)
    if subject is None:
        return order.scope is Scope.ACCOUNT
    return any(
        fact.event in POSITIVE
        and fact.purpose is order.purpose
        and fact.sequence > order.ledger_sequence
        for fact in statements_of(connection, subject.id).facts
    )


def shared_with(connection: Connection, avatar_id: str) -> dict[str, set[str]]:
    """The other avatars that stop when an avatar is deleted whole, with the uploads they share."""
    return lineage.other_avatars_of(connection, avatar_id)
