"""Clipping: samples that the recorder could not follow."""

from __future__ import annotations

import numpy as np

from models.voice.samples import Samples

_FULL_SCALE = 32_766 / 32_768
"""Converters and 16-bit files clip at 32767 or at -32768; one step of slack for resampled codes."""
_SHORTEST_RUN = 3
"""Single full-scale samples are legitimate peaks; three in a row are a flattened top."""


class ClippingMeter:
    """Share of samples that lie in runs of at least three at full scale, over all channels.

    A run is followed across pieces.
    """

    def __init__(self, channels: int) -> None:
        self._tail = np.zeros((_SHORTEST_RUN - 1, channels), bool)
        self._counted_tail = np.zeros((_SHORTEST_RUN - 1, channels), bool)
        self._clipped = 0
        self._total = 0

    def push(self, samples: Samples) -> None:
        """Takes (n, channels)."""
        if not len(samples):
            return
        self._total += samples.size
        loud = np.abs(samples) >= _FULL_SCALE
        if not loud.any():
            self._tail = np.concatenate([self._tail, loud])[-(_SHORTEST_RUN - 1) :]
            self._counted_tail = np.zeros_like(self._tail)
            return
        flags = np.concatenate([self._tail, loud])
        full_runs = flags[:-2] & flags[1:-1] & flags[2:]
        clipped = np.zeros_like(flags)
        for offset in range(_SHORTEST_RUN):
            clipped[offset : offset + len(full_runs)] |= full_runs
        # Samples of the previous piece that now prove to be in a run are counted now, once.
        self._clipped += int(clipped.sum()) - int(
            (clipped[: _SHORTEST_RUN - 1] & self._counted_tail).sum()
        )
        before = np.concatenate([self._counted_tail, np.zeros_like(loud)])
        self._tail = flags[-(_SHORTEST_RUN - 1) :]
        self._counted_tail = (clipped | before)[-(_SHORTEST_RUN - 1) :]

    @property
    def fraction(self) -> float:
        """Clipped samples over all samples, 0 where there are none."""
        return self._clipped / self._total if self._total else 0.0
