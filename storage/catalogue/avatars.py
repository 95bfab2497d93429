"""Avatars: a data subject's clone and human as the product shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    insert,
    select,
)

from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA

AVATARS = Table(
    "avatars",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), index=True),
    Column("name_sealed", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("erased_at", UtcDateTime),
)


@dataclass(frozen=True)
class Avatar:
    """One avatar; an erased one has only its id and times."""

    id: str
    subject_id: str | None
    name_sealed: bytes | None
    created_at: datetime
    erased_at: datetime | None = None


def add_avatar(connection: Connection, avatar: Avatar) -> None:
    """Record a new avatar."""
    connection.execute(insert(AVATARS).values(**vars(avatar)))


def avatar_by_id(connection: Connection, avatar_id: str) -> Avatar | None:
    """The avatar with this random id, erased ones included."""
    row = connection.execute(select(AVATARS).where(AVATARS.c.id == avatar_id)).first()
    return _avatar(row._mapping) if row else None


def avatars_of(connection: Connection, subject_id: str) -> list[Avatar]:
    """A subject's avatars that are not erased, oldest first."""
    return _where(connection, AVATARS.c.subject_id == subject_id)


def all_avatars(connection: Connection) -> list[Avatar]:
    """Every avatar that is not erased, oldest first."""
    return _where(connection)


def _where(connection: Connection, *conditions: Any) -> list[Avatar]:
    rows = connection.execute(
        select(AVATARS)
        .where(AVATARS.c.erased_at.is_(None), *conditions)
        .order_by(AVATARS.c.created_at, AVATARS.c.id)
    )
    return [_avatar(row._mapping) for row in rows]


def _avatar(row: Any) -> Avatar:
    return Avatar(**row)
