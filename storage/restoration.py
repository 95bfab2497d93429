"""Giving a restored catalogue back what the key store remembers (invariant 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from models.consent.facts import NEGATIVE
from models.schema.purposes import Purpose
from storage.catalogue import freezes, holds, orders, people, policies
from storage.catalogue.freezes import FreezeRow, Scope
from storage.catalogue.holds import Hold
from storage.catalogue.orders import Order, OrderState
from storage.database import Database, Writing
from storage.key_store import KeyStore, RecordedFreeze
from storage.ledger import Ledger
from storage.recorded_erasures import RecordedErasures
from storage.recorded_head import holds as holds_entry

Known = TypeVar("Known")
_NEGATIVE: Final = frozenset(event.value for event in NEGATIVE)


@dataclass(frozen=True)
class Restored:
    """What an older copy had forgotten, as counts."""

    freezes: int = 0
    policies: int = 0
    ledger_entries: int = 0
    orders: int = 0
    holds: int = 0


def apply_recorded(catalogue: Database, keys: KeyStore, ledger: Ledger) -> Restored:
    """Apply every recorded freeze, policy version, order and hold again, and go on behind the lost
    entries.

    An order that was done is owed again: what it erased has come back with the copy. Does nothing
    for a catalogue that is current; idempotent.
    """
    recorded = keys.ledger_head()
    tip = ledger.head()
    erasures = RecordedErasures(keys.database)
    with catalogue.reading() as connection:
        frozen = freezes.known_freezes(connection)
        published = {policy.version for policy in policies.all_policies(connection)}
        ordered = {order.id for order in orders.all_orders(connection)}
        placed = {hold.id: hold for hold in holds.all_holds(connection)}
    lost_freezes = _missing(keys.freezes(), frozen, lambda freeze: freeze.id)
    lost_policies = _missing(keys.policies(), published, lambda policy: policy.version)
    lost_orders = _missing(erasures.orders(), ordered, lambda order: order.id)
    lost_holds = [hold for hold in erasures.holds() if not _stands(hold, placed.get(hold.id))]
    behind = max(0, recorded[0] - tip[0])
    if not (lost_freezes or lost_policies or lost_orders or lost_holds or behind):
        return Restored()
    with catalogue.writing() as writing:
        for freeze in lost_freezes:
            freezes.add_freeze(writing.connection, _freeze(freeze))
        for policy in lost_policies:
            policies.add_policy(writing.connection, policy)
        for order in lost_orders:
            orders.add_order(writing.connection, _owed_again(order))
        for hold in lost_holds:
            _hold_again(writing, hold)
        if behind:
            ledger.resume_after_restore(writing, recorded)
        for freeze in lost_freezes:
            _say_again(writing, ledger, freeze)
    return Restored(
        freezes=len(lost_freezes),
        policies=len(lost_policies),
        ledger_entries=behind,
        orders=len(lost_orders),
        holds=len(lost_holds),
    )


def bring_current(catalogue: Database, keys: KeyStore, ledger: Ledger) -> None:
    """The same where the catalogue is behind; else one look at each database."""
    recorded = keys.ledger_head()
    with catalogue.reading() as connection:
        current = holds_entry(connection, recorded)
    if not current:
        apply_recorded(catalogue, keys, ledger)


def _missing(recorded: list[Known], known: set[str], name: Callable[[Known], str]) -> list[Known]:
    return [each for each in recorded if name(each) not in known]


def _freeze(freeze: RecordedFreeze) -> FreezeRow:
    values = dict(vars(freeze))
    values["scope"] = Scope(freeze.scope)
    values["purpose"] = Purpose(freeze.purpose) if freeze.purpose else None
    return FreezeRow(**values)


def _say_again(writing: Writing, ledger: Ledger, freeze: RecordedFreeze) -> None:
    """A withdrawal or refusal is more than its stop: only a newer consent outweighs it."""
    if freeze.purpose is None or freeze.cause not in _NEGATIVE or freeze.scope != Scope.SUBJECT:
        return
    if people.subject_by_id(writing.connection, freeze.scope_id) is None:
        return
    payload = {
        "subject": freeze.scope_id,
        "purpose": freeze.purpose,
        "acted_at": freeze.created_at.isoformat(),
    }
    ledger.say_again(writing, freeze.cause, payload, subject_id=freeze.scope_id)


def _owed_again(order: Order) -> Order:
    if order.state is OrderState.CANCELLED:
        return order
    return replace(order, state=OrderState.PENDING, done_at=None)


def _stands(recorded: Hold, known: Hold | None) -> bool:
    return known is not None and (known.lifted_at is not None) >= (recorded.lifted_at is not None)


def _hold_again(writing: Writing, hold: Hold) -> None:
    if holds.hold_by_id(writing.connection, hold.id) is None:
        holds.add_hold(writing.connection, hold)
    elif hold.lifted_at is not None:
        holds.lift_hold(writing.connection, hold.id, at=hold.lifted_at)
