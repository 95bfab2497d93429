"""Voice features: what one pass over the sound yields.

Two results leave the extractor. *Segments* are what training reads: one per utterance, tensors
only, one stored object each. *Measurements* are what verdicts and the report read: numbers and
small plots whose size does not grow with the recording.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.schema.media import Loudness

Tensors = dict[str, NDArray[np.generic]]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Backend(_Record):
    """What computed a feature; embeddings of different backends are never compared."""

    name: str
    version: str
    weights_sha256: str | None
    parameters: dict[str, float | int | str | bool]


class SpeechInterval(_Record):
    """Speech from `start_seconds` to `end_seconds` on the media clock."""

    start_seconds: float
    end_seconds: float


class Utterance(_Record):
    """One segment of 3-12 s of speech and what was said in it."""

    start_seconds: float
    end_seconds: float
    speech_seconds: float
    transcript: str | None
    language: str | None
    """ISO 639-1 code of the recognised or given language."""


@dataclass(frozen=True)
class VoiceSegment:
    """One utterance, ready to be stored.

    `tensors`: `log_mel` float32 (80, T), `f0_hz` float32 (T,), 0 where unvoiced, `voicing`
    float32 (T,) in [0, 1], `energy` float32 (T,) in dBFS, `samples` int16 (N,) mono
    at 24 kHz. T counts hops of the log-mel.
    """

    utterance: Utterance
    tensors: Tensors


class VoiceMeasurements(_Record):
    """Numbers about the whole recording's sound."""

    backends: dict[str, Backend]
    """`activity`, `log_mel`, `f0`, `speaker_embedding`, `transcript` (when used)."""
    sound_seconds: float
    speech_seconds: float
    speech_intervals: tuple[SpeechInterval, ...]
    """At most 2,000; neighbours are merged beyond that."""
    utterances: tuple[Utterance, ...]
    loudness: Loudness | None
    clipped_fraction: float
    """Share of samples in runs of at least 3 at full scale."""
    signal_to_noise_db: float | None
    """None where there is no speech or no pause to compare."""
    bandwidth_hz: float
    """Highest frequency that carries speech energy; 3,400 for a telephone, whatever the rate."""
    f0_median_hz: float | None
    f0_range_semitones: float | None
    """5th to 95th percentile of voiced frames."""
    speakers: int
    """Voices told apart; 0 where nobody speaks."""
    second_speaker_seconds: float
    language: str | None


@dataclass(frozen=True)
class MeasuredVoice:
    """What the extractor hands to verdicts, profile and report after the last piece.

    `embedding`: float32 (D,), L2 norm 1, None where there is too little speech.
    `plots`: `waveform` float32 (2, B) minimum and maximum per bin, `log_mel` uint8 (80, B),
    `f0_hz` float32 (B,) with 0 where unvoiced, `bin_seconds` float64 (1,), all with B at most
    2,400 bins over the whole recording.
    `utterance_speakers`: whose each segment is, in the order of the segments; 0 the main voice,
    None where several are heard in it or where it cannot be told. `measurements.utterances` are
    those of the main voice alone.
    """

    measurements: VoiceMeasurements
    embedding: NDArray[np.float32] | None
    plots: Tensors = field(default_factory=dict)
    utterance_speakers: tuple[int | None, ...] = ()
