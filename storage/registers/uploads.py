"""Uploads from the declared intent to what became of them.

Declaring writes the consent once, in the transaction that writes the intent: uploading is the act
of consent (Policy P03). It grants only what was never refused or withdrawn (invariant 4); nothing
later in the upload's life grants anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from models.consent.decision import Decision, decide
from models.consent.facts import NEGATIVE, Fact, Source
from models.schema.errors import BadUsage, FenceLost, NotFound, Refused
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.catalogue import objects, people, uploads
from storage.catalogue.objects import StoredRow
from storage.catalogue.uploads import WAITING, Upload, UploadState
from storage.database import Writing
from storage.door import Door
from storage.foundation import Foundation
from storage.gate import refusal
from storage.identifiers import checked_id, random_id
from storage.registers.consents import Consents, Grant
from storage.registers.subjects import Subjects
from storage.registers.termination import Termination

WAITED_TOO_LONG = {
    "code": "waited_too_long",
    "english": "The upload did not arrive, or waited longer than it may; nothing of it is kept.",
    "chinese": "上传未完成或等待超过期限；其内容均未保留。",
}


@dataclass(frozen=True)
class Declaration:
    """Who uploads, whose voice or face it is, for what, on which evidence."""

    subject: str
    account: str | None
    purposes: frozenset[Purpose]
    grant: Grant
    file_name: str | None = None
    transcript: str | None = None


@dataclass(frozen=True)
class Conclusion:
    """What became of an upload."""

    state: UploadState
    reasons: Sequence[dict[str, str]]
    outcome: dict[str, Any]
    duplicate_of: str | None = None


class Uploads:
    """The register of uploads."""

    def __init__(
        self,
        base: Foundation,
        *,
        door: Door,
        consents: Consents,
        subjects: Subjects,
        termination: Termination,
    ) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._door = door
        self._consents = consents
        self._subjects = subjects
        self._termination = termination
        self._retention = base.retention
        self._clock = base.clock

    def declare(self, declaration: Declaration) -> Upload:
        """Write the intent and the consent it carries; returns the upload.

        Purposes that were refused or withdrawn are left out, with the reason; where none is left
        the upload is `refused` and nothing will be received for it. Raises Refused for a closed
        account, and once the service has ended.
        """
        if self._termination.has_ended():
            raise Refused(
                "The service has ended; nothing is taken in any more.",
                remedy="`likeness service show` says when (Policy P14).",
                code="service_ended",
            )
        now = self._clock()
        grant = replace(declaration.grant, source=Source.UPLOAD).checked(now)
        if not declaration.purposes:
            raise BadUsage(
                "No purpose was named.", remedy="Name each purpose with --purpose (Policy P03)."
            )
        subject_id = self._subjects.ensure(declaration.subject, account=declaration.account)
        upload_id = random_id()
        with self._gate.current(self._catalogue, self._keys) as writing:
            people.lock(writing.connection, subject_id, exclusively=False)
            basis, refused = self._granted(writing, subject_id, declaration.purposes, grant)
            subject = people.subject_by_id(writing.connection, subject_id)
            reasons = refusal(refused).reasons if refused else []
            upload = Upload(
                id=upload_id,
                subject_id=subject_id,
                account_id=subject.account_id if subject else None,
                state=UploadState.RECEIVING if basis else UploadState.REFUSED,
                uploader=grant.uploader.value,
                basis=basis,
                size_bytes=None,
                digest=None,
                file_name_sealed=self._sealed(
                    subject_id, upload_id, "file_name", declaration.file_name
                ),
                transcript_sealed=self._sealed(
                    subject_id, upload_id, "transcript", declaration.transcript
                ),
                duplicate_of=None,
                reasons=reasons,
                outcome={},
                created_at=now,
                ended_at=None if basis else now,
                expires_at=now + timedelta(hours=self._retention.quarantine_hours)
                if basis
                else None,
            )
            uploads.add_upload(writing.connection, upload)
            self._ledger.append(
                writing,
                "upload_declared" if basis else "upload_refused",
                {
                    "upload": upload_id,
                    "subject": subject_id,
                    "basis": {purpose.value: seq for purpose, seq in basis.items()},
                    "refused": [r["purpose"] + ":" + r["code"] for r in reasons],
                },
                subject_id=subject_id,
            )
        return upload

    def receive(self, upload: Upload, pieces: Iterable[bytes]) -> Upload:
        """Take the file's bytes into quarantine, encrypted while they arrive.

        The caller's file is never touched. On any error nothing of it is kept. Raises FenceLost
        where the upload does not wait for its file any more.
        """
        digest = blake2b(key=self._vault.subject_digest_key(upload.subject_id), digest_size=32)

        def digested() -> Iterator[bytes]:
            for piece in pieces:
                digest.update(piece)
                yield piece

        run = self._door.begin(upload.id, role=Role.INTAKE, purposes=upload.purposes)
        try:
            object_id = self._door.put(run, "quarantined_upload", digested())

            def received(writing: Writing) -> None:
                size = objects.intent_by_id(writing.connection, object_id)
                if not uploads.change_upload(
                    writing.connection,
                    upload.id,
                    expected=frozenset({UploadState.RECEIVING}),
                    state=UploadState.RECEIVED,
                    size_bytes=size.plain_bytes if size else None,
                    digest=digest.hexdigest(),
                ):
                    raise FenceLost("This upload was received before, or it has ended.")

            self._door.commit(run, also=received)
        except BaseException:
            self._door.abandon(run)
            raise
        return self.by_id(upload.id)

    def conclude(self, writing: Writing, upload_id: str, conclusion: Conclusion) -> bool:
        """Write what became of an upload, inside the caller's transaction; says whether it was.

        Every ending is a ledger entry. An upload that has ended is left as it is.
        """
        now = self._clock()
        changed = uploads.change_upload(
            writing.connection,
            upload_id,
            expected=WAITING | {UploadState.NEEDS_IDENTIFICATION},
            state=conclusion.state,
            reasons=list(conclusion.reasons),
            outcome=conclusion.outcome,
            duplicate_of=conclusion.duplicate_of,
            ended_at=now,
            expires_at=self._expiry(conclusion.state, now),
        )
        if not changed:
            return False
        upload = uploads.upload_by_id(writing.connection, upload_id)
        self._ledger.append(
            writing,
            f"upload_{conclusion.state.value}",
            {
                "upload": upload_id,
                "subject": upload.subject_id if upload else "",
                "reasons": sorted(reason["code"] for reason in conclusion.reasons),
            },
            subject_id=upload.subject_id if upload else None,
        )
        return True

    def end(self, upload_id: str, conclusion: Conclusion) -> None:
        """Conclude an upload of which nothing is to be kept, and erase what there is of it.

        That is what quarantine holds, and what was kept while it waited for identification.
        """
        with self._catalogue.writing() as writing:
            rows = []
            if self.conclude(writing, upload_id, conclusion):
                held = objects.objects_of_upload(writing.connection, upload_id)
                rows = objects.mark_deleting(writing.connection, [row.id for row in held])
        self._door.finish_deleting(rows)
        self.release_quarantine(upload_id)

    def note(self, upload_id: str, **outcome: Any) -> None:
        """Add facts to what is known of an upload that has not ended: numbers and codes only."""
        with self._catalogue.writing() as writing:
            upload = uploads.upload_by_id(writing.connection, upload_id)
            if upload is None:
                raise NotFound("There is no upload with this id.")
            uploads.change_upload(
                writing.connection,
                upload_id,
                expected=WAITING,
                outcome={**upload.outcome, **outcome},
            )

    def abandon(self, upload: Upload) -> None:
        """End an upload that never arrived or waited too long, and erase what is kept of it."""
        self.end(upload.id, Conclusion(UploadState.ABANDONED, [WAITED_TOO_LONG], {}))

    def retire(self, writing: Writing, object_ids: Iterable[str]) -> None:
        """Take what a new run replaces out of use, inside the caller's transaction; the door's
        `delete` then erases it, or `reconcile` does."""
        objects.mark_deleting(writing.connection, object_ids)

    def release_quarantine(self, upload_id: str) -> None:
        """Delete every version of our quarantined copy; idempotent."""
        with self._catalogue.reading() as connection:
            rows = objects.objects_of_upload(connection, upload_id, kind="quarantined_upload")
        self._door.delete([row.id for row in rows])

    def decisions(self, upload: Upload) -> list[Decision]:
        """The decision now for each purpose the upload was granted for."""
        with self._catalogue.reading() as connection:
            subject = people.subject_by_id(connection, upload.subject_id)
            if subject is None:
                return []
            return self._gate.decisions(connection, subject, upload.purposes, upload=upload)

    def by_id(self, upload_id: str) -> Upload:
        """The upload; raises NotFound or BadUsage."""
        with self._catalogue.reading() as connection:
            upload = uploads.upload_by_id(connection, checked_id(upload_id, what="upload"))
        if upload is None:
            raise NotFound("There is no upload with this id.")
        return upload

    def newest(self, *, limit: int = 100) -> list[Upload]:
        """The newest uploads, newest first."""
        with self._catalogue.reading() as connection:
            return uploads.all_uploads(connection, limit=limit)

    def of_subject(self, subject_id: str) -> list[Upload]:
        """A subject's uploads, oldest first."""
        with self._catalogue.reading() as connection:
            return uploads.uploads_of(connection, subject_id)

    def duplicate_of(self, upload: Upload, purposes: frozenset[Purpose]) -> str | None:
        """The same subject's earlier upload of the same bytes that serves these purposes now.

        It was admitted, or waits for identification as this one would.
        """
        with self._catalogue.reading() as connection:
            earlier = uploads.earlier_with_digest(connection, upload)
            subject = people.subject_by_id(connection, upload.subject_id)
            for candidate in earlier:
                if subject is None or not purposes <= candidate.purposes:
                    continue
                alike = replace(candidate, state=upload.state)
                decisions = self._gate.decisions(connection, subject, purposes, upload=alike)
                if all(decision.allowed for decision in decisions):
                    return candidate.id
        return None

    def identification_deadline(self) -> datetime:
        """Until when something that waits for identification is kept (invariant 11)."""
        return self._clock() + timedelta(days=self._retention.identification_days)

    def usable_for(self, row: StoredRow) -> frozenset[Purpose]:
        """The purposes that a stored object may be used for now."""
        if row.upload_id is None or row.subject_id is None:
            return frozenset()
        with self._catalogue.reading() as connection:
            subject = people.subject_by_id(connection, row.subject_id)
            upload = uploads.upload_by_id(connection, row.upload_id)
            if subject is None or upload is None:
                return frozenset()
            decisions = self._gate.decisions(connection, subject, row.basis, upload=upload)
        return frozenset(decision.purpose for decision in decisions if decision.allowed)

    def objects_of(self, upload_id: str, *, kind: str | None = None) -> list[StoredRow]:
        """What is stored of an upload."""
        with self._catalogue.reading() as connection:
            return objects.objects_of_upload(connection, upload_id, kind=kind)

    def lineage_of(self, row: StoredRow) -> tuple[str, ...]:
        """What a recording's next copy comes from: the file as it was received."""
        if row.kind == "quarantined_upload":
            return (row.id,)
        with self._catalogue.reading() as connection:
            return objects.parents_of(connection, row.id)

    def objects_of_subject(self, subject_id: str, *, kind: str) -> list[StoredRow]:
        """A subject's stored objects of one kind."""
        with self._catalogue.reading() as connection:
            return objects.objects_of_subject(connection, subject_id, kind=kind)

    def file_name(self, upload: Upload) -> str | None:
        """The original file's name, for the person's own eyes."""
        return self._unsealed(upload.id, "file_name", upload.file_name_sealed)

    def transcript(self, upload: Upload) -> str | None:
        """The transcript that came with the upload."""
        return self._unsealed(upload.id, "transcript", upload.transcript_sealed)

    # --- inside -------------------------------------------------------------------------------

    def _granted(
        self,
        writing: Writing,
        subject_id: str,
        purposes: frozenset[Purpose],
        grant: Grant,
    ) -> tuple[dict[Purpose, int], list[Decision]]:
        """Grant what may be granted; returns the basis for each purpose and the refusals."""
        connection = writing.connection
        subject = people.subject_by_id(connection, subject_id)
        assert subject is not None
        basis: dict[Purpose, int] = {}
        refused: list[Decision] = []
        for purpose in sorted(purposes):
            record = self._gate.record(connection, subject, upload=None)
            facts = record.facts
            asked = replace(record, facts=[*facts, _would_be(facts, purpose, grant)])
            decision = decide(asked, self._gate.question(purpose, upload=None))
            if not decision.allowed:
                refused.append(decision)
                continue
            # After a withdrawal the upload rests on the explicit grant that reopened the purpose.
            reopened = any(f.purpose is purpose and f.event in NEGATIVE for f in facts)
            standing = decide(record, self._gate.question(purpose, upload=None)).basis
            basis[purpose] = (
                standing
                if reopened and standing is not None
                else self._consents.append_grant(writing, subject_id, purpose, grant)
            )
        return basis, refused

    def _expiry(self, state: UploadState, now: datetime) -> datetime | None:
        if state is UploadState.NEEDS_IDENTIFICATION:
            return now + timedelta(days=self._retention.identification_days)
        return None

    def _sealed(
        self, subject_id: str, upload_id: str, column: str, value: str | None
    ) -> bytes | None:
        if value is None:
            return None
        return self._vault.seal_column(
            subject_id,
            value.encode("utf-8", "surrogateescape"),
            context=f"upload:{upload_id}:{column}",
        )

    def _unsealed(self, upload_id: str, column: str, sealed: bytes | None) -> str | None:
        if sealed is None:
            return None
        plain = self._vault.unseal_column(sealed, context=f"upload:{upload_id}:{column}")
        return plain.decode("utf-8", "surrogateescape")


def _would_be(facts: Sequence[Fact], purpose: Purpose, grant: Grant) -> Fact:
    """The grant that this upload would write, as the newest fact."""
    return Fact(
        sequence=max((fact.sequence for fact in facts), default=0) + 2**40,
        event=grant.event,
        purpose=purpose,
        acted_at=grant.acted_at,
        source=Source.UPLOAD,
        uploader=grant.uploader,
        evidence_level=grant.evidence.level,
        evidence_digest=grant.evidence.digest,
        policy_version=grant.policy_version,
        expires_at=grant.expires_at,
    )
