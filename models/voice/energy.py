"""Energy of each hop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.voice.log_mel import HOP_SAMPLES, WINDOW_SAMPLES
from models.voice.samples import Samples

FLOOR_DBFS = -100.0
"""What digital silence reads as; 16-bit sound ends at -98 dBFS (full-scale sine)."""


def energy_dbfs(samples: Samples, frames: int) -> NDArray[np.float32]:
    """Root mean square around each hop, (frames,) float32 in dBFS.

    `samples` (n,) at 24 kHz; frame i is the 1,200 samples around sample 300 i, those outside the
    samples left out of the mean. 0 dBFS is the RMS of a full-scale square wave, so a full-scale
    sine reads -3.01.
    """
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    centres = np.arange(frames) * HOP_SAMPLES
    first = np.clip(centres - WINDOW_SAMPLES // 2, 0, len(samples))
    last = np.clip(centres + WINDOW_SAMPLES // 2, 0, len(samples))
    mean = np.maximum(sums[last] - sums[first], 0.0) / np.maximum(last - first, 1)
    decibels = 10 * np.log10(np.maximum(mean, 10 ** (FLOOR_DBFS / 10)))
    return np.asarray(decibels, np.float32)
