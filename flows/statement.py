"""The spoken statement: a challenge is issued, and a recording that answers it is judged.

Sentence, words, voice and freshness are all checked before anything is recorded; what is not
accepted leaves nothing of the recording. Needs no Prefect; the models are loaded only once there is
a recording to listen to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from flows.intake import opened, pieces
from flows.settings import Settings
from flows.times import stamp
from models.consent.reasons import Reason
from models.consent.statement import LANGUAGES, Comparison, compare, reasons_for
from models.media.limits import MediaLimits
from models.media.unlinked import unlinked_file
from models.schema.errors import BadUsage, NotFound, Refused, UnsupportedMedia
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.tensors import packed, unpacked
from models.schema.voice import Backend
from storage.assembly import Storage
from storage.handles import Operation, Use
from storage.registers.statements import Challenge, Issued, Statement

if TYPE_CHECKING:
    from models.voice.statement import Heard

_READ_BYTES: Final = 1024 * 1024
COMPARED = "compared"
NOTHING_TO_COMPARE = "nothing_to_compare_with"


@dataclass(frozen=True)
class Verified:
    """What became of a statement."""

    challenge: Challenge
    accepted: bool
    reasons: list[Reason]
    voice: str
    """`compared`, or `nothing_to_compare_with` where the person has no earlier voice here."""
    attempts_left: int
    upload: str | None
    """Holds the recording as evidence; None where it was not accepted or may not be kept."""
    findings: dict[str, Any]


def challenge(
    storage: Storage,
    subject: str,
    purpose: Purpose,
    language: str,
    settings: Settings,
    *,
    link: bool,
) -> Issued:
    """Issue a one-time sentence; raises BadUsage for a language it cannot be written in."""
    if language not in LANGUAGES:
        raise BadUsage(
            "There is no sentence in that language.",
            remedy=f"Give --language as one of: {', '.join(LANGUAGES)}.",
        )
    return storage.statements.issue(subject, purpose, language, settings.statement, link=link)


def verify(
    storage: Storage,
    recording: Path,
    settings: Settings,
    *,
    subject: str | None = None,
    challenge_id: str | None = None,
    token: str | None = None,
) -> Verified:
    """Judge a recording that answers a challenge; grants the purpose where it is accepted.

    Raises BadInput for a challenge that is unknown, used, spent or past its time, and for a file
    that is not a readable, short enough recording with sound; these cost no attempt.
    """
    statements = storage.statements
    asked = statements.find(external_subject=subject, challenge_id=challenge_id, token=token)
    with _copied(recording, settings) as file:
        digest = statements.digest_of(asked, _read(file))
        if statements.was_handed_in(asked, digest):
            left = statements.count_attempt(asked, settings.statement)
            return _rejected(storage, asked, ["recording_used_before"], left)
        sounds = _Sounds(file, settings)
        left = statements.count_attempt(asked, settings.statement)
        heard = sounds.hear(asked.sentence.language)
        compared = compare(heard.text, asked.sentence, settings.statement)
        codes = _about_speech(heard, compared, asked, settings)
        earlier = list(_earlier_voices(storage, asked, heard.encoder)) if not codes else []
        similarity = _similarity(heard, earlier)
        if similarity is not None and similarity < _least_similarity(settings):
            codes.append("other_voice")
        findings = _findings(asked, heard, compared, similarity, settings)
        if codes:
            return _rejected(storage, asked, codes, left, findings, compared_voice=bool(earlier))
        statement = Statement(findings, _read(file), digest, _profile(heard))
        upload = statements.accept(asked, statement)
    voice = COMPARED if similarity is not None else NOTHING_TO_COMPARE
    return Verified(asked, True, [], voice, left, upload, findings)


def issued_fields(issued: Issued) -> dict[str, object]:
    """A new challenge as the JSON contract has it; the token only here."""
    asked = issued.challenge
    fields: dict[str, object] = {
        "challenge": asked.id,
        "purpose": asked.purpose.value,
        "language": asked.sentence.language,
        "sentence": asked.sentence.text,
        "expires": stamp(asked.expires_at),
    }
    return fields if issued.token is None else {**fields, "token": issued.token}


def fields_of(verified: Verified) -> dict[str, object]:
    """The result as the JSON contract has it; it names neither the person nor what was said."""
    return {
        "challenge": verified.challenge.id,
        "purpose": verified.challenge.purpose.value,
        "accepted": verified.accepted,
        "reasons": [reason.model_dump() for reason in verified.reasons],
        "voice": verified.voice,
        "upload": verified.upload,
        "attempts_left": verified.attempts_left,
    }


class _Sounds:
    """A probed recording, read once."""

    def __init__(self, file: BinaryIO, settings: Settings) -> None:
        from models.media.probe import probe

        self._file = file
        self._settings = settings
        self._limits = _limits(settings)
        self._facts = probe(file, self._limits)
        if self._facts.sound is None:
            raise UnsupportedMedia(
                "The recording has no sound.", remedy="Record the sentence with a microphone."
            )

    def hear(self, language: str) -> Heard:
        from models.media.decode import SoundPiece, decode
        from models.voice.statement import hear

        assert self._facts.sound is not None
        with decode(self._file, self._facts, self._limits, sound=True, picture=False) as stream:
            return hear(
                (item for item in stream if isinstance(item, SoundPiece)),
                sample_rate_hz=self._facts.sound.sample_rate_hz,
                channels=self._facts.sound.channels,
                language=language,
                settings=self._settings.voice,
            )


def _limits(settings: Settings) -> MediaLimits:
    statement = settings.statement
    return settings.media_limits.model_copy(
        update={"size_bytes": statement.size_bytes, "decoded_seconds": statement.decoded_seconds}
    )


@contextmanager
def _copied(recording: Path, settings: Settings) -> Iterator[BinaryIO]:
    """The file in one of ours without a name: whoever changes theirs now changes nothing here."""
    limits = _limits(settings)
    with opened(recording, limits) as source:
        settings.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unlinked_file(settings.scratch) as file:
            for piece in pieces(source, limits):
                file.write(piece)
            file.flush()
            yield file


def _read(file: BinaryIO) -> Iterator[bytes]:
    """The file from its beginning, piece by piece."""
    position = 0
    while piece := os.pread(file.fileno(), _READ_BYTES, position):
        position += len(piece)
        yield piece


def _about_speech(
    heard: Heard, compared: Comparison, asked: Challenge, settings: Settings
) -> list[str]:
    if heard.speech_seconds <= 0:
        return ["no_speech"]
    codes = []
    if heard.speech_seconds < settings.statement.least_speech_seconds or heard.embedding is None:
        codes.append("too_little_speech")
    if compared.codes and heard.language != asked.sentence.language:
        # Detection errs on accents: what was recognised as the sentence is in its language.
        codes.append("wrong_language")
    codes += compared.codes
    if heard.voices > 1:
        codes.append("several_voices")
    return codes


def _earlier_voices(
    storage: Storage, asked: Challenge, encoder: Backend
) -> Iterator[NDArray[np.float32]]:
    """The person's voice in uploads and earlier statements, by the same encoder (invariant 12)."""
    use = Use(Role.INGEST, Operation.IDENTIFY, frozenset(), asked.id)
    for row in storage.uploads.objects_of_subject(asked.subject_id, kind="voice_profile"):
        try:
            with storage.door.open(row.id, use) as reader:
                tensors, record = unpacked(reader.read())
        except (Refused, NotFound):
            continue
        if Backend.model_validate(record["backend"]) == encoder:
            yield tensors["embedding"].astype(np.float32, copy=False)


def _similarity(heard: Heard, earlier: list[NDArray[np.float32]]) -> float | None:
    if heard.embedding is None or not earlier:
        return None
    from models.voice.statement import likeness

    return likeness(heard.embedding, earlier)


def _least_similarity(settings: Settings) -> float:
    from models.voice.thresholds import speaker_thresholds

    if settings.statement.same_voice_least is not None:
        return settings.statement.same_voice_least
    return speaker_thresholds(settings.voice.speaker_encoder).same_voice_across_uploads


def _findings(
    asked: Challenge,
    heard: Heard,
    compared: Comparison,
    similarity: float | None,
    settings: Settings,
) -> dict[str, Any]:
    """What the decision rested on; on acceptance it becomes the grant's evidence."""
    statement = settings.statement
    return {
        "sentence": asked.sentence.text,
        "language": asked.sentence.language,
        "fixed_share": round(compared.fixed_share, 4),
        "words_heard": compared.words_heard,
        "words": compared.words,
        "surplus_share": round(compared.surplus_share, 4),
        "speech_seconds": round(heard.speech_seconds, 2),
        "similarity": None if similarity is None else round(similarity, 4),
        "thresholds": {
            "fixed_share_least": statement.fixed_share_least,
            "words_missed_most": statement.words_missed_most,
            "surplus_share_most": statement.surplus_share_most,
            "least_speech_seconds": statement.least_speech_seconds,
            "same_voice_least": _least_similarity(settings),
        },
        "recogniser": heard.recogniser and heard.recogniser.model_dump(mode="json"),
        "speaker_encoder": heard.encoder.model_dump(mode="json"),
    }


def _profile(heard: Heard) -> bytes | None:
    if heard.embedding is None:
        return None
    return packed(
        {"embedding": heard.embedding}, {"backend": heard.encoder.model_dump(mode="json")}
    )


def _rejected(
    storage: Storage,
    asked: Challenge,
    codes: list[str],
    left: int,
    findings: dict[str, Any] | None = None,
    *,
    compared_voice: bool = False,
) -> Verified:
    storage.statements.reject(asked, codes, attempts_left=left)
    voice = COMPARED if compared_voice else NOTHING_TO_COMPARE
    return Verified(asked, False, reasons_for(codes), voice, left, None, findings or {})
