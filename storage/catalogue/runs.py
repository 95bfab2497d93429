"""Runs: a piece of work that writes objects, with a lease and a fence.

A run's id is its fence token (invariant 1). Everything it writes names the run; committing is
conditional on the run being open, and a stopped or reaped run is never opened again. So what a
late, restarted or superseded worker writes can be told from what counts, whenever it arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    ForeignKey,
    Index,
    String,
    Table,
    insert,
    select,
    update,
)

from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA


class RunState(StrEnum):
    """Only an open run may write, read through its own writes, or commit."""

    OPEN = "open"
    COMMITTED = "committed"
    ABANDONED = "abandoned"
    """Given up by its own worker; its writes are being removed."""
    STOPPED = "stopped"
    """Stopped by a freeze."""
    REAPED = "reaped"
    """Its lease ran out."""


RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(32), primary_key=True),
    # None for a run on a shared base, which is several people's.
    Column("subject_id", String(32), ForeignKey("subjects.id"), index=True),
    Column("upload_id", String(32), ForeignKey("uploads.id"), index=True),
    Column("artefact_id", String(32), ForeignKey("artefacts.id"), index=True),
    Column("role", String(16), nullable=False),
    Column("worker", String(160), nullable=False),
    Column("purposes", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("lease_until", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
)

# Two workers that were handed the same upload: the second cannot begin.
Index(
    "uq_runs_open_upload",
    RUNS.c.upload_id,
    unique=True,
    sqlite_where=RUNS.c.state == RunState.OPEN.value,
    postgresql_where=RUNS.c.state == RunState.OPEN.value,
)


@dataclass(frozen=True)
class RunRow:
    """One run's row."""

    id: str
    subject_id: str | None
    upload_id: str | None
    role: str
    worker: str
    """Which process it is, so that a dead one need not be waited for; see `storage.worker`."""
    purposes: frozenset[Purpose]
    state: RunState
    lease_until: datetime
    created_at: datetime
    ended_at: datetime | None
    artefact_id: str | None = None
    """The artefact that it trains, or generates with."""


def add_run(connection: Connection, run: RunRow) -> None:
    """Record a run before it writes anything."""
    values = dict(vars(run))
    values["purposes"] = sorted(purpose.value for purpose in run.purposes)
    values["state"] = run.state.value
    connection.execute(insert(RUNS).values(**values))


def run_by_id(connection: Connection, run_id: str) -> RunRow | None:
    """The run with this id."""
    row = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).first()
    return _run(row._mapping) if row else None


def open_run_of(connection: Connection, upload_id: str) -> RunRow | None:
    """The open run that works on an upload."""
    row = connection.execute(
        select(RUNS).where(RUNS.c.upload_id == upload_id, RUNS.c.state == RunState.OPEN.value)
    ).first()
    return _run(row._mapping) if row else None


def open_training_of(connection: Connection, artefact_id: str) -> RunRow | None:
    """The open run that trains an artefact."""
    row = connection.execute(
        select(RUNS).where(
            RUNS.c.artefact_id == artefact_id,
            RUNS.c.role == Role.TRAINING.value,
            RUNS.c.state == RunState.OPEN.value,
        )
    ).first()
    return _run(row._mapping) if row else None


def open_runs_of_subject(connection: Connection, subject_id: str) -> list[RunRow]:
    """The open runs on a subject's uploads, oldest first."""
    rows = connection.execute(
        select(RUNS)
        .where(RUNS.c.subject_id == subject_id, RUNS.c.state == RunState.OPEN.value)
        .order_by(RUNS.c.created_at)
    )
    return [_run(row._mapping) for row in rows]


def was_begun(connection: Connection, upload_id: str) -> bool:
    """True when any run was ever begun on an upload."""
    return (
        connection.execute(select(RUNS.c.id).where(RUNS.c.upload_id == upload_id)).first()
        is not None
    )


def runs_in_state(connection: Connection, state: RunState) -> list[RunRow]:
    """All runs in a state, oldest first."""
    rows = connection.execute(
        select(RUNS).where(RUNS.c.state == state.value).order_by(RUNS.c.created_at)
    )
    return [_run(row._mapping) for row in rows]


def end_run(connection: Connection, run_id: str, state: RunState, *, at: datetime) -> bool:
    """End an open run; False when it was not open any more."""
    changed = connection.execute(
        update(RUNS)
        .where(RUNS.c.id == run_id, RUNS.c.state == RunState.OPEN.value)
        .values(state=state.value, ended_at=at)
    )
    return bool(changed.rowcount)


def renew_lease(connection: Connection, run_id: str, *, until: datetime) -> bool:
    """Lengthen an open run's lease; False when it is not open any more."""
    changed = connection.execute(
        update(RUNS)
        .where(RUNS.c.id == run_id, RUNS.c.state == RunState.OPEN.value)
        .values(lease_until=until)
    )
    return bool(changed.rowcount)


def unfinished_runs(connection: Connection) -> list[RunRow]:
    """Ended runs that did not commit; their writes may still be lying about."""
    ended = [state.value for state in RunState if state not in {RunState.OPEN, RunState.COMMITTED}]
    rows = connection.execute(select(RUNS).where(RUNS.c.state.in_(ended)))
    return [_run(row._mapping) for row in rows]


def stop_runs(
    connection: Connection,
    *,
    scope_condition: Any,
    purpose: Purpose | None,
    at: datetime,
) -> int:
    """Stop open runs under a condition on RUNS; with a purpose, those that use it."""
    stopped = 0
    rows = connection.execute(
        select(RUNS.c.id, RUNS.c.purposes).where(
            RUNS.c.state == RunState.OPEN.value, scope_condition
        )
    ).all()
    for row in rows:
        if purpose is None or purpose.value in row.purposes:
            stopped += end_run(connection, row.id, RunState.STOPPED, at=at)
    return stopped


def _run(row: Any) -> RunRow:
    values = dict(row)
    values["state"] = RunState(values["state"])
    values["purposes"] = frozenset(Purpose(name) for name in values["purposes"])
    return RunRow(**values)
