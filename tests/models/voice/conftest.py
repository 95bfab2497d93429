"""Recordings and pieces for the tests of the voice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.media.pieces import SoundPiece
from models.schema.media import Loudness
from models.schema.voice import MeasuredVoice, VoiceSegment
from models.voice.extract import VoiceExtractor
from models.voice.settings import VoiceSettings

Samples = NDArray[np.float32]
Recording = Callable[..., Samples]
Run = Callable[..., tuple[list[VoiceSegment], MeasuredVoice]]


@pytest.fixture(scope="session")
def recording(media: Path) -> Recording:
    """Mono samples of shared recordings, joined, at `rate_hz`."""
    import soundfile
    import soxr

    def read(pattern: str, *, most: int | None = None, rate_hz: int = 16_000) -> Samples:
        files = sorted(media.glob(pattern))[:most]
        assert files, f"no shared recording matches {pattern}"
        parts = []
        for file in files:
            samples, rate = soundfile.read(file, dtype="float32")
            mono = samples if samples.ndim == 1 else samples.mean(axis=1)
            parts.append(mono if rate == rate_hz else soxr.resample(mono, rate, rate_hz))
        return np.concatenate(parts)

    return read


def pieces_of(
    samples: Samples, rate_hz: int, *, piece_samples: int | None = None, start_seconds: float = 0.0
) -> Iterator[SoundPiece]:
    """The samples (n,) or (n, channels) as a decoder gives them."""
    columns = samples[:, None] if samples.ndim == 1 else samples
    step = piece_samples or rate_hz // 2
    for first in range(0, len(columns), step):
        yield SoundPiece(
            start_seconds + first / rate_hz,
            np.ascontiguousarray(columns[first : first + step], np.float32),
            rate_hz,
        )


@pytest.fixture(scope="session")
def extract() -> Run:
    """Runs the extractor over samples (n,) or (n, channels)."""

    def run(
        samples: Samples,
        rate_hz: int,
        *,
        transcribe: bool = False,
        transcript: str | None = None,
        loudness: Loudness | None = None,
        piece_samples: int | None = None,
        start_seconds: float = 0.0,
        settings: VoiceSettings | None = None,
    ) -> tuple[list[VoiceSegment], MeasuredVoice]:
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        extractor = VoiceExtractor(
            rate_hz,
            channels,
            settings or VoiceSettings(transcribe=transcribe),
            transcript=transcript,
        )
        segments = []
        for piece in pieces_of(
            samples, rate_hz, piece_samples=piece_samples, start_seconds=start_seconds
        ):
            segments += extractor.push(piece)
        segments += extractor.finish(loudness)
        return segments, extractor.measured

    return run
