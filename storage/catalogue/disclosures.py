"""Recipients, and what left to them (Policy P08a-d, P13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    ForeignKey,
    Integer,
    String,
    Table,
    insert,
    select,
    update,
)

from models.consent.disclosure import Ground, Recipient
from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA

RECIPIENTS = Table(
    "recipients",
    METADATA,
    Column("id", String(32), primary_key=True),
    # Organisations, not data subjects: their names are for the people whose data they received.
    Column("name", String(200), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("region", String(16), nullable=False),
    Column("purposes", JSON, nullable=False),
    Column("covers", JSON, nullable=False),
    Column("agreement_digest", String(64)),
    Column("ledger_sequence", Integer, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
)

DISCLOSURES = Table(
    "disclosures",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), nullable=False, index=True),
    Column("recipient_id", String(32), ForeignKey("recipients.id"), nullable=False),
    Column("basis", String(16), nullable=False),
    Column("purpose", String(32)),
    Column("kinds", JSON, nullable=False),
    Column("document_digest", String(64)),
    Column("ledger_sequence", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True)
class Disclosure:
    """One disclosure on record."""

    id: str
    subject_id: str
    recipient_id: str
    basis: Ground
    purpose: Purpose
    kinds: frozenset[str]
    document_digest: str | None
    ledger_sequence: int
    created_at: datetime


def add_recipient(
    connection: Connection,
    recipient: Recipient,
    *,
    name: str,
    ledger_sequence: int,
    registered_at: datetime,
) -> None:
    """Record a recipient."""
    values = recipient.model_dump(mode="json", exclude={"expires_at", "ended_at"})
    values["purposes"], values["covers"] = sorted(values["purposes"]), sorted(values["covers"])
    connection.execute(
        insert(RECIPIENTS).values(
            **values,
            name=name,
            ledger_sequence=ledger_sequence,
            registered_at=registered_at,
            expires_at=recipient.expires_at,
        )
    )


def recipient_named(connection: Connection, name: str) -> Recipient | None:
    """The recipient of this name."""
    row = connection.execute(select(RECIPIENTS).where(RECIPIENTS.c.name == name)).first()
    return _recipient(row._mapping) if row else None


def recipient_by_id(connection: Connection, recipient_id: str) -> Recipient | None:
    """The recipient with this id."""
    row = connection.execute(select(RECIPIENTS).where(RECIPIENTS.c.id == recipient_id)).first()
    return _recipient(row._mapping) if row else None


def all_recipients(connection: Connection) -> list[tuple[str, Recipient]]:
    """Every recipient with its name, by name."""
    rows = connection.execute(select(RECIPIENTS).order_by(RECIPIENTS.c.name))
    return [(row.name, _recipient(row._mapping)) for row in rows]


def bind_recipient(connection: Connection, recipient_id: str, agreement_digest: str) -> None:
    """Record the agreement that binds a recipient."""
    connection.execute(
        update(RECIPIENTS)
        .where(RECIPIENTS.c.id == recipient_id)
        .values(agreement_digest=agreement_digest)
    )


def end_recipient(connection: Connection, recipient_id: str, *, at: datetime) -> bool:
    """End a recipient's registration; False where it had ended."""
    changed = connection.execute(
        update(RECIPIENTS)
        .where(RECIPIENTS.c.id == recipient_id, RECIPIENTS.c.ended_at.is_(None))
        .values(ended_at=at)
    )
    return bool(changed.rowcount)


def add_disclosure(connection: Connection, disclosure: Disclosure) -> None:
    """Record a disclosure."""
    values: dict[str, Any] = dict(vars(disclosure))
    values["basis"] = disclosure.basis.value
    values["purpose"] = disclosure.purpose.value
    values["kinds"] = sorted(disclosure.kinds)
    connection.execute(insert(DISCLOSURES).values(**values))


def disclosure_by_id(connection: Connection, disclosure_id: str) -> Disclosure | None:
    """The disclosure with this id."""
    row = connection.execute(select(DISCLOSURES).where(DISCLOSURES.c.id == disclosure_id)).first()
    return _disclosure(row._mapping) if row else None


def disclosures_of(connection: Connection, subject_id: str) -> list[tuple[str, Disclosure]]:
    """What of a person was disclosed, with the recipient's name, oldest first."""
    rows = connection.execute(
        select(DISCLOSURES, RECIPIENTS.c.name)
        .join(RECIPIENTS, RECIPIENTS.c.id == DISCLOSURES.c.recipient_id)
        .where(DISCLOSURES.c.subject_id == subject_id)
        .order_by(DISCLOSURES.c.ledger_sequence)
    )
    return [(row.name, _disclosure(row._mapping)) for row in rows]


def _recipient(row: Any) -> Recipient:
    return Recipient.model_validate({name: row[name] for name in Recipient.model_fields})


def _disclosure(row: Any) -> Disclosure:
    return Disclosure(
        id=row["id"],
        subject_id=row["subject_id"],
        recipient_id=row["recipient_id"],
        basis=Ground(row["basis"]),
        purpose=Purpose(row["purpose"]),
        kinds=frozenset(row["kinds"]),
        document_digest=row["document_digest"],
        ledger_sequence=row["ledger_sequence"],
        created_at=row["created_at"],
    )
