"""Holds: legal stops on erasure and expiry (Policy P20).

While a hold is in force nothing in its scope is erased and nothing expires; an order that is owed
waits, and runs by itself once the hold is lifted or over. A hold stops no use: what is to be erased
is stopped by the order's own freeze, what has outlived its time is opened for nobody, and the
service goes on for a person who asked for nothing (PIPL art. 47: storage only for what would
otherwise be deleted).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection

from models.consent.facts import EvidenceLevel
from models.schema.errors import BadInput, NotFound
from storage.catalogue import holds, people
from storage.catalogue.freezes import Scope
from storage.catalogue.holds import Hold
from storage.catalogue.orders import Order, OrderState, unfinished_orders
from storage.foundation import Foundation
from storage.freezing import stopping
from storage.identifiers import checked_id, random_id
from storage.recorded_erasures import RecordedErasures
from storage.registers.evidence import Evidence
from storage.registers.subjects import Subjects

CASES: Final = frozenset("abcdefgh")
"""The cases of article VI.4 in which a request may be refused (Policy P20)."""
HOLD_PLACED: Final = "hold_placed"
HOLD_LIFTED: Final = "hold_lifted"


@dataclass(frozen=True)
class PlacedHold:
    """A hold as it stands now, and the orders that it concerns."""

    hold: Hold
    in_force: bool
    waiting: tuple[Order, ...] = ()
    """Orders that do not begin while it is in force."""
    begun: tuple[Order, ...] = ()
    """Orders that had begun already; what they have erased cannot be held."""


@dataclass(frozen=True)
class Lifted:
    """A hold that was lifted or over, and the orders that it alone had stopped."""

    hold: Hold
    released: tuple[Order, ...]


class Holds:
    """Places, lifts and lists holds."""

    def __init__(self, base: Foundation, *, subjects: Subjects) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._subjects = subjects
        self._retention = base.retention
        self._clock = base.clock
        self._recorded = RecordedErasures(base.keys.database)

    def place(
        self, scope: Scope, named: str, *, case: str, document: Evidence, expires_at: datetime
    ) -> PlacedHold:
        """Place a hold; nothing in its scope begins to be erased after this commit.

        `named` is the caller's own id of a subject or account, the random id of an avatar or
        upload. The document stays with whoever holds it; its digest is recorded. Raises NotFound,
        BadInput for whatever is missing: a hold is never silent and never for ever.
        """
        now = self._clock()
        self._check(case, document, expires_at, now)
        hold = Hold(
            id=random_id(),
            scope=scope,
            scope_id=self._found(scope, named),
            case=case,
            document_digest=document.digest,
            ledger_sequence=0,
            placed_at=now,
            expires_at=expires_at,
        )
        with stopping(self._catalogue, self._keys, self._ledger) as writing:
            subject_id = self._lock(writing.connection, hold)
            payload = {
                "hold": hold.id,
                "scope": scope.value,
                "scope_id": hold.scope_id,
                "case": case,
                "document_digest": document.digest,
                "expires_at": expires_at.isoformat(),
            }
            sequence = self._ledger.append(writing, HOLD_PLACED, payload, subject_id=subject_id)
            hold = replace(hold, ledger_sequence=sequence)
            holds.add_hold(writing.connection, hold)
            writing.after_commit.append(partial(self._recorded.record_hold, hold))
            return self._held(writing.connection, hold)

    def lift(self, hold_id: str) -> Lifted:
        """Lift a hold before its time; the orders that waited for it alone run from now on.

        Lifting one that is lifted or over changes nothing. Raises NotFound.
        """
        now = self._clock()
        with stopping(self._catalogue, self._keys, self._ledger) as writing:
            connection = writing.connection
            hold = self._known(connection, hold_id)
            released = self._released_by(connection, hold)
            if self._is_in_force(hold) and holds.lift_hold(connection, hold.id, at=now):
                subject = holds.subject_of(connection, hold.scope, hold.scope_id)
                self._ledger.append(
                    writing,
                    HOLD_LIFTED,
                    {"hold": hold.id, "scope": hold.scope.value, "scope_id": hold.scope_id},
                    subject_id=subject.id if subject else None,
                )
            hold = self._known(connection, hold_id)
            if hold.lifted_at is not None:
                # Also where it was lifted before: the key store may not have answered then.
                writing.after_commit.append(
                    partial(self._recorded.record_hold_lifted, hold.id, hold.lifted_at)
                )
        return Lifted(hold, released)

    def would_release(self, hold_id: str) -> tuple[Order, ...]:
        """The orders that would run if a hold were lifted; records nothing. Raises NotFound."""
        with self._catalogue.reading() as connection:
            return self._released_by(connection, self._known(connection, hold_id))

    def would_stop(self, scope: Scope, named: str) -> tuple[Order, ...]:
        """The orders that would wait for a hold of this scope; records nothing. Raises NotFound."""
        scope_id = self._found(scope, named)
        with self._catalogue.reading() as connection:
            return _orders(connection, scope, scope_id, OrderState.PENDING)

    def by_id(self, hold_id: str) -> PlacedHold:
        """The hold with this id; raises NotFound."""
        with self._catalogue.reading() as connection:
            return self._held(connection, self._known(connection, hold_id))

    def all(self) -> list[PlacedHold]:
        """Every hold ever placed, oldest first."""
        with self._catalogue.reading() as connection:
            return [self._held(connection, hold) for hold in holds.all_holds(connection)]

    def about(self, scope: Scope, named: str) -> list[PlacedHold]:
        """The holds ever placed that have something in common with a scope; raises NotFound."""
        scope_id = self._found(scope, named)
        with self._catalogue.reading() as connection:
            reached = holds.overlapping(connection, scope, scope_id)
            return [
                self._held(connection, hold)
                for hold in holds.all_holds(connection)
                if (hold.scope, hold.scope_id) in reached
            ]

    def in_force_over(
        self, connection: Connection, scopes: Iterable[tuple[Scope, str]]
    ) -> list[Hold]:
        """The holds that stop the erasure or expiry of any of some scopes now, oldest first.

        To be asked in the transaction that begins to erase, which has locked the scope's rows
        (`people.lock` or `people.lock_account`): then a hold is either seen or placed too late.
        """
        return holds.holds_over(connection, scopes, at=self._clock())

    def _check(self, case: str, document: Evidence, expires_at: datetime, now: datetime) -> None:
        if case not in CASES:
            raise BadInput(
                "There is no such case.",
                remedy="The cases of article VI.4 are a to h (Policy P20).",
            )
        if document.level.rank < EvidenceLevel.DOCUMENT.rank or not document.content.strip():
            raise BadInput("A hold rests on a document.", remedy="Name the file with --document.")
        most = self._retention.hold_days_most
        if not now < expires_at <= now + timedelta(days=most):
            raise BadInput(
                f"A hold ends by itself, within {most} days; nothing was recorded.",
                remedy="Choose another end; a hold that is still needed then is placed again.",
            )

    def _lock(self, connection: Connection, hold: Hold) -> str | None:
        """Hold the rows that the beginning of an erasure shares; returns the subject, if it is
        about one."""
        if hold.scope is Scope.ACCOUNT:
            people.lock_account(connection, hold.scope_id)
            return None
        subject = holds.subject_of(connection, hold.scope, hold.scope_id)
        if subject is None:
            raise NotFound(f"There is no such {hold.scope.value}, or it was erased.")
        people.lock(connection, subject.id, exclusively=True)
        return subject.id

    def _held(self, connection: Connection, hold: Hold) -> PlacedHold:
        if not self._is_in_force(hold):
            return PlacedHold(hold, in_force=False)
        return PlacedHold(
            hold,
            in_force=True,
            waiting=_orders(connection, hold.scope, hold.scope_id, OrderState.PENDING),
            begun=_orders(connection, hold.scope, hold.scope_id, OrderState.RUNNING),
        )

    def _is_in_force(self, hold: Hold) -> bool:
        return hold.lifted_at is None and self._clock() < hold.expires_at

    def _released_by(self, connection: Connection, hold: Hold) -> tuple[Order, ...]:
        """The orders that this hold alone stops."""
        if not self._is_in_force(hold):
            return ()
        return tuple(
            order
            for order in _orders(connection, hold.scope, hold.scope_id, OrderState.PENDING)
            if self.in_force_over(connection, [(order.scope, order.scope_id)]) == [hold]
        )

    def _known(self, connection: Connection, hold_id: str) -> Hold:
        hold = holds.hold_by_id(connection, checked_id(hold_id, what="hold"))
        if hold is None:
            raise NotFound(
                "There is no hold with this id.", remedy="`likeness hold list` shows them."
            )
        return hold

    def _found(self, scope: Scope, named: str) -> str:
        """The random id of what the caller named; raises NotFound."""
        if scope is Scope.SUBJECT:
            return self._subjects.known(named).id
        with self._catalogue.reading() as connection:
            if scope is Scope.ACCOUNT:
                pseudonym = self._vault.pseudonym("account", named)
                found = people.account_by_pseudonym(connection, pseudonym)
            else:
                checked = checked_id(named, what=scope.value)
                found = checked if holds.subject_of(connection, scope, checked) else None
        if found is None:
            raise NotFound(f"There is no such {scope.value}, or it was erased.")
        return found


def _orders(
    connection: Connection, scope: Scope, scope_id: str, state: OrderState
) -> tuple[Order, ...]:
    """The orders in a state that a hold of a scope concerns, the nearest deadline first."""
    unfinished = [order for order in unfinished_orders(connection) if order.state is state]
    if not unfinished:
        return ()
    reached = holds.overlapping(connection, scope, scope_id)
    return tuple(order for order in unfinished if (order.scope, order.scope_id) in reached)
