"""Dataset snapshots: the frozen list of what one training run read (Words: dataset snapshot)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    String,
    Table,
    exists,
    insert,
    select,
)

from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.freezes import FREEZES, Scope
from storage.catalogue.metadata import METADATA
from storage.catalogue.people import ACCOUNTS, SUBJECTS

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("purpose", String(32), nullable=False),
    # SHA-256 over the members' ids and ciphertext digests: equal lists have equal digests.
    Column("digest", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

SNAPSHOT_MEMBERS = Table(
    "snapshot_members",
    METADATA,
    Column("snapshot_id", String(32), ForeignKey("snapshots.id"), primary_key=True),
    Column("object_id", String(32), primary_key=True, index=True),
    Column("upload_id", String(32), ForeignKey("uploads.id"), nullable=False, index=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), nullable=False, index=True),
    # The consent that the snapshot rests on for this member.
    Column("grant_sequence", Integer, nullable=False),
    Column("sealed_sha256", String(64), nullable=False),
)
"""Members of an erased person are deleted; the snapshot keeps its digest."""


@dataclass(frozen=True)
class Snapshot:
    """One frozen list."""

    id: str
    purpose: Purpose
    digest: str
    created_at: datetime


@dataclass(frozen=True)
class Member:
    """One object of a snapshot, with whose it is and the consent it rests on."""

    object_id: str
    upload_id: str
    subject_id: str
    grant_sequence: int
    sealed_sha256: str


def digest_of(members: Iterable[Member]) -> str:
    """The digest of a list, whatever its order: ids and ciphertext digests, a line each."""
    lines = sorted(f"{member.object_id} {member.sealed_sha256}\n" for member in members)
    return sha256("".join(lines).encode()).hexdigest()


def add_snapshot(connection: Connection, snapshot: Snapshot, members: Iterable[Member]) -> None:
    """Record a snapshot and its members."""
    values = {**vars(snapshot), "purpose": snapshot.purpose.value}
    connection.execute(insert(SNAPSHOTS).values(**values))
    rows = [{"snapshot_id": snapshot.id, **vars(member)} for member in members]
    if rows:
        connection.execute(insert(SNAPSHOT_MEMBERS), rows)


def snapshot_by_id(connection: Connection, snapshot_id: str) -> Snapshot | None:
    """The snapshot with this random id."""
    row = connection.execute(select(SNAPSHOTS).where(SNAPSHOTS.c.id == snapshot_id)).first()
    if row is None:
        return None
    return Snapshot(**{**row._mapping, "purpose": Purpose(row.purpose)})


def members_of(connection: Connection, snapshot_id: str) -> list[Member]:
    """The members that are left, by object id."""
    rows = connection.execute(
        select(SNAPSHOT_MEMBERS)
        .where(SNAPSHOT_MEMBERS.c.snapshot_id == snapshot_id)
        .order_by(SNAPSHOT_MEMBERS.c.object_id)
    )
    return [_member(row._mapping) for row in rows]


def frozen_uploads(connection: Connection, snapshot_id: str) -> set[str]:
    """The uploads of a snapshot that a freeze in force is about."""
    member = exists().where(
        SNAPSHOT_MEMBERS.c.snapshot_id == snapshot_id,
        SNAPSHOT_MEMBERS.c.upload_id == FREEZES.c.scope_id,
    )
    rows = connection.execute(
        select(FREEZES.c.scope_id)
        .where(FREEZES.c.scope == Scope.UPLOAD.value, FREEZES.c.lifted_at.is_(None), member)
        .distinct()
    )
    return set(rows.scalars())


def lock_people(connection: Connection, subject_ids: Iterable[str]) -> None:
    """Hold the rows of several people and their accounts FOR SHARE, as one check of them all.

    Accounts come before people, each in order of id: with the same order everywhere, checks and
    freezes never wait for each other in a circle. SQLite's writers already exclude each other.
    """
    if connection.dialect.name == "sqlite":
        return
    wanted = list(subject_ids)
    of_them = select(SUBJECTS.c.account_id).where(SUBJECTS.c.id.in_(wanted))
    for statement in (
        select(ACCOUNTS.c.id).where(ACCOUNTS.c.id.in_(of_them)).order_by(ACCOUNTS.c.id),
        select(SUBJECTS.c.id).where(SUBJECTS.c.id.in_(wanted)).order_by(SUBJECTS.c.id),
    ):
        connection.execute(statement.with_for_update(read=True))


def _member(row: Any) -> Member:
    return Member(**{name: row[name] for name in Member.__dataclass_fields__})
