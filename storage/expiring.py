"""What has run out goes by itself: waiting uploads, objects, challenges (Policy P09, P25).

A hold keeps what it is about (Policy P20): such an object is opened for nobody any more and goes
once the hold is lifted or over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from storage.catalogue import challenges, holds, objects, uploads
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import StoredRow
from storage.door import Door
from storage.foundation import Foundation
from storage.registers.uploads import Uploads

CHALLENGES_KEPT: Final = timedelta(days=1)
"""A challenge that was not answered is shown as expired for this long, then forgotten."""


@dataclass
class Expired:
    """What went, as counts."""

    uploads_abandoned: int = 0
    expired_erased: int = 0
    challenges_forgotten: int = 0
    held: int = 0
    """Objects whose time is over and that a hold keeps."""


class Expiring:
    """Lets everything go whose time is over; safe at any time, as often as one likes."""

    def __init__(self, base: Foundation, *, door: Door, uploads: Uploads) -> None:
        self._catalogue = base.catalogue
        self._door = door
        self._uploads = uploads
        self._clock = base.clock

    def run(self) -> Expired:
        """Do what is due now; raises ServiceUnavailable where a store does not answer."""
        now = self._clock()
        with self._catalogue.reading() as connection:
            overdue = [
                upload
                for upload in uploads.overdue_uploads(connection, at=now)
                if not holds.holds_over(connection, [(Scope.UPLOAD, upload.id)], at=now)
            ]
        for upload in overdue:
            self._uploads.abandon(upload)
        with self._catalogue.reading() as connection:
            due, held = _due(connection, now)
        erased = self._door.delete([row.id for row in due])
        with self._catalogue.writing() as writing:
            forgotten = challenges.forget_unanswered(
                writing.connection, expired_before=now - CHALLENGES_KEPT
            )
        return Expired(len(overdue), erased, forgotten, len(held))


def _due(connection: Connection, now: datetime) -> tuple[list[StoredRow], list[StoredRow]]:
    """Objects whose time is over: those that go, and those that a hold keeps."""
    due = objects.expired_objects(connection, at=now)
    if not holds.holds_in_force(connection, at=now):
        return due, []
    answers: dict[tuple[Scope, str], bool] = {}
    gone: list[StoredRow] = []
    held: list[StoredRow] = []
    for row in due:
        scope = (
            (Scope.SUBJECT, row.subject_id or "")
            if row.upload_id is None
            else (Scope.UPLOAD, row.upload_id)
        )
        if scope not in answers:
            answers[scope] = bool(holds.holds_over(connection, [scope], at=now))
        (held if answers[scope] else gone).append(row)
    return gone, held
