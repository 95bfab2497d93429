"""What a crash kept from the key store is recorded there before anything is answered.

An order and its stop are committed in the catalogue first; a process that is killed right after has
told nobody. Whoever asks for the same again, or carries it out, records it (invariant 5).
"""

from __future__ import annotations

from sqlalchemy import select

from storage.catalogue import freezes
from storage.catalogue.freezes import FREEZES, FreezeRow, Scope
from storage.catalogue.orders import Order
from storage.database import Database
from storage.freezing import recorded
from storage.key_store import KeyStore
from storage.recorded_erasures import RecordedErasures


def record_owed(catalogue: Database, keys: KeyStore, order: Order, *, salt: bytes | None) -> None:
    """Have the key store know an order and the stops that were committed with it; idempotent."""
    for freeze in _stops_of(catalogue, order):
        keys.record_freeze(recorded(freeze))
    RecordedErasures(keys.database).record_order(order, salt=salt)


def _stops_of(catalogue: Database, order: Order) -> list[FreezeRow]:
    with catalogue.reading() as connection:
        rows = connection.execute(
            select(FREEZES.c.scope, FREEZES.c.scope_id).where(
                FREEZES.c.ledger_sequence == order.ledger_sequence
            )
        ).all()
        about = freezes.freezes_about(connection, [(Scope(row[0]), row[1]) for row in rows])
    return [each for each in about if each.ledger_sequence == order.ledger_sequence]
