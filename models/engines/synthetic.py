"""Samples of no person: a synthetic voice, and silence, for trying engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.engines.contract import FileRole, Sample
from models.engines.files import write_sound

_RATE_HZ: Final = 24_000


def vowels(folder: Path) -> Sequence[Sample]:
    """Six seconds of a synthetic voice in four samples: harmonics of 120 Hz under one formant."""
    seconds = np.arange(3 * _RATE_HZ // 2) / _RATE_HZ
    pitch_hz = 120.0 * (1 + 0.02 * np.sin(2 * np.pi * 5 * seconds))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / _RATE_HZ
    sound = sum(np.sin(k * phase) / (1 + abs(k * 120 - 700) / 200) for k in range(1, 30))
    return _samples(folder, 0.1 * np.asarray(sound))


def silence(folder: Path) -> Sequence[Sample]:
    """Samples as long as `vowels`, from which there is nothing to learn."""
    return _samples(folder, np.zeros(3 * _RATE_HZ // 2))


def _samples(folder: Path, sound: NDArray[np.float64]) -> Sequence[Sample]:
    return [
        Sample(
            number=number,
            seconds=len(sound) / _RATE_HZ,
            language="en",
            transcript="ah",
            sample_rate_hz=_RATE_HZ,
            files=(
                write_sound(
                    folder,
                    sound * (1 - 0.1 * number),
                    _RATE_HZ,
                    name=f"sample-{number}.wav",
                    role=FileRole.SOUND,
                ),
            ),
        )
        for number in range(4)
    ]
