"""What came of what: from people and uploads to the artefacts made of them, by snapshot members."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from storage.catalogue.artefacts import ARTEFACTS, ArtefactState
from storage.catalogue.freezes import Scope
from storage.catalogue.people import SUBJECTS
from storage.catalogue.runs import RUNS
from storage.catalogue.snapshots import SNAPSHOT_MEMBERS

_GONE = (ArtefactState.ERASED.value, ArtefactState.FAILED.value)


def runs_in(
    scope: Scope, scope_id: str, *, with_uploads: Collection[str] = ()
) -> ColumnElement[bool]:
    """The condition on RUNS for work on a scope, trainings that read something of it included.

    `with_uploads` are the uploads that stop together with an avatar.
    """
    if scope is Scope.AVATAR:
        of_avatar = select(ARTEFACTS.c.id).where(ARTEFACTS.c.avatar_id == scope_id)
        uploads = list(with_uploads)
        return or_(
            RUNS.c.artefact_id.in_(of_avatar),
            RUNS.c.upload_id.in_(uploads),
            RUNS.c.artefact_id.in_(_made_of(SNAPSHOT_MEMBERS.c.upload_id.in_(uploads))),
        )
    if scope is Scope.UPLOAD:
        return or_(
            RUNS.c.upload_id == scope_id,
            RUNS.c.artefact_id.in_(_made_of(SNAPSHOT_MEMBERS.c.upload_id == scope_id)),
        )
    people = [scope_id] if scope is Scope.SUBJECT else _of_account(scope_id)
    return or_(
        RUNS.c.subject_id.in_(people),
        RUNS.c.artefact_id.in_(_made_of(SNAPSHOT_MEMBERS.c.subject_id.in_(people))),
    )


def uploads_of_avatar(connection: Connection, avatar_id: str) -> set[str]:
    """The uploads that anything of an avatar was trained on."""
    rows = connection.execute(
        select(SNAPSHOT_MEMBERS.c.upload_id)
        .join(ARTEFACTS, ARTEFACTS.c.snapshot_id == SNAPSHOT_MEMBERS.c.snapshot_id)
        .where(ARTEFACTS.c.avatar_id == avatar_id)
        .distinct()
    )
    return set(rows.scalars())


def other_avatars_of(connection: Connection, avatar_id: str) -> dict[str, set[str]]:
    """The other avatars that were trained on an avatar's uploads, each with the shared uploads."""
    mine = uploads_of_avatar(connection, avatar_id)
    rows = connection.execute(
        select(ARTEFACTS.c.avatar_id, SNAPSHOT_MEMBERS.c.upload_id)
        .join(SNAPSHOT_MEMBERS, ARTEFACTS.c.snapshot_id == SNAPSHOT_MEMBERS.c.snapshot_id)
        .where(
            ARTEFACTS.c.avatar_id.is_not(None),
            ARTEFACTS.c.avatar_id != avatar_id,
            ARTEFACTS.c.state.not_in(_GONE),
            SNAPSHOT_MEMBERS.c.upload_id.in_(mine),
        )
        .distinct()
    )
    found: dict[str, set[str]] = {}
    for other, upload in rows:
        found.setdefault(other, set()).add(upload)
    return found


def uploads_that_go(connection: Connection, avatar_id: str, *, keep_shared: bool) -> set[str]:
    """The uploads that are deleted together with an avatar (Policy P15)."""
    mine = uploads_of_avatar(connection, avatar_id)
    if not keep_shared:
        return mine
    return mine.difference(*other_avatars_of(connection, avatar_id).values())


def artefacts_of_uploads(connection: Connection, uploads: Collection[str]) -> set[str]:
    """The artefacts that are not gone and were trained on one of some uploads."""
    return _artefacts(connection, SNAPSHOT_MEMBERS.c.upload_id.in_(list(uploads)))


def artefacts_of_people(connection: Connection, subjects: Collection[str]) -> set[str]:
    """The artefacts that are not gone and were trained on something of one of some people."""
    return _artefacts(connection, SNAPSHOT_MEMBERS.c.subject_id.in_(list(subjects)))


def _artefacts(connection: Connection, condition: ColumnElement[bool]) -> set[str]:
    rows = connection.execute(_made_of(condition).where(ARTEFACTS.c.state.not_in(_GONE)))
    return set(rows.scalars())


def _made_of(condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(ARTEFACTS.c.id)
        .join(SNAPSHOT_MEMBERS, ARTEFACTS.c.snapshot_id == SNAPSHOT_MEMBERS.c.snapshot_id)
        .where(condition)
        .distinct()
    )


def _of_account(account_id: str) -> Select[Any]:
    return select(SUBJECTS.c.id).where(SUBJECTS.c.account_id == account_id)
