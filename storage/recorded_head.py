"""Is the catalogue as new as the key store remembers, or was it restored from an older copy?"""

from __future__ import annotations

from sqlalchemy import Connection, select

from models.schema.errors import DoorShut
from storage.catalogue.decisions import LEDGER_ENTRIES


def holds(connection: Connection, recorded: tuple[int, str]) -> bool:
    """Whether the catalogue holds the newest ledger entry that the key store recorded.

    `recorded` is its sequence and hash, read from the key store before the transaction began or
    while the ledger's tip is held.
    """
    sequence, digest = recorded
    if not sequence:
        return True
    # Its hash too: a number alone could be another entry's.
    found = connection.execute(
        select(LEDGER_ENTRIES.c.hash).where(LEDGER_ENTRIES.c.sequence == sequence)
    ).scalar()
    return bool(found == digest)


def require_held(connection: Connection, recorded: tuple[int, str]) -> None:
    """Raise DoorShut while the catalogue is older than the key store's record (invariant 5)."""
    if not holds(connection, recorded):
        raise DoorShut(
            f"The key store recorded decision {recorded[0]}, which this catalogue does not hold: "
            "it was restored from an older copy."
        )
