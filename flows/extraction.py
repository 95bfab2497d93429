"""One pass over a recording: decode once; voice and face read the same pieces; store on the way.

Only what a granted purpose needs is computed: without a purpose that needs the picture, the picture
is never decoded (Policy P28). Features are put into the run as they are finished, so memory does
not grow with the recording; they exist for nobody until the run commits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, BinaryIO

from flows.settings import Settings
from models.face.extract import FaceExtractor
from models.media.decode import MediaStream, SoundPiece, decode
from models.schema.face import FaceSegment, MeasuredFace
from models.schema.media import DecodeSummary, MediaFacts
from models.schema.purposes import NEEDS_FACE, NEEDS_VOICE
from models.schema.tensors import packed
from models.schema.voice import Backend, MeasuredVoice, Tensors, VoiceSegment
from models.voice.extract import VoiceExtractor
from storage.door import Door
from storage.handles import Run

Told = Callable[[float], None]
"""Told how many seconds of the recording are done."""


class Extraction:
    """Extracts one upload's features into one run."""

    def __init__(
        self,
        door: Door,
        run: Run,
        facts: MediaFacts,
        settings: Settings,
        *,
        parents: tuple[str, ...],
        transcript: str | None,
        told: Told,
    ) -> None:
        self._door = door
        self._run = run
        self._settings = settings
        self._facts = facts
        self._parents = parents
        self._told = told
        self._utterances: list[str] = []
        self._tracks: dict[int, list[str]] = defaultdict(list)
        self._voice: VoiceExtractor | None = None
        self._face: FaceExtractor | None = None
        if facts.sound is not None and run.purposes & NEEDS_VOICE:
            self._voice = VoiceExtractor(
                facts.sound.sample_rate_hz,
                facts.sound.channels,
                settings.voice,
                transcript=transcript,
            )
        if facts.picture is not None and run.purposes & NEEDS_FACE:
            self._face = FaceExtractor(settings.face)

    def extract(self, file: BinaryIO) -> str:
        """Read the recording to its end; returns the id of the measurements object.

        Raises BrokenMedia, LimitExceeded, and whatever stops the run at the door.
        """
        try:
            with decode(
                file,
                self._facts,
                self._settings.media_limits,
                sound=self._voice is not None,
                picture=self._face is not None,
                longest_side_pixels=self._settings.face_picture_side_pixels,
            ) as stream:
                self._read(stream)
                summary = stream.summary
            voice = self._finish_voice(summary)
            face = self._finish_face()
        finally:
            # Whoever still holds this object, an error's frames for one, holds no sound or picture.
            self._voice = self._face = None
        return self._put("measurements", *_measurements(summary, voice, face))

    def _read(self, stream: MediaStream) -> None:
        done = 0.0
        for item in stream:
            if isinstance(item, SoundPiece):
                if self._voice is not None:
                    for utterance in self._voice.push(item):
                        self._put_voice(utterance)
                    done = max(done, item.start_seconds)
            elif self._face is not None:
                for track in self._face.push(item):
                    self._put_face(track)
                done = max(done, item.time_seconds)
            self._told(done)

    def _finish_voice(self, summary: DecodeSummary) -> MeasuredVoice | None:
        if self._voice is None:
            return None
        for segment in self._voice.finish(summary.loudness):
            self._put_voice(segment)
        measured = self._voice.measured
        # As with faces: what anybody but the main voice says is not kept.
        spoken = zip(self._utterances, measured.utterance_speakers, strict=True)
        self._door.discard(self._run, [each for each, speaker in spoken if speaker != 0])
        if measured.embedding is not None:
            backend = measured.measurements.backends["speaker_embedding"]
            self._put(
                "voice_profile",
                {"embedding": measured.embedding},
                {"backend": backend.model_dump(mode="json")},
            )
        return measured

    def _finish_face(self) -> MeasuredFace | None:
        if self._face is None:
            return None
        for segment in self._face.finish():
            self._put_face(segment)
        measured = self._face.measured
        # Only now is it known who the recording is about; nothing of a bystander is kept.
        bystanders = [
            object_id
            for track, object_ids in self._tracks.items()
            if track != measured.measurements.main_track
            for object_id in object_ids
        ]
        self._door.discard(self._run, bystanders)
        if measured.embedding is not None:
            backend = measured.measurements.backends["identity"]
            self._put(
                "face_profile",
                {"embedding": measured.embedding, "portraits": measured.portraits},
                {"backend": backend.model_dump(mode="json")},
            )
        return measured

    def _put_voice(self, segment: VoiceSegment) -> None:
        assert self._voice is not None
        record = {
            "utterance": segment.utterance.model_dump(mode="json"),
            "backends": _dumped(self._voice.backends),
        }
        self._utterances.append(self._put("voice_segment", segment.tensors, record))

    def _put_face(self, segment: FaceSegment) -> None:
        assert self._face is not None
        record = {
            "track": segment.track,
            "start_seconds": segment.start_seconds,
            "end_seconds": segment.end_seconds,
            "backends": _dumped(self._face.backends),
        }
        self._tracks[segment.track].append(self._put("face_segment", segment.tensors, record))

    def _put(self, kind: str, tensors: Tensors, record: dict[str, Any]) -> str:
        return self._door.put(self._run, kind, [packed(tensors, record)], parents=self._parents)


def _measurements(
    summary: DecodeSummary, voice: MeasuredVoice | None, face: MeasuredFace | None
) -> tuple[Tensors, dict[str, Any]]:
    tensors: Tensors = {}
    record: dict[str, Any] = {
        "decoded": summary.model_dump(mode="json"),
        "voice": None,
        "face": None,
    }
    if voice is not None:
        record["voice"] = voice.measurements.model_dump(mode="json")
        tensors |= {f"voice.{name}": value for name, value in voice.plots.items()}
        if voice.embedding is not None:
            tensors["voice:embedding"] = voice.embedding
    if face is not None:
        record["face"] = face.measurements.model_dump(mode="json")
        tensors |= {f"face.{name}": value for name, value in face.plots.items()}
        tensors["face:portraits"] = face.portraits
        if face.embedding is not None:
            tensors["face:embedding"] = face.embedding
    return tensors, record


def _dumped(backends: dict[str, Backend]) -> dict[str, Any]:
    return {name: backend.model_dump(mode="json") for name, backend in backends.items()}
