"""Who read what and why (Policy P11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.catalogue.decisions import ACCESS_LOG
from storage.identifiers import random_id


@dataclass(frozen=True)
class Access:
    """One opened object."""

    at: datetime
    object_id: str
    kind: str
    role: str
    operation: str
    purposes: tuple[str, ...]
    reference: str
    count: int | None = None
    """How many objects, where one entry stands for a whole snapshot."""


def record_access(
    connection: Connection,
    *,
    at: datetime,
    object_id: str,
    subject_id: str,
    kind: str,
    role: Role,
    operation: str,
    purposes: Iterable[Purpose],
    reference: str,
) -> None:
    """Write the entry, in the transaction of the check that lets the reader in."""
    connection.execute(
        insert(ACCESS_LOG).values(
            id=random_id(),
            at=at,
            object_id=object_id,
            subject_id=subject_id,
            kind=kind,
            role=role.value,
            operation=operation,
            purposes=",".join(sorted(purpose.value for purpose in purposes)),
            reference=reference,
        )
    )


def record_snapshot_access(
    connection: Connection,
    *,
    at: datetime,
    snapshot_id: str,
    subject_id: str,
    role: Role,
    purposes: Iterable[Purpose],
    reference: str,
    count: int,
) -> None:
    """One entry for everything of a person's that a training reads: it names the snapshot, whose
    list is frozen."""
    connection.execute(
        insert(ACCESS_LOG).values(
            id=random_id(),
            at=at,
            object_id=snapshot_id,
            subject_id=subject_id,
            kind="snapshot",
            role=role.value,
            operation="process",
            purposes=",".join(sorted(purpose.value for purpose in purposes)),
            reference=reference,
            object_count=count,
        )
    )


def accesses_to(connection: Connection, subject_id: str) -> list[Access]:
    """Everything of a subject's that was opened, oldest first."""
    rows = connection.execute(
        select(ACCESS_LOG)
        .where(ACCESS_LOG.c.subject_id == subject_id)
        .order_by(ACCESS_LOG.c.at, ACCESS_LOG.c.id)
    )
    return [
        Access(
            at=row.at,
            object_id=row.object_id,
            kind=row.kind,
            role=row.role,
            operation=row.operation,
            purposes=tuple(filter(None, row.purposes.split(","))),
            reference=row.reference,
            count=row.object_count,
        )
        for row in rows
    ]
