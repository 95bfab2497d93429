"""Artefacts: trained clones, humans and shared bases, and what was generated from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Float,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    insert,
    select,
    update,
)

from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA


class ArtefactState(StrEnum):
    """What an artefact is now."""

    TRAINING = "training"
    REGISTERED = "registered"
    TAINTED = "tainted"
    """A shared base one of whose people was erased: used until its deadline at most."""
    FAILED = "failed"
    """Training ended without a model; nothing of it is kept."""
    ERASED = "erased"


ARTEFACTS = Table(
    "artefacts",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("task", String(16), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    # None for a shared base, whose people are its snapshot's.
    Column("subject_id", String(32), ForeignKey("subjects.id"), index=True),
    Column("avatar_id", String(32), ForeignKey("avatars.id"), index=True),
    Column("snapshot_id", String(32), ForeignKey("snapshots.id"), index=True),
    # The shared base it was adapted from.
    Column("base_id", String(32), index=True),
    Column("engine", String(80), nullable=False),
    Column("engine_version", String(40), nullable=False),
    # Numbers and codes of the evaluation, nothing of the person.
    Column("metrics", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("registered_at", UtcDateTime),
    Column("tainted_at", UtcDateTime),
    Column("retrain_by", UtcDateTime),
    Column("erased_at", UtcDateTime),
)

GENERATIONS = Table(
    "generations",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("artefact_id", String(32), ForeignKey("artefacts.id"), nullable=False, index=True),
    Column("avatar_id", String(32), ForeignKey("avatars.id"), index=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), index=True),
    # Who asked, and for what: words of people.
    Column("request_sealed", LargeBinary),
    Column("seconds", Float),
    Column("created_at", UtcDateTime, nullable=False),
    Column("erased_at", UtcDateTime),
)


@dataclass(frozen=True)
class Artefact:
    """One artefact; an erased one has only id, task, engine and times."""

    id: str
    task: Task
    purpose: Purpose
    state: ArtefactState
    subject_id: str | None
    avatar_id: str | None
    snapshot_id: str | None
    base_id: str | None
    engine: str
    engine_version: str
    metrics: dict[str, Any]
    created_at: datetime
    registered_at: datetime | None = None
    tainted_at: datetime | None = None
    retrain_by: datetime | None = None
    erased_at: datetime | None = None


@dataclass(frozen=True)
class Generation:
    """One labelled file that was made from an artefact; its object names it."""

    id: str
    artefact_id: str
    avatar_id: str | None
    subject_id: str | None
    request_sealed: bytes | None
    seconds: float | None
    created_at: datetime
    erased_at: datetime | None = None


def add_artefact(connection: Connection, artefact: Artefact) -> None:
    """Record an artefact before its training begins."""
    values = dict(vars(artefact))
    for name in ("task", "purpose", "state"):
        values[name] = values[name].value
    connection.execute(insert(ARTEFACTS).values(**values))


def artefact_by_id(connection: Connection, artefact_id: str) -> Artefact | None:
    """The artefact with this random id, erased ones included."""
    found = artefacts_where(connection, ARTEFACTS.c.id == artefact_id)
    return found[0] if found else None


def artefacts_of_avatar(connection: Connection, avatar_id: str) -> list[Artefact]:
    """Everything that was trained for an avatar, oldest first."""
    return artefacts_where(connection, ARTEFACTS.c.avatar_id == avatar_id)


def artefacts_of_subject(connection: Connection, subject_id: str) -> list[Artefact]:
    """Everything that was trained of a person alone, oldest first."""
    return artefacts_where(connection, ARTEFACTS.c.subject_id == subject_id)


def artefacts_where(connection: Connection, condition: Any) -> list[Artefact]:
    """The artefacts under a condition, oldest first."""
    rows = connection.execute(
        select(ARTEFACTS).where(condition).order_by(ARTEFACTS.c.created_at, ARTEFACTS.c.id)
    )
    return [_artefact(row._mapping) for row in rows]


def change_artefact(
    connection: Connection, artefact_id: str, *, expected: frozenset[ArtefactState], **values: Any
) -> bool:
    """Change an artefact's row if it is in one of the expected states; says whether it was."""
    if "state" in values:
        values["state"] = ArtefactState(values["state"]).value
    changed = connection.execute(
        update(ARTEFACTS)
        .where(ARTEFACTS.c.id == artefact_id, ARTEFACTS.c.state.in_([s.value for s in expected]))
        .values(**values)
    )
    return bool(changed.rowcount)


def hold_training(connection: Connection, artefact_id: str) -> bool:
    """Hold an artefact's row until the end of the transaction; False where it does not train.

    Whoever begins, ends or gives up its training does so first, so that only one of them does.
    """
    return change_artefact(
        connection,
        artefact_id,
        expected=frozenset({ArtefactState.TRAINING}),
        state=ArtefactState.TRAINING,
    )


def fail_training(connection: Connection, artefact_id: str) -> bool:
    """A training ends without a model; False where it had ended."""
    return change_artefact(
        connection,
        artefact_id,
        expected=frozenset({ArtefactState.TRAINING}),
        state=ArtefactState.FAILED,
    )


def add_generation(connection: Connection, generation: Generation) -> None:
    """Record a generation, in the transaction that makes its object exist."""
    connection.execute(insert(GENERATIONS).values(**vars(generation)))


def describe_generation(
    connection: Connection, generation_id: str, *, seconds: float, request_sealed: bytes | None
) -> None:
    """Add what was asked for and how long what was made is."""
    connection.execute(
        update(GENERATIONS)
        .where(GENERATIONS.c.id == generation_id)
        .values(seconds=seconds, request_sealed=request_sealed)
    )


def generations_where(connection: Connection, condition: Any) -> list[Generation]:
    """The generations under a condition that are not erased, oldest first."""
    rows = connection.execute(
        select(GENERATIONS)
        .where(condition, GENERATIONS.c.erased_at.is_(None))
        .order_by(GENERATIONS.c.created_at, GENERATIONS.c.id)
    )
    return [Generation(**row._mapping) for row in rows]


def generations_of_subject(connection: Connection, subject_id: str) -> list[Generation]:
    """What was generated of a person and is not erased, oldest first."""
    return generations_where(connection, GENERATIONS.c.subject_id == subject_id)


def _artefact(row: Any) -> Artefact:
    values = dict(row)
    values["task"] = Task(values["task"])
    values["purpose"] = Purpose(values["purpose"])
    values["state"] = ArtefactState(values["state"])
    return Artefact(**values)
