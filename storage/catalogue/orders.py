"""Erasure orders: what is owed to a person, by when, and how far it is (invariant 6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    and_,
    false,
    insert,
    or_,
    select,
    update,
)

from models.schema.erasure import ErasureGround, Requester
from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.freezes import Scope
from storage.catalogue.metadata import METADATA


class OrderState(StrEnum):
    """Where an order stands; one that a hold stops is pending, and `erase status` says held."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    """What was missing was brought in time, such as a guardian's consent."""


ORDERS = Table(
    "orders",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("scope_id", String(32), nullable=False, index=True),
    Column("purpose", String(32)),
    Column("ground", String(32), nullable=False),
    Column("requester", String(16), nullable=False),
    # Uploads that other avatars need stay, by the person's recorded choice (Policy P15).
    Column("keep_shared", Boolean, nullable=False),
    # Salted, so that it says nothing without the person's copy of the receipt.
    Column("reference", String(64)),
    Column("state", String(16), nullable=False, index=True),
    Column("ledger_sequence", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("starts_at", UtcDateTime),
    Column("due_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
)


@dataclass(frozen=True)
class Order:
    """One erasure order; random ids and codes only."""

    id: str
    scope: Scope
    scope_id: str
    purpose: Purpose | None
    ground: ErasureGround
    state: OrderState
    ledger_sequence: int
    created_at: datetime
    due_at: datetime
    requester: Requester = Requester.PERSON
    keep_shared: bool = False
    reference: str | None = None
    starts_at: datetime | None = None
    """Carried out only from then on; until then what was missing may still be brought."""
    done_at: datetime | None = None


def order_columns(order: Order) -> dict[str, Any]:
    """An order as both databases keep it."""
    return {
        name: value.value if isinstance(value, StrEnum) else value
        for name, value in vars(order).items()
    }


def order_from(row: Any) -> Order:
    """The order that a row of either database holds."""
    values = dict(row)
    values["scope"] = Scope(values["scope"])
    values["purpose"] = Purpose(values["purpose"]) if values["purpose"] else None
    values["ground"] = ErasureGround(values["ground"])
    values["requester"] = Requester(values["requester"])
    values["state"] = OrderState(values["state"])
    return Order(**values)


def add_order(connection: Connection, order: Order) -> None:
    """Record an erasure order."""
    connection.execute(insert(ORDERS).values(**order_columns(order)))


def order_by_id(connection: Connection, order_id: str) -> Order | None:
    """The order with this random id."""
    row = connection.execute(select(ORDERS).where(ORDERS.c.id == order_id)).first()
    return order_from(row._mapping) if row else None


def all_orders(connection: Connection) -> list[Order]:
    """Every order, the nearest deadline first."""
    rows = connection.execute(select(ORDERS).order_by(ORDERS.c.due_at, ORDERS.c.created_at))
    return [order_from(row._mapping) for row in rows]


def unfinished_orders(connection: Connection) -> list[Order]:
    """What is still owed, the nearest deadline first."""
    rows = connection.execute(
        select(ORDERS)
        .where(ORDERS.c.state.in_([OrderState.PENDING.value, OrderState.RUNNING.value]))
        .order_by(ORDERS.c.due_at, ORDERS.c.created_at)
    )
    return [order_from(row._mapping) for row in rows]


def orders_of(connection: Connection, scope: Scope, scope_id: str) -> list[Order]:
    """The orders about one scope, oldest first."""
    return orders_about(connection, [(scope, scope_id)])


def orders_about(connection: Connection, scopes: Iterable[tuple[Scope, str]]) -> list[Order]:
    """Every order about one of some scopes, oldest first."""
    named: dict[Scope, list[str]] = {}
    for scope, scope_id in scopes:
        named.setdefault(scope, []).append(scope_id)
    about = [
        and_(ORDERS.c.scope == scope.value, ORDERS.c.scope_id.in_(ids))
        for scope, ids in named.items()
    ]
    rows = connection.execute(
        select(ORDERS)
        .where(or_(false(), *about))
        .order_by(ORDERS.c.created_at, ORDERS.c.ledger_sequence, ORDERS.c.id)
    )
    return [order_from(row._mapping) for row in rows]


def change_order(
    connection: Connection, order_id: str, *, expected: Iterable[OrderState], **values: Any
) -> bool:
    """Change an order's row if it is in one of the expected states; says whether it was."""
    if "state" in values:
        values["state"] = OrderState(values["state"]).value
    changed = connection.execute(
        update(ORDERS)
        .where(ORDERS.c.id == order_id, ORDERS.c.state.in_([state.value for state in expected]))
        .values(**values)
    )
    return bool(changed.rowcount)


def cancel_waiting_orders(
    connection: Connection, scope: Scope, scope_id: str, *, ground: ErasureGround
) -> list[str]:
    """Take back the orders of one ground that have not started; returns their ids."""
    waiting = [
        order.id
        for order in orders_of(connection, scope, scope_id)
        if order.ground is ground
        and order.state is OrderState.PENDING
        and order.starts_at is not None
    ]
    for order_id in waiting:
        change_order(
            connection, order_id, expected=[OrderState.PENDING], state=OrderState.CANCELLED
        )
    return waiting
