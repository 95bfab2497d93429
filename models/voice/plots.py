"""Small pictures of a whole recording, of a size that does not grow with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.schema.voice import Tensors
from models.voice.log_mel import HOP_SAMPLES, HOPS_PER_SECOND, LOG_MEL_FLOOR, MEL_BANDS
from models.voice.samples import Samples

MOST_BINS = 2_400
_LOG_MEL_TOP = 4.0
"""Natural log of the loudest mel power that speech at full scale reaches."""


class RecordingPlots:
    """Waveform, log-mel and F0 in at most 2,400 bins.

    A bin is a hop at first; whenever the bins are full, neighbours are merged and bins are twice
    as long.
    """

    def __init__(self) -> None:
        self._hops_per_bin = 1
        self._lowest = np.full(MOST_BINS, np.inf, np.float32)
        self._highest = np.full(MOST_BINS, -np.inf, np.float32)
        self._mel_sum = np.zeros((MEL_BANDS, MOST_BINS), np.float32)
        self._mel_count = np.zeros(MOST_BINS, np.float32)
        self._f0_sum = np.zeros(MOST_BINS, np.float32)
        self._f0_count = np.zeros(MOST_BINS, np.float32)
        self._rest: Samples = np.zeros(0, np.float32)
        self._hops = 0
        self._frames = 0

    def push_samples(self, samples: Samples, *, last: bool = False) -> None:
        """Takes (n,) at 24 kHz."""
        joined = np.concatenate([self._rest, samples])
        if last and len(joined) % HOP_SAMPLES:
            joined = np.pad(joined, (0, -len(joined) % HOP_SAMPLES), mode="edge")
        whole = len(joined) // HOP_SAMPLES
        hops, self._rest = joined[: whole * HOP_SAMPLES], joined[whole * HOP_SAMPLES :].copy()
        if not whole:
            return
        bins = self._bins(self._hops, whole)
        shaped = hops.reshape(whole, HOP_SAMPLES)
        np.minimum.at(self._lowest, bins, shaped.min(axis=1))
        np.maximum.at(self._highest, bins, shaped.max(axis=1))
        self._hops += whole

    def push_log_mel(self, frames: NDArray[np.float32]) -> None:
        """Takes (80, t), the next frames."""
        count = frames.shape[1]
        if not count:
            return
        bins = self._bins(self._frames, count)
        np.add.at(self._mel_sum.T, bins, frames.T)
        np.add.at(self._mel_count, bins, 1)
        self._frames += count

    def add_f0(self, first_frame: int, f0_hz: NDArray[np.float32]) -> None:
        """F0 (t,) of frames from `first_frame` on, 0 where unvoiced."""
        bins = self._bins(first_frame, len(f0_hz))
        voiced = f0_hz > 0
        np.add.at(self._f0_sum, bins[voiced], f0_hz[voiced])
        np.add.at(self._f0_count, bins[voiced], 1)

    def tensors(self) -> Tensors:
        """`waveform`, `log_mel`, `f0_hz` and `bin_seconds` as `MeasuredVoice.plots` has them.

        log_mel 0 is the floor (log 1e-5), 255 is 4 (natural logarithm).
        """
        count = -(-self._hops // self._hops_per_bin)
        mel = self._mel_sum[:, :count] / np.maximum(self._mel_count[:count], 1)
        scaled = (mel - LOG_MEL_FLOOR) / (_LOG_MEL_TOP - LOG_MEL_FLOOR) * 255
        return {
            "waveform": np.stack([self._lowest[:count], self._highest[:count]]),
            "log_mel": np.clip(np.round(scaled), 0, 255).astype(np.uint8),
            "f0_hz": self._f0_sum[:count] / np.maximum(self._f0_count[:count], 1),
            "bin_seconds": np.array([self._hops_per_bin / HOPS_PER_SECOND]),
        }

    def _bins(self, first: int, count: int) -> NDArray[np.int64]:
        while (first + count - 1) // self._hops_per_bin >= MOST_BINS:
            self._merge()
        return np.arange(first, first + count) // self._hops_per_bin

    def _merge(self) -> None:
        half = MOST_BINS // 2
        self._hops_per_bin *= 2
        self._lowest[:half] = np.minimum(self._lowest[::2], self._lowest[1::2])
        self._lowest[half:] = np.inf
        self._highest[:half] = np.maximum(self._highest[::2], self._highest[1::2])
        self._highest[half:] = -np.inf
        for sums in (self._mel_sum, self._mel_count, self._f0_sum, self._f0_count):
            sums[..., :half] = sums[..., ::2] + sums[..., 1::2]
            sums[..., half:] = 0
