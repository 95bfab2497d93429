"""Reviews: somebody says whose voice or face an upload holds, on record (invariant 11).

Approving says that the main person of the recording is the person it was uploaded for. The upload
then goes back to ingest, which settles the doubts that the reviewer knew, and no others. Until the
ingest has ended, its old deadline goes on. Rejecting erases the upload at once. A decision is a
ledger entry; who decided and why is sealed under the person's key and goes with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from models.schema.errors import BadInput, BadUsage, ConsentRefused, LimitExceeded, NotFound
from storage.catalogue import objects, people, uploads
from storage.catalogue.objects import StoredRow
from storage.catalogue.uploads import Upload, UploadState
from storage.database import Writing
from storage.door import Door
from storage.foundation import Foundation
from storage.gate import refusal
from storage.identifiers import checked_id
from storage.registers.uploads import Conclusion, Uploads

APPROVED: Final = "identification_approved"
REJECTED: Final = "identification_rejected"
TEXT_CHARACTERS_MOST: Final = 4_000
"""Of a name and of a reason: a page each."""

_IDENTIFIED: Final = "identified"
"""In an upload's outcome: the decision that sent it back to ingest, and the doubts it settles."""

NOT_THE_PERSON: Final = {
    "code": "not_the_person",
    "english": "A reviewer decided that this is not the person it was uploaded for; nothing of it "
    "is kept.",
    "chinese": "审核人员认定这不是上传时所指的本人；其内容均未保留。",
}


@dataclass(frozen=True)
class Reviewer:
    """Who decides and why, in their own words, and the operating system's user."""

    name: str
    reason: str
    system_user: str

    def checked(self) -> Reviewer:
        """Itself, without outer spaces; raises BadUsage where a word is missing, LimitExceeded."""
        checked = replace(self, name=self.name.strip(), reason=self.reason.strip())
        for text, option in ((checked.name, "--by"), (checked.reason, "--reason")):
            if not text:
                raise BadUsage(
                    f"{option} is empty: a decision about whose voice or face it is needs a name "
                    "and a reason.",
                    remedy="Say who decides with --by and why with --reason.",
                )
            if len(text) > TEXT_CHARACTERS_MOST:
                raise LimitExceeded(
                    f"{option} is longer than {TEXT_CHARACTERS_MOST} characters.",
                    remedy="Keep it to a few sentences.",
                )
        return checked


def settled_codes(upload: Upload) -> frozenset[str]:
    """The codes of the doubts that a reviewer's decision about this upload settles."""
    return frozenset(upload.outcome.get(_IDENTIFIED, {}).get("codes", ()))


def is_approved(upload: Upload) -> bool:
    """Whether it was approved and its ingest has not ended since."""
    return upload.state is UploadState.RECEIVED and _IDENTIFIED in upload.outcome


class Reviews:
    """What waits for somebody to say whose it is, and what was decided."""

    def __init__(self, base: Foundation, *, door: Door, uploads: Uploads) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._door = door
        self._uploads = uploads
        self._clock = base.clock

    def waiting(self) -> list[Upload]:
        """What waits, and what was approved and not finished since; the nearest deadline first."""
        with self._catalogue.reading() as connection:
            found = [
                *uploads.uploads_in_state(connection, UploadState.NEEDS_IDENTIFICATION),
                *filter(is_approved, uploads.uploads_in_state(connection, UploadState.RECEIVED)),
            ]
        now = self._clock()
        return sorted(
            (upload for upload in found if not _is_over(upload, now)),
            key=lambda upload: (upload.expires_at or now, upload.id),
        )

    def by_id(self, upload_id: str) -> Upload:
        """An upload that waits, or was approved and not finished since; raises as `approve`."""
        with self._catalogue.reading() as connection:
            upload = self._known(connection, upload_id)
            return upload if is_approved(upload) else self._undecided(connection, upload_id)

    def original(self, upload_id: str) -> StoredRow:
        """The recording that is kept while its upload waits; raises NotFound, BadInput."""
        with self._catalogue.reading() as connection:
            upload = self._undecided(connection, upload_id)
            return _original(connection, upload)

    def approve(self, upload_id: str, reviewer: Reviewer) -> Upload:
        """Say that the main person is the one it was uploaded for; ingest may take it up again.

        Given again by the same reviewer while the ingest has not ended, it changes nothing, so that
        an interrupted one can be finished. Raises NotFound, BadUsage, BadInput where the upload
        does not wait (any more), and ConsentRefused where no purpose of it is allowed now.
        """
        reviewer = reviewer.checked()
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            upload = self._known(connection, upload_id)
            people.lock(connection, upload.subject_id, exclusively=False)
            upload = self._known(connection, upload_id)
            if not (is_approved(upload) and self._decided_by(connection, upload, reviewer)):
                upload = self._undecided(connection, upload_id)
                _original(connection, upload)
                upload = self._approved(writing, upload, reviewer)
            self._require_consent(connection, upload)
        return upload

    def reject(self, upload_id: str, reviewer: Reviewer) -> Upload:
        """Say that it is not the person it was uploaded for, and erase everything of the upload.

        Works while the person's consent is stopped: it only deletes. Raises as `approve` does.
        """
        reviewer = reviewer.checked()
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            upload = self._undecided(connection, upload_id)
            self._record(writing, REJECTED, upload, reviewer)
            conclusion = Conclusion(UploadState.REJECTED, [NOT_THE_PERSON], {})
            if not self._uploads.conclude(writing, upload.id, conclusion):
                raise _decided()
            uploads.change_upload(
                connection,
                upload.id,
                expected=frozenset({UploadState.REJECTED}),
                file_name_sealed=None,
                transcript_sealed=None,
                digest=None,
            )
            held = objects.objects_of_upload(connection, upload.id)
            rows = objects.mark_deleting(connection, [row.id for row in held])
        self._door.finish_deleting(rows)
        return self._uploads.by_id(upload.id)

    # --- inside -------------------------------------------------------------------------------

    def _approved(self, writing: Writing, upload: Upload, reviewer: Reviewer) -> Upload:
        sequence = self._record(writing, APPROVED, upload, reviewer)
        codes = settled_codes(upload) | {reason["code"] for reason in upload.reasons}
        if not uploads.change_upload(
            writing.connection,
            upload.id,
            expected=frozenset({UploadState.NEEDS_IDENTIFICATION}),
            state=UploadState.RECEIVED,
            reasons=[],
            outcome={
                **upload.outcome,
                _IDENTIFIED: {"sequence": sequence, "codes": sorted(codes)},
            },
            ended_at=None,
        ):
            raise _decided()
        return self._known(writing.connection, upload.id)

    def _record(self, writing: Writing, event: str, upload: Upload, reviewer: Reviewer) -> int:
        sealed = self._vault.seal_column(
            upload.subject_id,
            json.dumps(vars(reviewer), ensure_ascii=False).encode("utf-8", "surrogateescape"),
            context=_context(upload),
        )
        payload = {
            "upload": upload.id,
            "subject": upload.subject_id,
            "codes": sorted(reason["code"] for reason in upload.reasons),
        }
        return self._ledger.append(
            writing, event, payload, subject_id=upload.subject_id, sealed=sealed
        )

    def _decided_by(self, connection: Connection, upload: Upload, reviewer: Reviewer) -> bool:
        sealed = self._ledger.sealed_part(connection, upload.outcome[_IDENTIFIED]["sequence"])
        if sealed is None:
            return False
        plain = self._vault.unseal_column(sealed, context=_context(upload))
        decided: dict[str, Any] = json.loads(plain.decode("utf-8", "surrogateescape"))
        return bool(decided["name"] == reviewer.name)

    def _require_consent(self, connection: Connection, upload: Upload) -> None:
        subject = people.subject_by_id(connection, upload.subject_id)
        if subject is None:
            raise ConsentRefused("The person behind this upload is not known any more.")
        decisions = self._gate.decisions(connection, subject, upload.purposes, upload=upload)
        if not any(decision.allowed for decision in decisions):
            raise refusal(decisions)

    def _undecided(self, connection: Connection, upload_id: str) -> Upload:
        upload = self._known(connection, upload_id)
        if is_approved(upload):
            raise _decided()
        if upload.state is not UploadState.NEEDS_IDENTIFICATION:
            raise BadInput(
                f"This upload does not wait for identification; its state is "
                f"'{upload.state.value}'.",
                remedy="`likeness review list` shows what waits.",
                code="not_waiting",
            )
        if _is_over(upload, self._clock()):
            raise BadInput(
                "This upload waited longer than it may and is about to be erased.",
                remedy="Upload the recording again.",
                code="waited_too_long",
            )
        return upload

    def _known(self, connection: Connection, upload_id: str) -> Upload:
        upload = uploads.upload_by_id(connection, checked_id(upload_id, what="upload"))
        if upload is None:
            raise NotFound("There is no upload with this id.")
        return upload


def _original(connection: Connection, upload: Upload) -> StoredRow:
    rows = objects.objects_of_upload(connection, upload.id, kind="original")
    if not rows:
        raise NotFound(
            "The recording of this upload is not kept any more.", remedy="Upload it again."
        )
    return rows[-1]


def _is_over(upload: Upload, now: datetime) -> bool:
    return upload.expires_at is not None and upload.expires_at <= now


def _decided() -> BadInput:
    return BadInput(
        "Somebody has decided about this upload already.",
        remedy="`likeness upload show` says what became of it; whoever approved it may give the "
        "same command again while it has not been finished.",
        code="already_decided",
    )


def _context(upload: Upload) -> str:
    return f"review:{upload.id}"
