"""What people ask for and by when they are answered (Policy P16, P19)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    insert,
    select,
    update,
)

from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA


class RequestKind(StrEnum):
    """What a person asked for."""

    ACCESS = "access"
    """To read everything that is held about them (Policy P16, PIPL art. 45)."""


class RequestState(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    ANSWERED = "answered"


REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    # Who handled it and how the person was authenticated: words of people.
    Column("handling_sealed", LargeBinary, nullable=False),
    Column("ledger_sequence", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False, index=True),
    Column("answered_at", UtcDateTime),
)


@dataclass(frozen=True)
class Request:
    """One request."""

    id: str
    subject_id: str
    kind: RequestKind
    state: RequestState
    handling_sealed: bytes
    ledger_sequence: int
    created_at: datetime
    due_at: datetime
    answered_at: datetime | None = None


def add_request(connection: Connection, request: Request) -> None:
    """Record a request."""
    values = dict(vars(request))
    values["kind"], values["state"] = request.kind.value, request.state.value
    connection.execute(insert(REQUESTS).values(**values))


def request_by_id(connection: Connection, request_id: str) -> Request | None:
    """The request with this id."""
    row = connection.execute(select(REQUESTS).where(REQUESTS.c.id == request_id)).first()
    return _request(row._mapping) if row else None


def requests_of(connection: Connection, subject_id: str) -> list[Request]:
    """A person's requests, oldest first."""
    rows = connection.execute(
        select(REQUESTS)
        .where(REQUESTS.c.subject_id == subject_id)
        .order_by(REQUESTS.c.created_at, REQUESTS.c.id)
    )
    return [_request(row._mapping) for row in rows]


def open_requests(connection: Connection) -> list[Request]:
    """What is not answered, the nearest deadline first."""
    rows = connection.execute(
        select(REQUESTS)
        .where(REQUESTS.c.state == RequestState.OPEN.value)
        .order_by(REQUESTS.c.due_at, REQUESTS.c.created_at, REQUESTS.c.id)
    )
    return [_request(row._mapping) for row in rows]


def mark_answered(connection: Connection, request_ids: Iterable[str], *, at: datetime) -> None:
    """The open ones among these are answered."""
    connection.execute(
        update(REQUESTS)
        .where(REQUESTS.c.id.in_(list(request_ids)), REQUESTS.c.state == RequestState.OPEN.value)
        .values(state=RequestState.ANSWERED.value, answered_at=at)
    )


def _request(row: Any) -> Request:
    values = dict(row)
    values["kind"] = RequestKind(values["kind"])
    values["state"] = RequestState(values["state"])
    return Request(**values)
