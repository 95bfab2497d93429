"""Freezes and erasure orders: what stops use at once, and what is owed to the person since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, Integer, String, Table, and_, insert, or_, select

from models.consent.facts import Freeze
from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA


class Scope(StrEnum):
    """What a freeze or an order is about."""

    ACCOUNT = "account"
    SUBJECT = "subject"
    AVATAR = "avatar"
    UPLOAD = "upload"


FREEZES = Table(
    "freezes",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("scope_id", String(32), nullable=False, index=True),
    Column("purpose", String(32)),
    Column("cause", String(32), nullable=False),
    Column("ledger_sequence", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("lifted_at", UtcDateTime),
)

ORDERS = Table(
    "orders",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("scope_id", String(32), nullable=False, index=True),
    Column("purpose", String(32)),
    Column("ground", String(32), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("ledger_sequence", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
)
"""Orders on record. They are carried out by the erasure flow; until then their freeze holds."""


@dataclass(frozen=True)
class FreezeRow:
    """One freeze."""

    id: str
    scope: Scope
    scope_id: str
    purpose: Purpose | None
    cause: str
    ledger_sequence: int
    created_at: datetime


@dataclass(frozen=True)
class Order:
    """One erasure order."""

    id: str
    scope: Scope
    scope_id: str
    purpose: Purpose | None
    ground: str
    state: str
    ledger_sequence: int
    created_at: datetime
    due_at: datetime


def add_freeze(connection: Connection, freeze: FreezeRow) -> None:
    """Record a freeze; from its commit on no check passes that it covers."""
    connection.execute(insert(FREEZES).values(**_plain(vars(freeze))))


def add_order(connection: Connection, order: Order) -> None:
    """Record an erasure order."""
    connection.execute(insert(ORDERS).values(**_plain(vars(order))))


def known_freezes(connection: Connection) -> set[str]:
    """Ids of every freeze in the catalogue, lifted ones included."""
    return set(connection.execute(select(FREEZES.c.id)).scalars())


def freezes_over(
    connection: Connection, *, account_id: str | None, subject_id: str, upload_id: str | None
) -> list[Freeze]:
    """The freezes in force that cover an upload, its subject or the account."""
    scopes = [and_(FREEZES.c.scope == Scope.SUBJECT.value, FREEZES.c.scope_id == subject_id)]
    if account_id is not None:
        scopes.append(
            and_(FREEZES.c.scope == Scope.ACCOUNT.value, FREEZES.c.scope_id == account_id)
        )
    if upload_id is not None:
        scopes.append(and_(FREEZES.c.scope == Scope.UPLOAD.value, FREEZES.c.scope_id == upload_id))
    rows = connection.execute(
        select(FREEZES.c.ledger_sequence, FREEZES.c.purpose, FREEZES.c.cause).where(
            or_(*scopes), FREEZES.c.lifted_at.is_(None)
        )
    )
    return [
        Freeze(
            sequence=row.ledger_sequence,
            purpose=Purpose(row.purpose) if row.purpose else None,
            cause=row.cause,
        )
        for row in rows
    ]


def orders_of(connection: Connection, scope: Scope, scope_id: str) -> list[Order]:
    """The orders about one scope, oldest first."""
    rows = connection.execute(
        select(ORDERS)
        .where(ORDERS.c.scope == scope.value, ORDERS.c.scope_id == scope_id)
        .order_by(ORDERS.c.created_at)
    )
    return [_order(row._mapping) for row in rows]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()
    }


def _order(row: Any) -> Order:
    values = dict(row)
    values["scope"] = Scope(values["scope"])
    values["purpose"] = Purpose(values["purpose"]) if values["purpose"] else None
    return Order(**values)
