"""Reducing rows to tombstones: random id, kind, times and ciphertext digest stay (invariant 5)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, delete, or_, select, update

from models.schema.purposes import Purpose
from storage.catalogue.artefacts import ARTEFACTS, GENERATIONS, ArtefactState
from storage.catalogue.avatars import AVATARS
from storage.catalogue.challenges import CHALLENGES
from storage.catalogue.disclosures import DISCLOSURES
from storage.catalogue.objects import INTENTS, OBJECT_PARENTS, OBJECTS, ObjectState
from storage.catalogue.people import ACCOUNTS, SUBJECTS
from storage.catalogue.requests import REQUESTS
from storage.catalogue.runs import RUNS
from storage.catalogue.snapshots import SNAPSHOT_MEMBERS
from storage.catalogue.uploads import UPLOADS, UploadState

_PAGE = 500
"""Ids in one statement: SQLite and PostgreSQL both take several thousand parameters."""


def take_out_of_use(connection: Connection, object_ids: Collection[str]) -> None:
    """No check that begins after this commit finds these objects stored."""
    for condition in _among(OBJECTS.c.id, object_ids):
        connection.execute(
            update(OBJECTS)
            .where(condition, OBJECTS.c.state == ObjectState.STORED.value)
            .values(state=ObjectState.DELETING.value)
        )


def reduce_objects(connection: Connection, object_ids: Collection[str], *, at: datetime) -> None:
    """Objects whose bytes and keys are gone."""
    for condition in _among(OBJECTS.c.id, object_ids):
        connection.execute(
            update(OBJECTS)
            .where(condition, OBJECTS.c.state != ObjectState.ERASED.value)
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
    for condition in _among(OBJECT_PARENTS.c.object_id, object_ids):
        connection.execute(delete(OBJECT_PARENTS).where(condition))
    for condition in _among(INTENTS.c.object_id, object_ids):
        connection.execute(delete(INTENTS).where(condition))


def narrow_objects(connection: Connection, object_ids: Collection[str], purpose: Purpose) -> None:
    """Objects that lose a purpose and stay for others."""
    for condition in _among(OBJECTS.c.id, object_ids):
        for row in connection.execute(select(OBJECTS.c.id, OBJECTS.c.basis).where(condition)).all():
            if row.basis:  # another order may have erased it since the plan was made
                _narrow(connection, OBJECTS, row.id, row.basis, purpose)


def narrow_uploads(connection: Connection, upload_ids: Collection[str], purpose: Purpose) -> None:
    """Uploads that lose a purpose and stay for others."""
    for condition in _among(UPLOADS.c.id, upload_ids):
        for row in connection.execute(select(UPLOADS.c.id, UPLOADS.c.basis).where(condition)).all():
            _narrow(connection, UPLOADS, row.id, row.basis, purpose)


def reduce_uploads(connection: Connection, upload_ids: Collection[str]) -> None:
    """Uploads of which nothing is left; the runs on them name nobody any more."""
    for condition in _among(UPLOADS.c.id, upload_ids):
        connection.execute(
            update(UPLOADS)
            .where(condition)
            .values(
                state=UploadState.ERASED.value,
                subject_id=None,
                account_id=None,
                basis={},
                size_bytes=None,
                digest=None,
                file_name_sealed=None,
                transcript_sealed=None,
                duplicate_of=None,
                reasons=[],
                outcome={},
                expires_at=None,
            )
        )
    for condition in _among(UPLOADS.c.duplicate_of, upload_ids):
        connection.execute(update(UPLOADS).where(condition).values(duplicate_of=None))
    for condition in _among(SNAPSHOT_MEMBERS.c.upload_id, upload_ids):
        connection.execute(delete(SNAPSHOT_MEMBERS).where(condition))
    for condition in _among(CHALLENGES.c.upload_id, upload_ids):
        connection.execute(delete(CHALLENGES).where(condition))
    for condition in _among(RUNS.c.upload_id, upload_ids):
        connection.execute(update(RUNS).where(condition).values(subject_id=None))
        mine = select(RUNS.c.id).where(condition)
        connection.execute(
            update(INTENTS).where(INTENTS.c.run_id.in_(mine)).values(subject_id=None, parents=[])
        )


def reduce_artefacts(
    connection: Connection, artefact_ids: Collection[str], *, at: datetime
) -> None:
    """Artefacts of which nothing is left; their snapshots keep a digest alone."""
    for condition in _among(ARTEFACTS.c.id, artefact_ids):
        snapshots = select(ARTEFACTS.c.snapshot_id).where(condition)
        connection.execute(
            delete(SNAPSHOT_MEMBERS).where(SNAPSHOT_MEMBERS.c.snapshot_id.in_(snapshots))
        )
        connection.execute(
            update(ARTEFACTS)
            .where(condition)
            .values(
                state=ArtefactState.ERASED.value,
                subject_id=None,
                avatar_id=None,
                base_id=None,
                metrics={},
                erased_at=at,
            )
        )
    for condition in _among(RUNS.c.artefact_id, artefact_ids):
        connection.execute(update(RUNS).where(condition).values(subject_id=None))
    for condition in _among(INTENTS.c.artefact_id, artefact_ids):
        connection.execute(update(INTENTS).where(condition).values(subject_id=None, parents=[]))


def reduce_generations(
    connection: Connection, generation_ids: Collection[str], *, at: datetime
) -> None:
    """Generations of which nothing is left."""
    for condition in _among(GENERATIONS.c.id, generation_ids):
        connection.execute(
            update(GENERATIONS)
            .where(condition)
            .values(
                subject_id=None, avatar_id=None, request_sealed=None, seconds=None, erased_at=at
            )
        )


def reduce_avatars(connection: Connection, avatar_ids: Collection[str], *, at: datetime) -> None:
    """Avatars of which nothing is left."""
    for condition in _among(AVATARS.c.id, avatar_ids):
        connection.execute(
            update(AVATARS).where(condition).values(subject_id=None, name_sealed=None, erased_at=at)
        )


def forget_members(
    connection: Connection,
    snapshot_ids: Collection[str],
    subject_id: str,
    *,
    upload_id: str | None,
    before: int,
) -> None:
    """Take out of snapshots of several people what of one person, or of one of their uploads,
    rests on consents older than a ledger entry."""
    whose = [
        SNAPSHOT_MEMBERS.c.subject_id == subject_id,
        SNAPSHOT_MEMBERS.c.grant_sequence < before,
    ]
    if upload_id is not None:
        whose.append(SNAPSHOT_MEMBERS.c.upload_id == upload_id)
    for condition in _among(SNAPSHOT_MEMBERS.c.snapshot_id, snapshot_ids):
        connection.execute(delete(SNAPSHOT_MEMBERS).where(condition, *whose))


def taint(
    connection: Connection, artefact_ids: Collection[str], *, at: datetime, retrain_by: datetime
) -> None:
    """Mark shared bases; the earliest deadline stands (invariant 8)."""
    for condition in _among(ARTEFACTS.c.id, artefact_ids):
        connection.execute(
            update(ARTEFACTS)
            .where(condition, ARTEFACTS.c.state == ArtefactState.REGISTERED.value)
            .values(state=ArtefactState.TAINTED.value, tainted_at=at, retrain_by=retrain_by)
        )


def forget_subject(connection: Connection, subject_id: str, *, at: datetime) -> Mapping[str, int]:
    """A person whose objects, uploads and avatars are gone; returns the rows deleted, by group.

    The ledger's payloads are the ledger's own to remove.
    """
    # What was refused since the plan was made has a row too.
    late = connection.execute(select(UPLOADS.c.id).where(UPLOADS.c.subject_id == subject_id))
    refused = list(late.scalars())
    reduce_uploads(connection, refused)
    removed: dict[str, int] = {"uploads": len(refused)}
    for group, table in (
        ("challenges", CHALLENGES),
        ("disclosures", DISCLOSURES),
        ("requests", REQUESTS),
        ("snapshot_members", SNAPSHOT_MEMBERS),
    ):
        gone = connection.execute(delete(table).where(table.c.subject_id == subject_id))
        removed[group] = int(gone.rowcount)
    for table in (RUNS, INTENTS):
        connection.execute(
            update(table).where(table.c.subject_id == subject_id).values(subject_id=None)
        )
    connection.execute(
        update(SUBJECTS)
        .where(SUBJECTS.c.id == subject_id, SUBJECTS.c.erased_at.is_(None))
        .values(pseudonym=None, account_id=None, erased_at=at)
    )
    return removed


def forget_account(connection: Connection, account_id: str, *, at: datetime) -> None:
    """An account that is closed and has no people any more."""
    connection.execute(
        update(UPLOADS).where(UPLOADS.c.account_id == account_id).values(account_id=None)
    )
    connection.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.erased_at.is_(None))
        .values(pseudonym=None, erased_at=at)
    )


def named_nowhere(connection: Connection, subject_id: str) -> bool:
    """Whether no row but a person's own tombstone names them, the ledger's aside."""
    return (
        not any(
            connection.execute(
                select(table.c.subject_id).where(table.c.subject_id == subject_id)
            ).first()
            for table in (
                ARTEFACTS,
                AVATARS,
                CHALLENGES,
                DISCLOSURES,
                GENERATIONS,
                INTENTS,
                OBJECTS,
                REQUESTS,
                RUNS,
                SNAPSHOT_MEMBERS,
                UPLOADS,
            )
        )
        and not connection.execute(
            select(SUBJECTS.c.id).where(
                SUBJECTS.c.id == subject_id,
                or_(SUBJECTS.c.pseudonym.is_not(None), SUBJECTS.c.account_id.is_not(None)),
            )
        ).first()
    )


def _narrow(
    connection: Connection, table: Table, row_id: str, basis: dict[str, int], purpose: Purpose
) -> None:
    left = {name: sequence for name, sequence in basis.items() if name != purpose.value}
    connection.execute(update(table).where(table.c.id == row_id).values(basis=left))


def _among(column: Column[Any], ids: Collection[str]) -> Iterator[ColumnElement[bool]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _PAGE):
        yield column.in_(ordered[start : start + _PAGE])
