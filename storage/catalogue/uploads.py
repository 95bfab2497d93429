"""Uploads: one row a file received, from the intent to what it became."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    insert,
    select,
    update,
)

from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA


class UploadState(StrEnum):
    """Where an upload stands."""

    RECEIVING = "receiving"
    """The intent is written, the file is being received."""
    RECEIVED = "received"
    """The file rests in quarantine, waiting for ingest."""
    ADMITTED = "admitted"
    REJECTED = "rejected"
    REFUSED = "refused"
    NEEDS_IDENTIFICATION = "needs_identification"
    DUPLICATE = "duplicate"
    ABANDONED = "abandoned"
    """Never arrived, or waited too long; nothing of it is kept."""
    ERASED = "erased"
    """A tombstone: it was erased by an order."""


WAITING = frozenset({UploadState.RECEIVING, UploadState.RECEIVED})
"""States that ingest has not ended."""

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), index=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), index=True),
    Column("state", String(24), nullable=False, index=True),
    Column("uploader", String(16), nullable=False),
    # Purpose to the ledger sequence of the grant it rests on; None where it was refused.
    Column("basis", JSON, nullable=False),
    Column("size_bytes", BigInteger),
    Column("digest", String(64), index=True),
    Column("file_name_sealed", LargeBinary),
    Column("transcript_sealed", LargeBinary),
    Column("duplicate_of", String(32)),
    Column("reasons", JSON, nullable=False),
    # Facts of the media, verdict codes and seconds: numbers and codes, no biometrics.
    Column("outcome", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
)


@dataclass(frozen=True)
class Upload:
    """One upload's row; a tombstone names nobody (`subject_id` is empty) and holds only times."""

    id: str
    subject_id: str
    account_id: str | None
    state: UploadState
    uploader: str
    basis: dict[Purpose, int]
    size_bytes: int | None
    digest: str | None
    file_name_sealed: bytes | None
    transcript_sealed: bytes | None
    duplicate_of: str | None
    reasons: list[dict[str, str]]
    outcome: dict[str, Any]
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None

    @property
    def purposes(self) -> frozenset[Purpose]:
        """The purposes this upload was granted for."""
        return frozenset(self.basis)


def add_upload(connection: Connection, upload: Upload) -> None:
    """Write the intent of an upload."""
    values = dict(vars(upload))
    values["state"] = upload.state.value
    values["basis"] = {purpose.value: sequence for purpose, sequence in upload.basis.items()}
    connection.execute(insert(UPLOADS).values(**values))


def upload_by_id(connection: Connection, upload_id: str) -> Upload | None:
    """The upload with this random id."""
    row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
    return _upload(row._mapping) if row else None


def uploads_of(connection: Connection, subject_id: str) -> list[Upload]:
    """A subject's uploads, oldest first."""
    rows = connection.execute(
        select(UPLOADS)
        .where(UPLOADS.c.subject_id == subject_id)
        .order_by(UPLOADS.c.created_at, UPLOADS.c.id)
    )
    return [_upload(row._mapping) for row in rows]


def all_uploads(connection: Connection, *, limit: int) -> list[Upload]:
    """The newest uploads, newest first."""
    rows = connection.execute(
        select(UPLOADS).order_by(UPLOADS.c.created_at.desc(), UPLOADS.c.id).limit(limit)
    )
    return [_upload(row._mapping) for row in rows]


def earlier_with_digest(connection: Connection, upload: Upload) -> list[Upload]:
    """Admitted or waiting uploads of the same subject that are byte for byte the same file."""
    rows = connection.execute(
        select(UPLOADS)
        .where(
            UPLOADS.c.subject_id == upload.subject_id,
            UPLOADS.c.digest == upload.digest,
            UPLOADS.c.state.in_(
                [UploadState.ADMITTED.value, UploadState.NEEDS_IDENTIFICATION.value]
            ),
            UPLOADS.c.id != upload.id,
        )
        .order_by(UPLOADS.c.created_at)
    )
    return [_upload(row._mapping) for row in rows]


def overdue_uploads(connection: Connection, *, at: datetime) -> list[Upload]:
    """Uploads that waited longer than they may: for ingest, or for somebody to identify them."""
    states = [*WAITING, UploadState.NEEDS_IDENTIFICATION]
    rows = connection.execute(
        select(UPLOADS).where(
            UPLOADS.c.state.in_([state.value for state in states]), UPLOADS.c.expires_at <= at
        )
    )
    return [_upload(row._mapping) for row in rows]


def uploads_in_state(connection: Connection, state: UploadState) -> list[Upload]:
    """All uploads in a state, oldest first."""
    rows = connection.execute(
        select(UPLOADS).where(UPLOADS.c.state == state.value).order_by(UPLOADS.c.created_at)
    )
    return [_upload(row._mapping) for row in rows]


def change_upload(
    connection: Connection, upload_id: str, *, expected: frozenset[UploadState], **values: Any
) -> bool:
    """Change an upload's row if it is in one of the expected states; says whether it was."""
    if "state" in values:
        values["state"] = UploadState(values["state"]).value
    changed = connection.execute(
        update(UPLOADS)
        .where(UPLOADS.c.id == upload_id, UPLOADS.c.state.in_([s.value for s in expected]))
        .values(**values)
    )
    return bool(changed.rowcount)


def _upload(row: Any) -> Upload:
    values = dict(row)
    values["state"] = UploadState(values["state"])
    values["subject_id"] = values["subject_id"] or ""
    values["basis"] = {Purpose(name): sequence for name, sequence in values["basis"].items()}
    return Upload(**values)
