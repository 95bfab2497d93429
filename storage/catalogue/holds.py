"""Holds: legal stops on erasure (Policy P20)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Integer, String, Table, insert, select, update

from storage.catalogue import avatars, lineage, people, uploads
from storage.catalogue.artefacts import ARTEFACTS
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.freezes import Scope
from storage.catalogue.metadata import METADATA
from storage.catalogue.people import Subject
from storage.catalogue.snapshots import SNAPSHOT_MEMBERS
from storage.catalogue.uploads import UPLOADS

HOLDS = Table(
    "holds",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("scope_id", String(32), nullable=False, index=True),
    # Policy P20 a-h.
    Column("case", String(1), nullable=False),
    Column("document_digest", String(64), nullable=False),
    Column("ledger_sequence", Integer, nullable=False),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("lifted_at", UtcDateTime),
)


@dataclass(frozen=True)
class Hold:
    """One hold."""

    id: str
    scope: Scope
    scope_id: str
    case: str
    document_digest: str
    ledger_sequence: int
    placed_at: datetime
    expires_at: datetime
    lifted_at: datetime | None = None


def add_hold(connection: Connection, hold: Hold) -> None:
    """Record a hold; from its commit on nothing in its scope is erased."""
    connection.execute(insert(HOLDS).values(**{**vars(hold), "scope": hold.scope.value}))


def lift_hold(connection: Connection, hold_id: str, *, at: datetime) -> bool:
    """Lift a hold; False where it was lifted before."""
    changed = connection.execute(
        update(HOLDS).where(HOLDS.c.id == hold_id, HOLDS.c.lifted_at.is_(None)).values(lifted_at=at)
    )
    return bool(changed.rowcount)


def hold_by_id(connection: Connection, hold_id: str) -> Hold | None:
    """The hold with this id."""
    row = connection.execute(select(HOLDS).where(HOLDS.c.id == hold_id)).first()
    return _hold(row._mapping) if row else None


def all_holds(connection: Connection) -> list[Hold]:
    """Every hold ever placed, oldest first."""
    rows = connection.execute(select(HOLDS).order_by(HOLDS.c.ledger_sequence, HOLDS.c.id))
    return [_hold(row._mapping) for row in rows]


def holds_in_force(connection: Connection, *, at: datetime) -> list[Hold]:
    """Every hold that is neither lifted nor over, oldest first."""
    rows = connection.execute(
        select(HOLDS)
        .where(HOLDS.c.lifted_at.is_(None), HOLDS.c.expires_at > at)
        .order_by(HOLDS.c.ledger_sequence, HOLDS.c.id)
    )
    return [_hold(row._mapping) for row in rows]


def holds_over(
    connection: Connection, scopes: Iterable[tuple[Scope, str]], *, at: datetime
) -> list[Hold]:
    """The holds in force that have something in common with one of some scopes, oldest first.

    While there is one, nothing in these scopes is erased or expires.
    """
    in_force = holds_in_force(connection, at=at)
    if not in_force:
        return []
    reached = {
        each for scope, scope_id in scopes for each in overlapping(connection, scope, scope_id)
    }
    return [hold for hold in in_force if (hold.scope, hold.scope_id) in reached]


def overlapping(connection: Connection, scope: Scope, scope_id: str) -> set[tuple[Scope, str]]:
    """Every scope that has something in common with one, itself included.

    Whatever holds it (the subject and account of an upload), whatever it holds (the uploads and
    avatars of a subject), and by lineage the uploads that an avatar was trained on, and every
    avatar that was trained on one of them. Two scopes overlap both ways or not at all.
    """
    reached = {(scope, scope_id)}
    if scope is Scope.ACCOUNT:
        subjects = [each.id for each in people.subjects_of_account(connection, scope_id)]
        return reached.union(*(_within(connection, each) for each in subjects))
    subject = subject_of(connection, scope, scope_id)
    if subject is None:
        return reached
    reached.add((Scope.SUBJECT, subject.id))
    if subject.account_id is not None:
        reached.add((Scope.ACCOUNT, subject.account_id))
    if scope is Scope.SUBJECT:
        return reached | _within(connection, subject.id)
    return reached | _by_lineage(connection, scope, scope_id)


def subject_of(connection: Connection, scope: Scope, scope_id: str) -> Subject | None:
    """The subject that a subject's, an upload's or an avatar's scope is about; None for an account,
    and where it was erased or never was."""
    subject_id: str | None = None
    if scope is Scope.SUBJECT:
        subject_id = scope_id
    elif scope is Scope.UPLOAD:
        upload = uploads.upload_by_id(connection, scope_id)
        subject_id = upload.subject_id if upload else None
    elif scope is Scope.AVATAR:
        avatar = avatars.avatar_by_id(connection, scope_id)
        subject_id = avatar.subject_id if avatar else None
    return people.subject_by_id(connection, subject_id) if subject_id else None


def _within(connection: Connection, subject_id: str) -> set[tuple[Scope, str]]:
    """A subject, with its uploads and avatars."""
    theirs = UPLOADS.c.subject_id == subject_id
    return {
        (Scope.SUBJECT, subject_id),
        *((Scope.UPLOAD, each) for each in connection.scalars(select(UPLOADS.c.id).where(theirs))),
        *((Scope.AVATAR, each.id) for each in avatars.avatars_of(connection, subject_id)),
    }


def _by_lineage(connection: Connection, scope: Scope, scope_id: str) -> set[tuple[Scope, str]]:
    """The uploads that an avatar was trained on, and the avatars trained on those or on an
    upload."""
    made_of = {scope_id}
    if scope is Scope.AVATAR:
        made_of = lineage.uploads_of_avatar(connection, scope_id)
    trained = (
        select(ARTEFACTS.c.avatar_id)
        .join(SNAPSHOT_MEMBERS, SNAPSHOT_MEMBERS.c.snapshot_id == ARTEFACTS.c.snapshot_id)
        .where(SNAPSHOT_MEMBERS.c.upload_id.in_(made_of), ARTEFACTS.c.avatar_id.is_not(None))
        .distinct()
    )
    return {
        *((Scope.UPLOAD, each) for each in made_of),
        *((Scope.AVATAR, each) for each in connection.scalars(trained)),
    }


def _hold(row: Any) -> Hold:
    return Hold(**{**row, "scope": Scope(row["scope"])})
