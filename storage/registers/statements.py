"""The spoken statement: challenges that are issued once, and what is kept of their answers.

A challenge is answered by whoever knows its id and the person it was issued for, or by whoever
holds its link's token, which names neither. An accepted statement is an explicit grant of the
level `spoken` (Policy P03); nothing of a rejected one is kept but the number of attempts.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from models.consent.facts import EvidenceLevel, Source, Uploader
from models.consent.settings import StatementSettings
from models.consent.statement import Language, Sentence, new_sentence
from models.schema.errors import BadInput, BadUsage, FenceLost, NotFound, Refused
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.catalogue import challenges, people, uploads
from storage.catalogue.challenges import ChallengeRow, ChallengeState
from storage.catalogue.uploads import Upload, UploadState
from storage.chain import canonical
from storage.database import Writing
from storage.door import Door
from storage.foundation import Foundation
from storage.identifiers import checked_id, random_id
from storage.registers.consents import Consents, Grant
from storage.registers.evidence import Evidence
from storage.registers.subjects import Subjects
from storage.registers.uploads import Conclusion, Uploads

TOKEN_BYTES: Final = 32
_ASK_AGAIN: Final = "Ask for a new one with `likeness consent challenge`."


@dataclass(frozen=True)
class Challenge:
    """An open challenge: what is to be read aloud, by whom, for what."""

    id: str
    subject_id: str
    purpose: Purpose
    sentence: Sentence
    expires_at: datetime
    attempts: int


@dataclass(frozen=True)
class Issued:
    """A new challenge; the token is known here and to nobody afterwards."""

    challenge: Challenge
    token: str | None


@dataclass(frozen=True)
class Statement:
    """An accepted recording: what was found in it, its bytes, and the voice."""

    findings: Mapping[str, Any]
    """Numbers, codes, versions: becomes the grant's evidence, sealed."""
    recording: Iterable[bytes]
    digest: str
    profile: bytes | None
    """The packed voice profile; None where the statement is too short for one."""


class Statements:
    """Issues challenges, counts attempts, records what was accepted."""

    def __init__(
        self,
        base: Foundation,
        *,
        door: Door,
        consents: Consents,
        subjects: Subjects,
        uploads: Uploads,
    ) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._door = door
        self._consents = consents
        self._subjects = subjects
        self._uploads = uploads
        self._clock = base.clock

    def issue(
        self,
        external_subject: str,
        purpose: Purpose,
        language: Language,
        settings: StatementSettings,
        *,
        link: bool = False,
    ) -> Issued:
        """A one-time sentence for a person and a purpose; with `link`, a token to answer it by."""
        subject_id = self._subjects.ensure(external_subject, account=None)
        token = secrets.token_urlsafe(TOKEN_BYTES) if link else None
        while True:
            sentence = new_sentence(purpose, language, settings)
            row = self._new_row(subject_id, purpose, sentence, settings, token)
            try:
                with self._gate.current(self._catalogue, self._keys) as writing:
                    challenges.add_challenge(writing.connection, row)
                    self._ledger.append(
                        writing,
                        "challenge_issued",
                        {
                            "challenge": row.id,
                            "subject": subject_id,
                            "purpose": purpose.value,
                            "language": language,
                            "expires_at": row.expires_at.isoformat(),
                            "by_link": link,
                        },
                        subject_id=subject_id,
                    )
            except IntegrityError:
                # The house asked for these very words before.
                continue
            return Issued(_challenge(row, sentence), token)

    def find(
        self, *, external_subject: str | None, challenge_id: str | None, token: str | None
    ) -> Challenge:
        """The open challenge that is meant, by person and id or by a link's token alone.

        Raises BadUsage for neither or both, NotFound for an unknown one or another person's,
        BadInput for one that is used, spent or past its time.
        """
        by_token = token is not None
        by_person = external_subject is not None and challenge_id is not None
        if by_token == by_person or (by_token and (external_subject or challenge_id)):
            raise BadUsage(
                "Say which challenge is answered.",
                remedy="Give --subject and --challenge, or --token alone.",
            )
        row = (
            self._by_token(token)
            if token is not None
            else self._of_person(external_subject or "", challenge_id or "")
        )
        if row is None:
            raise NotFound("There is no such challenge for this person.", remedy=_ASK_AGAIN)
        _require_open(row, self._clock())
        return _challenge(row, self._unsealed(row))

    def count_attempt(self, challenge: Challenge, settings: StatementSettings) -> int:
        """Take one attempt before anything is listened to; returns how many are left.

        Raises BadInput where none is left, also when others took them meanwhile.
        """
        now = self._clock()
        with self._catalogue.writing() as writing:
            taken = challenges.count_attempt(
                writing.connection, challenge.id, most=settings.attempts_most, at=now
            )
            row = challenges.challenge_by_id(writing.connection, challenge.id)
        if row is None:
            raise NotFound("There is no such challenge for this person.", remedy=_ASK_AGAIN)
        if not taken:
            _require_open(row, now)
            raise _spent()
        return settings.attempts_most - row.attempts

    def digest_of(self, challenge: Challenge, pieces: Iterable[bytes]) -> str:
        """The keyed digest of a recording, the one that uploads of this person have."""
        digest = blake2b(key=self._vault.subject_digest_key(challenge.subject_id), digest_size=32)
        for piece in pieces:
            digest.update(piece)
        return digest.hexdigest()

    def was_handed_in(self, challenge: Challenge, digest: str) -> bool:
        """Whether this very recording is an upload or an earlier statement of the person."""
        with self._catalogue.reading() as connection:
            return challenges.was_handed_in(connection, challenge.subject_id, digest)

    def reject(self, challenge: Challenge, codes: Sequence[str], *, attempts_left: int) -> None:
        """Record why a statement was not accepted; the last attempt ends the challenge."""
        with self._catalogue.writing() as writing:
            if attempts_left <= 0:
                challenges.end_challenge(
                    writing.connection, challenge.id, ChallengeState.SPENT, at=self._clock()
                )
            self._ledger.append(
                writing,
                "statement_rejected",
                {
                    "challenge": challenge.id,
                    "subject": challenge.subject_id,
                    "purpose": challenge.purpose.value,
                    "reasons": sorted(codes),
                    "attempts_left": attempts_left,
                },
                subject_id=challenge.subject_id,
            )

    def accept(self, challenge: Challenge, statement: Statement) -> str | None:
        """Grant the purpose and keep the recording; returns the id of the upload that holds it.

        Challenge, grant and upload's intent are one commit: of two answers to one challenge one
        grants, the other raises BadInput. The recording follows in a run of its own. None where it
        may not be kept, because something else than a missing consent forbids the use: the grant
        stands, with its evidence. Raises what `Consents.grant` raises.
        """
        upload = self._granted(challenge, statement)
        try:
            run = self._door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
        except Refused:
            self._uploads.abandon(upload)
            return None
        try:
            recording = self._door.put(run, "spoken_statement", statement.recording)
            if statement.profile is not None:
                self._door.put(run, "voice_profile", [statement.profile], parents=(recording,))
            conclusion = Conclusion(UploadState.ADMITTED, [], {"statement": challenge.id})

            def concluded(writing: Writing) -> None:
                self._uploads.conclude(writing, upload.id, conclusion)

            self._door.commit(run, also=concluded)
        except (Refused, FenceLost):
            self._give_up(run.id, upload)
            return None
        except BaseException:
            self._give_up(run.id, upload)
            raise
        return upload.id

    # --- inside -------------------------------------------------------------------------------

    def _granted(self, challenge: Challenge, statement: Statement) -> Upload:
        now = self._clock()
        evidence = canonical({"challenge": challenge.id, **statement.findings}).encode()
        grant = Grant(
            evidence=Evidence(evidence, EvidenceLevel.SPOKEN),
            uploader=Uploader.SELF,
            authorisation=None,
            source=Source.EXPLICIT,
            acted_at=now,
        )
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            people.lock(connection, challenge.subject_id, exclusively=True)
            subject = people.subject_by_id(connection, challenge.subject_id)
            row = challenges.challenge_by_id(connection, challenge.id)
            if row is None or row.state is not ChallengeState.OPEN:
                raise _used()
            if challenges.was_handed_in(connection, challenge.subject_id, statement.digest):
                raise BadInput(
                    "This very recording was handed in before.",
                    remedy="Record the sentence now.",
                    code="recording_used_before",
                )
            basis = self._consents.grant_within(
                writing, challenge.subject_id, frozenset({challenge.purpose}), grant
            )
            upload = Upload(
                id=random_id(),
                subject_id=challenge.subject_id,
                account_id=subject.account_id if subject else None,
                state=UploadState.RECEIVING,
                uploader=grant.uploader.value,
                basis=basis,
                size_bytes=None,
                digest=None,
                file_name_sealed=None,
                transcript_sealed=None,
                duplicate_of=None,
                reasons=[],
                outcome={},
                created_at=now,
                ended_at=None,
                expires_at=now + timedelta(hours=1),
            )
            uploads.add_upload(connection, upload)
            challenges.end_challenge(
                connection,
                challenge.id,
                ChallengeState.ANSWERED,
                at=now,
                recording_digest=statement.digest,
                upload_id=upload.id,
            )
        return upload

    def _give_up(self, run_id: str, upload: Upload) -> None:
        self._door.abandon(self._door.handle(run_id))
        self._uploads.abandon(upload)

    def _new_row(
        self,
        subject_id: str,
        purpose: Purpose,
        sentence: Sentence,
        settings: StatementSettings,
        token: str | None,
    ) -> ChallengeRow:
        challenge_id, now = random_id(), self._clock()
        parts = [sentence.before, sentence.company, sentence.after, *sentence.words]
        asked = " ".join((sentence.language, *sentence.words))
        return ChallengeRow(
            id=challenge_id,
            subject_id=subject_id,
            purpose=purpose,
            language=sentence.language,
            sentence_sealed=self._vault.seal_column(
                subject_id, json.dumps(parts).encode(), context=_context(challenge_id)
            ),
            words_digest=self._vault.pseudonym("challenge_words", asked),
            token_digest=_token_digest(token) if token is not None else None,
            state=ChallengeState.OPEN,
            attempts=0,
            created_at=now,
            expires_at=now + timedelta(hours=settings.lifetime_hours),
        )

    def _unsealed(self, row: ChallengeRow) -> Sentence:
        plain = self._vault.unseal_column(row.sentence_sealed, context=_context(row.id))
        before, company, after, *words = json.loads(plain)
        language: Language = "zh" if row.language == "zh" else "en"
        return Sentence(language, before, company, after, tuple(words))

    def _by_token(self, token: str) -> ChallengeRow | None:
        with self._catalogue.reading() as connection:
            return challenges.challenge_by_token(connection, _token_digest(token))

    def _of_person(self, external_subject: str, challenge_id: str) -> ChallengeRow | None:
        subject = self._subjects.known(external_subject)
        with self._catalogue.reading() as connection:
            row = challenges.challenge_by_id(connection, checked_id(challenge_id, what="challenge"))
        return row if row is not None and row.subject_id == subject.id else None


def _challenge(row: ChallengeRow, sentence: Sentence) -> Challenge:
    return Challenge(row.id, row.subject_id, row.purpose, sentence, row.expires_at, row.attempts)


def _require_open(row: ChallengeRow, now: datetime) -> None:
    if row.state is ChallengeState.ANSWERED:
        raise _used()
    if row.state is ChallengeState.SPENT:
        raise _spent()
    if row.expires_at <= now:
        raise BadInput(
            "The time to answer this challenge is over.",
            remedy=_ASK_AGAIN,
            code="challenge_expired",
        )


def _used() -> BadInput:
    return BadInput(
        "This challenge was answered before; each is good for one statement.",
        remedy=_ASK_AGAIN,
        code="challenge_used",
    )


def _spent() -> BadInput:
    return BadInput(
        "Every attempt on this challenge was used.", remedy=_ASK_AGAIN, code="challenge_spent"
    )


def _token_digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _context(challenge_id: str) -> str:
    return f"challenge:{challenge_id}:sentence"
