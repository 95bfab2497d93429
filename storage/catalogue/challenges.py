"""Challenges of the spoken statement: one-time sentences that wait to be read aloud."""

from __future__ import annotations

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
    delete,
    insert,
    select,
    update,
)

from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA
from storage.catalogue.uploads import UPLOADS


class ChallengeState(StrEnum):
    """Where a challenge stands; past its time an open one counts as expired."""

    OPEN = "open"
    ANSWERED = "answered"
    """A statement was accepted; the challenge is never used again."""
    SPENT = "spent"
    """Every attempt was used without an accepted statement."""


CHALLENGES = Table(
    "challenges",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), nullable=False, index=True),
    Column("purpose", String(32), nullable=False),
    Column("language", String(8), nullable=False),
    # The sentence's parts as JSON, encrypted: it names what a person is asked to agree to.
    Column("sentence_sealed", LargeBinary, nullable=False),
    # Of the random words, so that no two challenges of the house ask for the same.
    Column("words_digest", String(64), nullable=False, unique=True),
    # SHA-256 of the link's token; the token itself is nowhere.
    Column("token_digest", String(64), unique=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    # Keyed digest of the accepted recording, as of uploads: it cannot be handed in again.
    Column("recording_digest", String(64), index=True),
    Column("upload_id", String(32), ForeignKey("uploads.id")),
)


@dataclass(frozen=True)
class ChallengeRow:
    """One challenge's row."""

    id: str
    subject_id: str
    purpose: Purpose
    language: str
    sentence_sealed: bytes
    words_digest: str
    token_digest: str | None
    state: ChallengeState
    attempts: int
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    recording_digest: str | None = None
    upload_id: str | None = None


def add_challenge(connection: Connection, row: ChallengeRow) -> None:
    """Record a new challenge; IntegrityError where its words were asked for before."""
    values = dict(vars(row))
    values["purpose"] = row.purpose.value
    values["state"] = row.state.value
    connection.execute(insert(CHALLENGES).values(**values))


def challenge_by_id(connection: Connection, challenge_id: str) -> ChallengeRow | None:
    """The challenge with this random id."""
    return _one(connection, CHALLENGES.c.id == challenge_id)


def challenge_by_token(connection: Connection, token_digest: str) -> ChallengeRow | None:
    """The challenge whose link bears a token with this digest."""
    return _one(connection, CHALLENGES.c.token_digest == token_digest)


def count_attempt(connection: Connection, challenge_id: str, *, most: int, at: datetime) -> bool:
    """Take one of an open challenge's attempts; False when none is left or it is over."""
    changed = connection.execute(
        update(CHALLENGES)
        .where(
            CHALLENGES.c.id == challenge_id,
            CHALLENGES.c.state == ChallengeState.OPEN.value,
            CHALLENGES.c.expires_at > at,
            CHALLENGES.c.attempts < most,
        )
        .values(attempts=CHALLENGES.c.attempts + 1)
    )
    return bool(changed.rowcount)


def forget_unanswered(connection: Connection, *, expired_before: datetime) -> int:
    """Delete challenges that ran out before a time and were not accepted; returns how many."""
    gone = connection.execute(
        delete(CHALLENGES).where(
            CHALLENGES.c.state != ChallengeState.ANSWERED.value,
            CHALLENGES.c.expires_at < expired_before,
        )
    )
    return int(gone.rowcount)


def end_challenge(
    connection: Connection,
    challenge_id: str,
    state: ChallengeState,
    *,
    at: datetime,
    recording_digest: str | None = None,
    upload_id: str | None = None,
) -> None:
    """End a challenge if it is open."""
    connection.execute(
        update(CHALLENGES)
        .where(CHALLENGES.c.id == challenge_id, CHALLENGES.c.state == ChallengeState.OPEN.value)
        .values(
            state=state.value, ended_at=at, recording_digest=recording_digest, upload_id=upload_id
        )
    )


def was_handed_in(connection: Connection, subject_id: str, digest: str) -> bool:
    """Whether an upload or an accepted statement of the subject was this very recording."""
    for table, column in (
        (CHALLENGES, CHALLENGES.c.recording_digest),
        (UPLOADS, UPLOADS.c.digest),
    ):
        found = select(table.c.id).where(table.c.subject_id == subject_id, column == digest)
        if connection.execute(found.limit(1)).first() is not None:
            return True
    return False


def _one(connection: Connection, condition: Any) -> ChallengeRow | None:
    row = connection.execute(select(CHALLENGES).where(condition)).first()
    if row is None:
        return None
    values = dict(row._mapping)
    values["purpose"] = Purpose(values["purpose"])
    values["state"] = ChallengeState(values["state"])
    return ChallengeRow(**values)
