"""The key store: a second database, kept and backed up apart from the catalogue (invariant 5).

It holds wrapped keys, and what must outlive a restored catalogue: which keys were destroyed, every
freeze, every policy version, how far the ledger had come, and its newest checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
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

from models.consent.policies import PolicyVersion
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.policies import policy_columns, policy_from
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
    Column("lifted_at", UtcDateTime),
    Column("awaits", String(32)),
)

RECORDED_POLICIES = Table(
    "recorded_policies",
    METADATA,
    Column("version", String(32), primary_key=True),
    Column("ledger_sequence", Integer, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("changes", JSON, nullable=False),
)

LEDGER_HEADS = Table(
    "ledger_heads",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
_LEDGER = "ledger"
_UNTAGGED = "untagged"

RECORDED_CHECKPOINTS = Table(
    "recorded_checkpoints",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("at", String(40), nullable=False),
    Column("key", String(64), nullable=False),
    Column("previous", Integer, nullable=False),
    Column("signature", String(128), nullable=False),
)


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
    lifted_at: datetime | None = None
    awaits: str | None = None


class KeyStore:
    """What is recorded beside the wrapped keys; the vault owns the keys themselves."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def record_ledger_head(self, sequence: int, digest: str) -> None:
        """Remember how far the ledger has come; never goes back."""
        self._keep_newest(LEDGER_HEADS, {"sequence": sequence, "hash": digest})

    def ledger_head(self) -> tuple[int, str]:
        """Sequence and hash of the newest entry recorded here; (0, "") before the first."""
        return self._head(_LEDGER)

    def untagged_head(self) -> tuple[int, str]:
        """The last entry written before entries had tags; (0, "") where every entry has one."""
        return self._head(_UNTAGGED)

    def record_checkpoint(self, **checkpoint: str | int) -> None:
        """Remember the ledger's newest checkpoint; never goes back."""
        self._keep_newest(RECORDED_CHECKPOINTS, checkpoint)

    def checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint's fields; None before the first."""
        with self.database.reading() as connection:
            row = connection.execute(
                select(*[each for each in RECORDED_CHECKPOINTS.c if each.name != "name"])
            ).first()
        return dict(row._mapping) if row else None

    def _head(self, name: str) -> tuple[int, str]:
        with self.database.reading() as connection:
            row = connection.execute(
                select(LEDGER_HEADS.c.sequence, LEDGER_HEADS.c.hash).where(
                    LEDGER_HEADS.c.name == name
                )
            ).first()
        return (row.sequence, row.hash) if row else (0, "")

    def _keep_newest(self, table: Table, values: dict[str, Any]) -> None:
        named = table.c.name == _LEDGER
        move = update(table).where(named, table.c.sequence < values["sequence"]).values(**values)
        with self.database.writing() as writing:
            if writing.connection.execute(move).rowcount:
                return
            if writing.connection.execute(select(table.c.name).where(named)).first():
                return
        try:
            with self.database.writing() as writing:
                writing.connection.execute(insert(table).values(name=_LEDGER, **values))
        except IntegrityError:  # another process recorded the first one in between
            with self.database.writing() as writing:
                writing.connection.execute(move)

    def record_freeze(self, freeze: RecordedFreeze) -> None:
        """Remember a freeze; recording the same one again changes nothing."""
        try:
            with self.database.writing() as writing:
                writing.connection.execute(insert(RECORDED_FREEZES).values(**vars(freeze)))
        except IntegrityError:
            pass

    def record_lifting(self, freeze_id: str, at: datetime) -> None:
        """Remember that a freeze was lifted; idempotent."""
        with self.database.writing() as writing:
            writing.connection.execute(
                update(RECORDED_FREEZES)
                .where(RECORDED_FREEZES.c.id == freeze_id, RECORDED_FREEZES.c.lifted_at.is_(None))
                .values(lifted_at=at)
            )

    def record_policy(self, policy: PolicyVersion) -> None:
        """Remember a published policy version; recording the same one again changes nothing."""
        try:
            with self.database.writing() as writing:
                writing.connection.execute(
                    insert(RECORDED_POLICIES).values(**policy_columns(policy))
                )
        except IntegrityError:
            pass

    def policies(self) -> list[PolicyVersion]:
        """Every policy version ever recorded."""
        with self.database.reading() as connection:
            rows = connection.execute(select(RECORDED_POLICIES))
            return [policy_from(row._mapping) for row in rows]

    def freezes(self) -> list[RecordedFreeze]:
        """Every freeze ever recorded, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(RECORDED_FREEZES).order_by(RECORDED_FREEZES.c.ledger_sequence)
            )
            return [RecordedFreeze(**row._mapping) for row in rows]
