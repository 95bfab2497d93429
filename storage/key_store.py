"""The key store: a second database, kept and backed up apart from the catalogue (invariant 5).

It holds wrapped keys, and what must outlive a restored catalogue: which keys were destroyed, every
freeze, and how far the ledger had come.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from storage.catalogue.columns import UtcDateTime
from storage.database import Database

METADATA = MetaData()

SERVICE_KEYS = Table(
    "service_keys",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

SCOPE_KEYS = Table(
    "scope_keys",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("owner_id", String(32), nullable=False, index=True),
    Column("wrapped", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("destroyed_at", UtcDateTime),
)

OBJECT_KEYS = Table(
    "object_keys",
    METADATA,
    Column("object_id", String(32), primary_key=True),
    Column("scope_key_id", String(32), ForeignKey("scope_keys.id"), nullable=False, index=True),
    Column("wrapped", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("destroyed_at", UtcDateTime),
)

RECORDED_FREEZES = Table(
    "recorded_freezes",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("scope_id", String(32), nullable=False),
    Column("purpose", String(32)),
    Column("cause", String(32), nullable=False),
    Column("ledger_sequence", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

LEDGER_HEADS = Table(
    "ledger_heads",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
_LEDGER = "ledger"


@dataclass(frozen=True)
class RecordedFreeze:
    """A freeze as the key store remembers it; random ids only."""

    id: str
    scope: str
    scope_id: str
    purpose: str | None
    cause: str
    ledger_sequence: int
    created_at: datetime


class KeyStore:
    """What is recorded beside the wrapped keys; the vault owns the keys themselves."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def record_ledger_head(self, sequence: int, digest: str) -> None:
        """Remember how far the ledger has come; never goes back."""
        with self.database.writing() as writing:
            moved = writing.connection.execute(
                update(LEDGER_HEADS)
                .where(LEDGER_HEADS.c.name == _LEDGER, LEDGER_HEADS.c.sequence < sequence)
                .values(sequence=sequence, hash=digest)
            )
            if moved.rowcount:
                return
            if not writing.connection.execute(select(LEDGER_HEADS.c.name)).first():
                writing.connection.execute(
                    insert(LEDGER_HEADS).values(name=_LEDGER, sequence=sequence, hash=digest)
                )

    def ledger_head(self) -> tuple[int, str]:
        """Sequence and hash of the newest entry recorded here; (0, "") before the first."""
        with self.database.reading() as connection:
            row = connection.execute(select(LEDGER_HEADS.c.sequence, LEDGER_HEADS.c.hash)).first()
        return (row.sequence, row.hash) if row else (0, "")

    def record_freeze(self, freeze: RecordedFreeze) -> None:
        """Remember a freeze; recording the same one again changes nothing."""
        try:
            with self.database.writing() as writing:
                writing.connection.execute(insert(RECORDED_FREEZES).values(**vars(freeze)))
        except IntegrityError:
            pass

    def freezes(self) -> list[RecordedFreeze]:
        """Every freeze ever recorded, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(RECORDED_FREEZES).order_by(RECORDED_FREEZES.c.ledger_sequence)
            )
            return [RecordedFreeze(**row._mapping) for row in rows]
