"""Erasures under way and done: the plan of each order, step by step (invariant 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from models.schema.erasure import Step
from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA
from storage.catalogue.orders import ORDERS, OrderState


class Action(StrEnum):
    """What an order does to one object."""

    ERASE = "erase"
    NARROW = "narrow"
    """Takes a purpose away from an object that another purpose still needs (invariant 2)."""


ERASURES = Table(
    "erasures",
    METADATA,
    Column("order_id", String(32), ForeignKey("orders.id"), primary_key=True),
    Column("worker", String(160), nullable=False),
    Column("lease_until", UtcDateTime, nullable=False),
    # Step to the time at which it was done (RFC 3339).
    Column("steps", JSON, nullable=False),
    # Group of rows (subjects, uploads, artefacts...) to the random ids of those concerned.
    Column("concerned", JSON, nullable=False),
    # Group of rows to how many were reduced or deleted.
    Column("removed_rows", JSON, nullable=False),
    # Recipient of an earlier disclosure to the time at which it was told (RFC 3339).
    Column("told", JSON, nullable=False),
)

ERASURE_ITEMS = Table(
    "erasure_items",
    METADATA,
    Column("order_id", String(32), ForeignKey("orders.id"), primary_key=True),
    Column("object_id", String(32), primary_key=True),
    Column("action", String(8), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("store_key", String(64), nullable=False),
    Column("sealed_bytes", BigInteger),
    Column("sealed_sha256", String(64), nullable=False),
    # What stays of a narrowed object's purposes.
    Column("remaining", JSON, nullable=False),
    Column("done_at", UtcDateTime),
)
# A store deletes cheapest in order of its own keys.
Index("ix_erasure_items_order_store_key", ERASURE_ITEMS.c.order_id, ERASURE_ITEMS.c.store_key)


@dataclass(frozen=True)
class Erasure:
    """How far an order has come, and the random ids of whom and what it concerns."""

    order_id: str
    worker: str
    lease_until: datetime
    steps: dict[str, str]
    concerned: dict[str, list[str]]
    removed_rows: dict[str, int]
    told: dict[str, str]

    def done(self, step: Step) -> bool:
        """Whether a step is recorded as done."""
        return step.value in self.steps


@dataclass(frozen=True)
class Item:
    """One object of a plan."""

    object_id: str
    action: Action
    kind: str
    store_key: str
    sealed_bytes: int | None
    sealed_sha256: str
    remaining: dict[Purpose, int]


def add_erasure(connection: Connection, erasure: Erasure) -> None:
    """Record that an order is being carried out."""
    connection.execute(insert(ERASURES).values(**vars(erasure)))


def erasure_of(connection: Connection, order_id: str) -> Erasure | None:
    """How far an order has come; None where nobody has begun."""
    row = connection.execute(select(ERASURES).where(ERASURES.c.order_id == order_id)).first()
    return Erasure(**row._mapping) if row else None


def all_erasures(connection: Connection) -> list[Erasure]:
    """Every erasure that was ever begun, in order of its order's id."""
    rows = connection.execute(select(ERASURES).order_by(ERASURES.c.order_id))
    return [Erasure(**row._mapping) for row in rows]


def record_told(connection: Connection, order_id: str, told: dict[str, str]) -> None:
    """Record when recipients were told, whoever carries the erasure out."""
    connection.execute(update(ERASURES).where(ERASURES.c.order_id == order_id).values(told=told))


def change_erasure(connection: Connection, order_id: str, *, held_by: str, **values: Any) -> bool:
    """Change the row of an erasure that `held_by` works on; False where another one took over."""
    changed = connection.execute(
        update(ERASURES)
        .where(ERASURES.c.order_id == order_id, ERASURES.c.worker == held_by)
        .values(**values)
    )
    return bool(changed.rowcount)


def add_items(connection: Connection, order_id: str, items: Iterable[Item]) -> int:
    """Add objects to a plan; those that are in it already are left as they are. Returns how many
    are new."""
    known = set(
        connection.execute(
            select(ERASURE_ITEMS.c.object_id).where(ERASURE_ITEMS.c.order_id == order_id)
        ).scalars()
    )
    new = [_columns(order_id, item) for item in items if item.object_id not in known]
    if new:
        connection.execute(insert(ERASURE_ITEMS), new)
    return len(new)


def items_of(
    connection: Connection,
    order_id: str,
    action: Action,
    *,
    left: bool = False,
    after: str = "",
    limit: int | None = None,
) -> list[Item]:
    """The objects of a plan in order of store key, after one; with `left`, those not done."""
    conditions = [
        ERASURE_ITEMS.c.order_id == order_id,
        ERASURE_ITEMS.c.action == action.value,
    ]
    if after:
        conditions.append(ERASURE_ITEMS.c.store_key > after)
    if left:
        conditions.append(ERASURE_ITEMS.c.done_at.is_(None))
    rows = connection.execute(
        select(ERASURE_ITEMS).where(*conditions).order_by(ERASURE_ITEMS.c.store_key).limit(limit)
    )
    return [_item(row._mapping) for row in rows]


def planned_objects(connection: Connection) -> set[str]:
    """The objects of every plan that is being carried out."""
    rows = connection.execute(
        select(ERASURE_ITEMS.c.object_id)
        .join(ORDERS, ORDERS.c.id == ERASURE_ITEMS.c.order_id)
        .where(ORDERS.c.state == OrderState.RUNNING.value)
    )
    return set(rows.scalars())


def mark_done(
    connection: Connection, order_id: str, object_ids: Iterable[str], *, at: datetime | None
) -> None:
    """The objects are gone, or narrowed; None takes it back, where they were found again."""
    ids = list(object_ids)
    for page in _pages(ids):
        connection.execute(
            update(ERASURE_ITEMS)
            .where(ERASURE_ITEMS.c.order_id == order_id, ERASURE_ITEMS.c.object_id.in_(page))
            .values(done_at=at)
        )


def count_of(connection: Connection, order_id: str, action: Action) -> int:
    """How many objects of a plan have an action."""
    return int(
        connection.execute(
            select(func.count())
            .select_from(ERASURE_ITEMS)
            .where(ERASURE_ITEMS.c.order_id == order_id, ERASURE_ITEMS.c.action == action.value)
        ).scalar_one()
    )


def _pages(ids: list[str], size: int = 500) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _columns(order_id: str, item: Item) -> dict[str, Any]:
    return {
        **vars(item),
        "order_id": order_id,
        "action": item.action.value,
        "remaining": {purpose.value: seq for purpose, seq in item.remaining.items()},
    }


def _item(row: Any) -> Item:
    values = {name: row[name] for name in Item.__dataclass_fields__}
    values["action"] = Action(values["action"])
    values["remaining"] = {Purpose(name): seq for name, seq in values["remaining"].items()}
    return Item(**values)
