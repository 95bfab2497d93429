"""Freezes and erasure orders: what stops use at once, and what is owed to the person since."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    String,
    Table,
    and_,
    insert,
    or_,
    select,
    update,
)

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
    Column("awaits", String(32)),
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
    Column("starts_at", UtcDateTime),
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
    lifted_at: datetime | None = None
    awaits: str | None = None
    """Id of the recipient whose agreement, or the person's consent to it, would lift it."""


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
    starts_at: datetime | None = None
    """Carried out only from then on; until then what was missing may still be brought."""


def add_freeze(connection: Connection, freeze: FreezeRow) -> None:
    """Record a freeze; from its commit on no check passes that it covers."""
    connection.execute(insert(FREEZES).values(**_plain(vars(freeze))))


def add_order(connection: Connection, order: Order) -> None:
    """Record an erasure order."""
    connection.execute(insert(ORDERS).values(**_plain(vars(order))))


def lift(connection: Connection, freeze_ids: Iterable[str], *, at: datetime) -> None:
    """Lift freezes: from this commit on they stop nothing."""
    connection.execute(
        update(FREEZES)
        .where(FREEZES.c.id.in_(list(freeze_ids)), FREEZES.c.lifted_at.is_(None))
        .values(lifted_at=at)
    )


def in_force(
    connection: Connection,
    *,
    cause: str,
    scope_id: str | None = None,
    awaits: str | None = None,
) -> list[FreezeRow]:
    """The freezes of one cause that are not lifted, oldest first; about one scope, or waiting for
    one recipient, where these are named."""
    conditions = [FREEZES.c.cause == cause, FREEZES.c.lifted_at.is_(None)]
    if scope_id is not None:
        conditions.append(FREEZES.c.scope_id == scope_id)
    if awaits is not None:
        conditions.append(FREEZES.c.awaits == awaits)
    rows = connection.execute(select(FREEZES).where(*conditions).order_by(FREEZES.c.created_at))
    return [_freeze(row._mapping) for row in rows]


def cancel_waiting_orders(
    connection: Connection, scope: Scope, scope_id: str, *, ground: str
) -> int:
    """Take back the orders of one ground that have not started; returns how many."""
    changed = connection.execute(
        update(ORDERS)
        .where(
            ORDERS.c.scope == scope.value,
            ORDERS.c.scope_id == scope_id,
            ORDERS.c.ground == ground,
            ORDERS.c.state == "pending",
            ORDERS.c.starts_at.is_not(None),
        )
        .values(state="cancelled")
    )
    return int(changed.rowcount)


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


def freezes_about(connection: Connection, scopes: Iterable[tuple[Scope, str]]) -> list[FreezeRow]:
    """Every freeze about one of some scopes, lifted ones included, oldest first."""
    rows = connection.execute(
        select(FREEZES)
        .where(or_(*(_is_about(FREEZES, scope, scope_id) for scope, scope_id in scopes)))
        .order_by(FREEZES.c.created_at, FREEZES.c.ledger_sequence)
    )
    return [_freeze(row._mapping) for row in rows]


def orders_about(connection: Connection, scopes: Iterable[tuple[Scope, str]]) -> list[Order]:
    """Every order about one of some scopes, oldest first."""
    rows = connection.execute(
        select(ORDERS)
        .where(or_(*(_is_about(ORDERS, scope, scope_id) for scope, scope_id in scopes)))
        .order_by(ORDERS.c.created_at, ORDERS.c.ledger_sequence)
    )
    return [_order(row._mapping) for row in rows]


def _is_about(table: Table, scope: Scope, scope_id: str) -> ColumnElement[bool]:
    return and_(table.c.scope == scope.value, table.c.scope_id == scope_id)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()
    }


def _freeze(row: Any) -> FreezeRow:
    values = dict(row)
    values["scope"] = Scope(values["scope"])
    values["purpose"] = Purpose(values["purpose"]) if values["purpose"] else None
    return FreezeRow(**values)


def _order(row: Any) -> Order:
    values = dict(row)
    values["scope"] = Scope(values["scope"])
    values["purpose"] = Purpose(values["purpose"]) if values["purpose"] else None
    return Order(**values)
