"""Objects and the intents that come before them (invariants 1, 2, 5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA
from storage.catalogue.uploads import UPLOADS, WAITING

_AT_ONCE: Final = 500
"""Ids in one statement; databases bound how many values one may name."""


class IntentState(StrEnum):
    """What became of the wish to write an object."""

    OPEN = "open"
    """The row exists; bytes may be arriving under its key."""
    WRITTEN = "written"
    """The bytes are whole in the store and not yet part of anything."""
    COMMITTED = "committed"
    REAPED = "reaped"
    """Given up; whatever lies or still arrives under its key is removed."""


class ObjectState(StrEnum):
    """What an object is now."""

    STORED = "stored"
    DELETING = "deleting"
    """No use any more; its key and bytes are being removed."""
    ERASED = "erased"
    """A tombstone."""


INTENTS = Table(
    "intents",
    METADATA,
    Column("object_id", String(32), primary_key=True),
    Column("run_id", String(32), ForeignKey("runs.id"), nullable=False, index=True),
    # None for what is several people's, which the artefact owns (invariant 2).
    Column("subject_id", String(32), ForeignKey("subjects.id"), index=True),
    Column("artefact_id", String(32), ForeignKey("artefacts.id"), index=True),
    Column("kind", String(40), nullable=False),
    Column("store_key", String(64), nullable=False, unique=True),
    Column("purposes", JSON, nullable=False),
    Column("parents", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("plain_bytes", BigInteger),
    Column("sealed_bytes", BigInteger),
    Column("sealed_sha256", String(64)),
    Column("expires_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    # A reaped key is visited again until the longest write that could still arrive is over.
    Column("visit_until", UtcDateTime),
)

OBJECTS = Table(
    "objects",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("kind", String(40), nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), index=True),
    Column("upload_id", String(32), ForeignKey("uploads.id"), index=True),
    Column("artefact_id", String(32), ForeignKey("artefacts.id"), index=True),
    Column("store_key", String(64), unique=True),
    # Purpose to the ledger sequence of the grant it rests on.
    Column("basis", JSON),
    Column("region", String(16)),
    Column("plain_bytes", BigInteger),
    Column("sealed_bytes", BigInteger),
    Column("sealed_sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, index=True),
    Column("erased_at", UtcDateTime),
)

OBJECT_PARENTS = Table(
    "object_parents",
    METADATA,
    Column("object_id", String(32), ForeignKey("objects.id"), primary_key=True),
    Column("parent_id", String(32), primary_key=True, index=True),
)


@dataclass(frozen=True)
class Intent:
    """The wish to write one object, recorded before its first byte."""

    object_id: str
    run_id: str
    subject_id: str | None
    kind: str
    store_key: str
    purposes: frozenset[Purpose]
    parents: tuple[str, ...]
    state: IntentState
    plain_bytes: int | None
    sealed_bytes: int | None
    sealed_sha256: str | None
    expires_at: datetime | None
    created_at: datetime
    visit_until: datetime | None
    artefact_id: str | None = None


@dataclass(frozen=True)
class StoredRow:
    """One object's row; a tombstone has only id, kind, times and digest."""

    id: str
    kind: str
    state: ObjectState
    subject_id: str | None
    upload_id: str | None
    store_key: str | None
    basis: dict[Purpose, int]
    region: str | None
    plain_bytes: int | None
    sealed_bytes: int | None
    sealed_sha256: str
    created_at: datetime
    expires_at: datetime | None
    erased_at: datetime | None
    artefact_id: str | None = None


def add_intent(connection: Connection, intent: Intent) -> None:
    """Record an intent."""
    values = dict(vars(intent))
    values["purposes"] = sorted(purpose.value for purpose in intent.purposes)
    values["parents"] = list(intent.parents)
    values["state"] = intent.state.value
    connection.execute(insert(INTENTS).values(**values))


def intent_by_id(connection: Connection, object_id: str) -> Intent | None:
    """The intent of one object."""
    row = connection.execute(select(INTENTS).where(INTENTS.c.object_id == object_id)).first()
    return _intent(row._mapping) if row else None


def intents_of_run(connection: Connection, run_id: str) -> list[Intent]:
    """Everything a run set out to write, in order."""
    rows = connection.execute(
        select(INTENTS)
        .where(INTENTS.c.run_id == run_id)
        .order_by(INTENTS.c.created_at, INTENTS.c.object_id)
    )
    return [_intent(row._mapping) for row in rows]


def reaped_intents(connection: Connection) -> list[Intent]:
    """Intents whose keys are to be visited again."""
    rows = connection.execute(select(INTENTS).where(INTENTS.c.state == IntentState.REAPED.value))
    return [_intent(row._mapping) for row in rows]


def mark_written(
    connection: Connection,
    object_id: str,
    *,
    plain_bytes: int,
    sealed_bytes: int,
    sealed_sha256: str,
) -> bool:
    """The bytes are whole; False when the intent is not open any more."""
    changed = connection.execute(
        update(INTENTS)
        .where(INTENTS.c.object_id == object_id, INTENTS.c.state == IntentState.OPEN.value)
        .values(
            state=IntentState.WRITTEN.value,
            plain_bytes=plain_bytes,
            sealed_bytes=sealed_bytes,
            sealed_sha256=sealed_sha256,
        )
    )
    return bool(changed.rowcount)


def mark_committed(connection: Connection, object_ids: Iterable[str]) -> None:
    """The objects exist from here on."""
    for object_id in object_ids:
        connection.execute(
            update(INTENTS)
            .where(INTENTS.c.object_id == object_id)
            .values(state=IntentState.COMMITTED.value)
        )


def mark_reaped(
    connection: Connection, object_ids: Iterable[str], *, visit_until: datetime
) -> list[Intent]:
    """Give intents up; returns those that are given up now, never one that was committed."""
    reaped = []
    for object_id in object_ids:
        connection.execute(
            update(INTENTS)
            .where(
                INTENTS.c.object_id == object_id,
                INTENTS.c.state.in_([IntentState.OPEN.value, IntentState.WRITTEN.value]),
            )
            .values(state=IntentState.REAPED.value, visit_until=visit_until)
        )
        intent = intent_by_id(connection, object_id)
        if intent is not None and intent.state is IntentState.REAPED:
            reaped.append(intent)
    return reaped


def forget_intent(connection: Connection, object_id: str) -> None:
    """Remove the row of a reaped intent whose key needs no more visits."""
    connection.execute(
        delete(INTENTS).where(
            INTENTS.c.object_id == object_id, INTENTS.c.state == IntentState.REAPED.value
        )
    )


def add_object(connection: Connection, row: StoredRow, parents: Iterable[str]) -> None:
    """Record a committed object and its lineage."""
    values = dict(vars(row))
    values["state"] = row.state.value
    values["basis"] = {purpose.value: sequence for purpose, sequence in row.basis.items()}
    connection.execute(insert(OBJECTS).values(**values))
    for parent in parents:
        connection.execute(insert(OBJECT_PARENTS).values(object_id=row.id, parent_id=parent))


def object_by_id(connection: Connection, object_id: str) -> StoredRow | None:
    """The object with this random id, tombstones included."""
    row = connection.execute(select(OBJECTS).where(OBJECTS.c.id == object_id)).first()
    return _stored(row._mapping) if row else None


def objects_by_ids(connection: Connection, object_ids: Iterable[str]) -> list[StoredRow]:
    """The objects with some random ids, tombstones included, in order of id."""
    wanted = sorted(set(object_ids))
    found: list[StoredRow] = []
    for start in range(0, len(wanted), _AT_ONCE):
        rows = connection.execute(
            select(OBJECTS)
            .where(OBJECTS.c.id.in_(wanted[start : start + _AT_ONCE]))
            .order_by(OBJECTS.c.id)
        )
        found += [_stored(row._mapping) for row in rows]
    return found


def parents_of(connection: Connection, object_id: str) -> tuple[str, ...]:
    """The objects that this one was made of, tombstones included."""
    rows = connection.execute(
        select(OBJECT_PARENTS.c.parent_id)
        .where(OBJECT_PARENTS.c.object_id == object_id)
        .order_by(OBJECT_PARENTS.c.parent_id)
    )
    return tuple(rows.scalars())


def objects_of_upload(
    connection: Connection, upload_id: str, *, kind: str | None = None
) -> list[StoredRow]:
    """What an upload left that is not erased, oldest first."""
    statement = select(OBJECTS).where(
        OBJECTS.c.upload_id == upload_id, OBJECTS.c.state == ObjectState.STORED.value
    )
    if kind is not None:
        statement = statement.where(OBJECTS.c.kind == kind)
    rows = connection.execute(statement.order_by(OBJECTS.c.created_at, OBJECTS.c.id))
    return [_stored(row._mapping) for row in rows]


def objects_of_subject(connection: Connection, subject_id: str, *, kind: str) -> list[StoredRow]:
    """A subject's stored objects of one kind, oldest first."""
    rows = connection.execute(
        select(OBJECTS)
        .where(
            OBJECTS.c.subject_id == subject_id,
            OBJECTS.c.kind == kind,
            OBJECTS.c.state == ObjectState.STORED.value,
        )
        .order_by(OBJECTS.c.created_at, OBJECTS.c.id)
    )
    return [_stored(row._mapping) for row in rows]


def all_objects_of_subject(connection: Connection, subject_id: str) -> list[StoredRow]:
    """Everything stored of a subject, whatever its kind, oldest first."""
    rows = connection.execute(
        select(OBJECTS)
        .where(OBJECTS.c.subject_id == subject_id, OBJECTS.c.state == ObjectState.STORED.value)
        .order_by(OBJECTS.c.created_at, OBJECTS.c.id)
    )
    return [_stored(row._mapping) for row in rows]


def objects_of_artefact(
    connection: Connection, artefact_id: str, *, kinds: Collection[str]
) -> list[StoredRow]:
    """An artefact's stored objects of some kinds, oldest first."""
    rows = connection.execute(
        select(OBJECTS)
        .where(
            OBJECTS.c.artefact_id == artefact_id,
            OBJECTS.c.kind.in_(list(kinds)),
            OBJECTS.c.state == ObjectState.STORED.value,
        )
        .order_by(OBJECTS.c.created_at, OBJECTS.c.id)
    )
    return [_stored(row._mapping) for row in rows]


def objects_in_state(connection: Connection, state: ObjectState) -> list[StoredRow]:
    """All objects in a state."""
    rows = connection.execute(select(OBJECTS).where(OBJECTS.c.state == state.value))
    return [_stored(row._mapping) for row in rows]


def quarantined_of_ended(connection: Connection) -> list[StoredRow]:
    """Quarantined copies whose upload has ended."""
    waiting = select(UPLOADS.c.id).where(UPLOADS.c.state.in_([state.value for state in WAITING]))
    rows = connection.execute(
        select(OBJECTS).where(
            OBJECTS.c.kind == "quarantined_upload",
            OBJECTS.c.state == ObjectState.STORED.value,
            OBJECTS.c.upload_id.not_in(waiting),
        )
    )
    return [_stored(row._mapping) for row in rows]


def expired_objects(connection: Connection, *, at: datetime) -> list[StoredRow]:
    """Stored objects whose time is over."""
    rows = connection.execute(
        select(OBJECTS).where(
            OBJECTS.c.state == ObjectState.STORED.value, OBJECTS.c.expires_at <= at
        )
    )
    return [_stored(row._mapping) for row in rows]


def known_among(connection: Connection, store_keys: list[str]) -> set[str]:
    """Those of some keys in the object store that a row accounts for."""
    known = set(
        connection.execute(
            select(INTENTS.c.store_key).where(INTENTS.c.store_key.in_(store_keys))
        ).scalars()
    )
    known.update(
        connection.execute(
            select(OBJECTS.c.store_key).where(OBJECTS.c.store_key.in_(store_keys))
        ).scalars()
    )
    return known


def mark_deleting(connection: Connection, object_ids: Iterable[str]) -> list[StoredRow]:
    """Take objects out of use; returns those that were stored or already being deleted."""
    found = []
    for object_id in object_ids:
        connection.execute(
            update(OBJECTS)
            .where(OBJECTS.c.id == object_id, OBJECTS.c.state == ObjectState.STORED.value)
            .values(state=ObjectState.DELETING.value)
        )
        row = object_by_id(connection, object_id)
        if row is not None and row.state is ObjectState.DELETING:
            found.append(row)
    return found


def mark_erased(connection: Connection, object_id: str, *, at: datetime) -> None:
    """Reduce a row to its tombstone: id, kind, times, ciphertext digest (invariant 5)."""
    connection.execute(
        update(OBJECTS)
        .where(OBJECTS.c.id == object_id, OBJECTS.c.state == ObjectState.DELETING.value)
        .values(
            state=ObjectState.ERASED.value,
            subject_id=None,
            upload_id=None,
            artefact_id=None,
            store_key=None,
            basis=None,
            region=None,
            plain_bytes=None,
            sealed_bytes=None,
            expires_at=None,
            erased_at=at,
        )
    )
    connection.execute(delete(OBJECT_PARENTS).where(OBJECT_PARENTS.c.object_id == object_id))
    connection.execute(delete(INTENTS).where(INTENTS.c.object_id == object_id))


def _intent(row: Any) -> Intent:
    values = dict(row)
    values["state"] = IntentState(values["state"])
    values["purposes"] = frozenset(Purpose(name) for name in values["purposes"])
    values["parents"] = tuple(values["parents"])
    return Intent(**values)


def _stored(row: Any) -> StoredRow:
    values = dict(row)
    values["state"] = ObjectState(values["state"])
    values["basis"] = {Purpose(name): seq for name, seq in (values["basis"] or {}).items()}
    return StoredRow(**values)
