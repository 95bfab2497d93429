"""Freezes: what stops use at once."""

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
    false,
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


def add_freeze(connection: Connection, freeze: FreezeRow) -> None:
    """Record a freeze; from its commit on no check passes that it covers."""
    connection.execute(insert(FREEZES).values(**_plain(vars(freeze))))


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


def all_freezes(connection: Connection) -> list[FreezeRow]:
    """Every freeze, lifted ones included, oldest first."""
    rows = connection.execute(select(FREEZES).order_by(FREEZES.c.ledger_sequence))
    return [_freeze(row._mapping) for row in rows]


def known_freezes(connection: Connection) -> set[str]:
    """Ids of every freeze in the catalogue, lifted ones included."""
    return set(connection.execute(select(FREEZES.c.id)).scalars())


def freezes_over(
    connection: Connection,
    *,
    account_id: str | None,
    subject_id: str,
    upload_id: str | None,
    avatar_id: str | None = None,
) -> list[Freeze]:
    """The freezes in force that cover an upload or avatar, its subject or the account."""
    scopes = [
        (scope, scope_id)
        for scope, scope_id in (
            (Scope.SUBJECT, subject_id),
            (Scope.ACCOUNT, account_id),
            (Scope.UPLOAD, upload_id),
            (Scope.AVATAR, avatar_id),
        )
        if scope_id is not None
    ]
    return freezes_in(connection, scopes)


def freezes_in(connection: Connection, scopes: Iterable[tuple[Scope, str]]) -> list[Freeze]:
    """The freezes in force about any of some scopes."""
    rows = connection.execute(
        select(FREEZES.c.ledger_sequence, FREEZES.c.purpose, FREEZES.c.cause).where(
            _are_about(scopes),
            FREEZES.c.lifted_at.is_(None),
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


def freezes_about(connection: Connection, scopes: Iterable[tuple[Scope, str]]) -> list[FreezeRow]:
    """Every freeze about one of some scopes, lifted ones included, oldest first."""
    rows = connection.execute(
        select(FREEZES)
        .where(_are_about(scopes))
        .order_by(FREEZES.c.created_at, FREEZES.c.ledger_sequence)
    )
    return [_freeze(row._mapping) for row in rows]


def _are_about(scopes: Iterable[tuple[Scope, str]]) -> ColumnElement[bool]:
    """One condition a scope, however many ids it names: databases bound how deep one may be."""
    named: dict[Scope, list[str]] = {}
    for scope, scope_id in scopes:
        named.setdefault(scope, []).append(scope_id)
    return or_(
        false(),
        *(
            and_(FREEZES.c.scope == scope.value, FREEZES.c.scope_id.in_(ids))
            for scope, ids in named.items()
        ),
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()
    }


def _freeze(row: Any) -> FreezeRow:
    values = dict(row)
    values["scope"] = Scope(values["scope"])
    values["purpose"] = Purpose(values["purpose"]) if values["purpose"] else None
    return FreezeRow(**values)
