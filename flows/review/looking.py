"""Portraits and short clips of everybody in a recording that waits, for a reviewer who asks.

They are made from the kept original each time somebody asks, with the same models that raised the
doubt, and are kept nowhere: sound lies in an unlinked file while it is sorted. Every opened object
is an entry in the access log. Only what a purpose of the upload needs is decoded (Policy P28).
"""

from __future__ import annotations

import os
import wave
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from flows.admission import unlinked_copy
from flows.settings import Settings
from models.media.decode import SoundPiece, decode
from models.media.unlinked import unlinked_file
from models.schema.errors import BadUsage, LikenessError
from models.schema.kinds import Role
from models.schema.media import MediaFacts
from models.schema.purposes import NEEDS_FACE, NEEDS_VOICE
from models.schema.tensors import unpacked
from storage.assembly import Storage
from storage.catalogue.objects import StoredRow
from storage.catalogue.uploads import Upload, UploadState
from storage.handles import Operation, Use

CLIP_SECONDS: Final = 8.0
"""Enough to know a voice one has heard before."""
PORTRAITS_MOST: Final = 3
EARLIER_MOST: Final = 3
"""How many earlier uploads are shown beside the recording."""
_EARLIER_SOUND_SECONDS: Final = 60.0
"""As much of an earlier recording is read to find speech in it."""
_RATE_HZ: Final = 24_000
_JPEG_QUALITY: Final = 88


@dataclass(frozen=True)
class SeenPortraits:
    """One person: JPEG pictures, best first."""

    seconds: float | None
    """How long they are seen; None for an earlier upload."""
    pictures: tuple[bytes, ...]


@dataclass(frozen=True)
class HeardVoice:
    """One voice: the beginning of what it says alone, as a WAV file; None where it never does."""

    clip: bytes | None


@dataclass(frozen=True)
class Look:
    """What a reviewer sees and hears; the main person and the main voice come first."""

    people: tuple[SeenPortraits, ...] = ()
    earlier_people: tuple[SeenPortraits, ...] = ()
    voices: tuple[HeardVoice, ...] = ()
    earlier_voice: HeardVoice | None = None


def look(
    storage: Storage, upload_id: str, settings: Settings, *, portraits: bool, voices: bool
) -> Look:
    """Make portraits, clips or both; raises BadUsage where no purpose needs them, NotFound,
    BadInput where the upload does not wait, ConsentRefused where every purpose was withdrawn."""
    original = storage.reviews.original(upload_id)
    upload = storage.uploads.by_id(upload_id)
    facts = _facts(upload)
    if portraits and not (facts.picture is not None and upload.purposes & NEEDS_FACE):
        raise _not_needed("picture")
    if voices and not (facts.sound is not None and upload.purposes & NEEDS_VOICE):
        raise _not_needed("sound")
    with unlinked_copy(storage, original, _use(upload), scratch=settings.scratch) as file:
        people = _people(file, facts, settings) if portraits else ()
        file.seek(0)
        heard = _voices(file, facts, settings) if voices else ()
    return Look(
        people=people,
        earlier_people=_earlier_people(storage, upload) if portraits else (),
        voices=heard,
        earlier_voice=_earlier_voice(storage, upload, settings) if voices else None,
    )


def look_at_all(storage: Storage, upload_id: str, settings: Settings) -> Look:
    """Everything that the upload's purposes need: portraits, clips or both."""
    upload = storage.uploads.by_id(upload_id)
    storage.reviews.original(upload_id)
    facts = _facts(upload)
    return look(
        storage,
        upload_id,
        settings,
        portraits=facts.picture is not None and bool(upload.purposes & NEEDS_FACE),
        voices=facts.sound is not None and bool(upload.purposes & NEEDS_VOICE),
    )


def _people(file: BinaryIO, facts: MediaFacts, settings: Settings) -> tuple[SeenPortraits, ...]:
    from models.face.extract import FaceExtractor

    extractor = FaceExtractor(settings.face)
    with decode(
        file,
        facts,
        settings.media_limits,
        sound=False,
        picture=True,
        longest_side_pixels=settings.face_picture_side_pixels,
    ) as stream:
        for frame in stream:
            if not isinstance(frame, SoundPiece):
                for _segment in extractor.push(frame):
                    pass
    for _segment in extractor.finish():
        pass
    return tuple(
        SeenPortraits(person.seconds, _jpegs(person.portraits)) for person in extractor.people()
    )


def _voices(
    file: BinaryIO,
    facts: MediaFacts,
    settings: Settings,
    *,
    most_seconds: float | None = None,
) -> tuple[HeardVoice, ...]:
    from models.voice.extract import VoiceExtractor

    assert facts.sound is not None
    # Nobody needs the words to know a voice.
    voice = settings.voice.model_copy(update={"transcribe": False})
    extractor = VoiceExtractor(facts.sound.sample_rate_hz, facts.sound.channels, voice)
    with unlinked_file(settings.scratch) as spoken:
        lengths: list[int] = []

        def keep(samples: NDArray[np.generic]) -> None:
            # The beginning of each utterance is all that a clip can need.
            kept = samples[: int(CLIP_SECONDS * _RATE_HZ)].astype("<i2")
            spoken.write(kept.tobytes())
            lengths.append(len(kept))

        with decode(file, facts, settings.media_limits, sound=True, picture=False) as stream:
            for piece in stream:
                if isinstance(piece, SoundPiece):
                    for segment in extractor.push(piece):
                        keep(segment.tensors["samples"])
                    if most_seconds is not None and piece.start_seconds > most_seconds:
                        break
        for segment in extractor.finish(None):
            keep(segment.tensors["samples"])
        speakers = extractor.measured.utterance_speakers
        return tuple(
            HeardVoice(_clip(spoken, lengths, speakers, number))
            for number in range(extractor.measured.measurements.speakers)
        )


def _clip(
    spoken: BinaryIO, lengths: list[int], speakers: tuple[int | None, ...], number: int
) -> bytes | None:
    """The first seconds of a voice's own utterances, with a short pause between them."""
    wanted = int(CLIP_SECONDS * _RATE_HZ)
    pause = np.zeros(_RATE_HZ // 4, "<i2")
    parts: list[NDArray[np.int16]] = []
    start = 0
    for length, speaker in zip(lengths, speakers, strict=True):
        if speaker == number and wanted > 0:
            spoken.seek(2 * start)
            part = np.frombuffer(spoken.read(2 * min(length, wanted)), "<i2")
            parts += [part, pause]
            wanted -= len(part)
        start += length
    return _wav(np.concatenate(parts)) if parts else None


def _wav(samples: NDArray[np.int16]) -> bytes:
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def _earlier_people(storage: Storage, upload: Upload) -> tuple[SeenPortraits, ...]:
    """Portraits of the person's newest admitted uploads, to compare with."""
    found = []
    for row in _earlier(storage, upload, "face_profile")[:EARLIER_MOST]:
        with storage.door.open(row.id, _use(upload)) as reader:
            tensors, _record = unpacked(reader.read())
        found.append(SeenPortraits(None, _jpegs(tensors["portraits"].astype(np.uint8, copy=False))))
    return tuple(found)


def _earlier_voice(storage: Storage, upload: Upload, settings: Settings) -> HeardVoice | None:
    """A clip of the newest admitted upload whose recording is still kept."""
    for row in _earlier(storage, upload, "original"):
        assert row.upload_id is not None
        facts = _facts(storage.uploads.by_id(row.upload_id))
        if facts.sound is None:
            continue
        with unlinked_copy(storage, row, _use(upload), scratch=settings.scratch) as file:
            heard = _voices(file, facts, settings, most_seconds=_EARLIER_SOUND_SECONDS)
        return heard[0] if heard else None
    return None


def _earlier(storage: Storage, upload: Upload, kind: str) -> list[StoredRow]:
    """What is kept of the same person's other admitted uploads and may be used, newest first."""
    admitted = {
        other.id
        for other in storage.uploads.of_subject(upload.subject_id)
        if other.state is UploadState.ADMITTED and other.id != upload.id
    }
    rows = storage.uploads.objects_of_subject(upload.subject_id, kind=kind)
    return [
        row
        for row in reversed(rows)
        if row.upload_id in admitted and storage.uploads.usable_for(row)
    ]


def _jpegs(images: NDArray[np.uint8]) -> tuple[bytes, ...]:
    import cv2

    found = []
    for image in images[:PORTRAITS_MOST]:
        done, content = cv2.imencode(
            ".jpg", np.ascontiguousarray(image), [int(cv2.IMWRITE_JPEG_QUALITY), _JPEG_QUALITY]
        )
        if not done:
            raise LikenessError("A portrait could not be encoded.")
        found.append(content.tobytes())
    return tuple(found)


def _facts(upload: Upload) -> MediaFacts:
    return MediaFacts.model_validate(upload.outcome["media"])


def _use(upload: Upload) -> Use:
    return Use(Role.REVIEW, Operation.IDENTIFY, frozenset(), upload.id)


def _not_needed(what: str) -> BadUsage:
    return BadUsage(
        f"The recording has no {what}, or no purpose of this upload needs it (Policy P28).",
        remedy="Look at what its reasons are about: `likeness review show --upload ...`.",
    )


def write_page(page: str, file: Path) -> list[Path]:
    """Write a page into a file of the reviewer's; returns it."""
    return _written(file.parent, {file.name: page.encode()})


def write_portraits(seen: Look, folder: Path) -> list[Path]:
    """Write the pictures into a folder of the reviewer's; returns the files."""
    files = {
        f"{group}-{at}-portrait-{number}.jpg": picture
        for group, people in (("person", seen.people), ("earlier-upload", seen.earlier_people))
        for at, person in enumerate(people, 1)
        for number, picture in enumerate(person.pictures, 1)
    }
    return _written(folder, files)


def write_voices(heard: Look, folder: Path) -> list[Path]:
    """Write the clips into a folder of the reviewer's; returns the files."""
    files = {f"voice-{at}.wav": voice.clip for at, voice in enumerate(heard.voices, 1)}
    if heard.earlier_voice is not None:
        files["earlier-upload.wav"] = heard.earlier_voice.clip
    return _written(folder, {name: clip for name, clip in files.items() if clip is not None})


def _written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, content in files.items():
            # For its owner alone, whatever the umask.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with os.fdopen(os.open(folder / name, flags, 0o600), "wb") as file:
                file.write(content)
    except OSError as error:
        raise BadUsage(
            f"That cannot be written there ({error.strerror}).",
            remedy="Name a folder of yours, or one that can be made in a folder that exists.",
        ) from None
    return [folder / name for name in files]
