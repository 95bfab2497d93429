"""Verdicts on a recording: what it is good for, and whether it is one person, the right one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from flows.measured import Measured
from flows.settings import Settings
from models.face.suitability import face_verdicts
from models.schema.kinds import Role
from models.schema.purposes import NEEDS_FACE, NEEDS_VOICE, Purpose
from models.schema.tensors import unpacked
from models.schema.verdict import Level, Verdict
from models.schema.voice import Backend
from models.voice.suitability import voice_verdicts
from storage.assembly import Storage
from storage.handles import Operation, Run, Use


def verdicts_on(
    storage: Storage,
    run: Run,
    measured: Measured,
    settings: Settings,
    *,
    settled_codes: Collection[str] = (),
) -> list[Verdict]:
    """Every finding, for the purposes of the run; earlier uploads of the subject are compared.

    Doubts about whose voice or face it is are open, unless a reviewer settled them.
    """
    verdicts = _missing_tracks(run.purposes, measured)
    if measured.voice is not None:
        backend = measured.voice.measurements.backends.get("speaker_embedding")
        earlier = _earlier_embeddings(storage, run, "voice_profile", backend)
        verdicts += voice_verdicts(
            measured.voice,
            run.purposes,
            settings.voice,
            earlier=list(earlier),
            settled_codes=settled_codes,
        )
    if measured.face is not None:
        backend = measured.face.measurements.backends.get("identity")
        earlier = _earlier_embeddings(storage, run, "face_profile", backend)
        verdicts += face_verdicts(
            measured.face,
            run.purposes,
            settings.face,
            earlier=list(earlier),
            settled_codes=settled_codes,
        )
    return verdicts


def _missing_tracks(purposes: frozenset[Purpose], measured: Measured) -> list[Verdict]:
    """A purpose that needs sound or picture is told where the recording has none."""
    verdicts = []
    for purpose in sorted(purposes):
        if measured.voice is None and purpose in NEEDS_VOICE:
            verdicts.append(
                Verdict(
                    code="no_sound",
                    level=Level.INSUFFICIENT,
                    purpose=purpose,
                    english="The recording has no sound, and this purpose needs the voice. "
                    "Record again with the microphone on.",
                    chinese="录制内容没有声音，而这一用途需要声音。请打开麦克风重新录制。",
                )
            )
        if measured.face is None and purpose in NEEDS_FACE:
            verdicts.append(
                Verdict(
                    code="no_picture",
                    level=Level.INSUFFICIENT,
                    purpose=purpose,
                    english="The recording has no picture, and this purpose needs the face. "
                    "Upload a video.",
                    chinese="录制内容没有画面，而这一用途需要人脸。请上传视频。",
                )
            )
    return verdicts


def identification_needed(verdicts: Iterable[Verdict]) -> bool:
    """True when somebody must first say whose voice or face it is (invariant 11)."""
    return any(verdict.level is Level.IDENTIFY for verdict in verdicts)


def _earlier_embeddings(
    storage: Storage, run: Run, kind: str, backend: Backend | None
) -> Iterator[NDArray[np.float32]]:
    """Embeddings of the subject's earlier uploads that these purposes may read, by this backend."""
    if backend is None:
        return
    for row in storage.uploads.objects_of_subject(run.subject_id, kind=kind):
        purposes = storage.uploads.usable_for(row) & run.purposes
        if not purposes:
            continue
        use = Use(Role.INGEST, Operation.PROCESS, purposes, run.id)
        with storage.door.open(row.id, use) as reader:
            tensors, record = unpacked(reader.read())
        # Embeddings of different backends are never compared (invariant 12).
        if Backend.model_validate(record["backend"]) == backend:
            yield tensors["embedding"].astype(np.float32, copy=False)
