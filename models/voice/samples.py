"""Samples on the way in: finite, mono, at the rates the features need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_PASSING_SHARE = 0.1
"""Below this share of the channels' own energy their mean is cancelling itself."""


def finite(samples: Samples) -> Samples:
    """The samples (n, channels) with NaN and infinity as silence and values within [-8, 8].

    Float recordings may exceed full scale; 18 dB above it is no sound any more, and squares of
    the largest floats would overflow.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak <= 8.0:  # false for NaN too
        return samples
    return np.clip(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0), -8.0, 8.0)


class Mono:
    """Mixes channels to one.

    The mean of the channels, of the first three where there are more (left, right, centre: speech
    is not in the low-frequency and surround channels of 5.1 and 7.1). Where the first sound shows
    channels in antiphase, the loudest one is used instead, since their mean would be near silence.
    """

    def __init__(self) -> None:
        self._only: int | None = None
        self._decided = False

    def push(self, samples: Samples) -> Samples:
        """(n, channels) to (n,)."""
        if samples.shape[1] == 1:
            return samples[:, 0]
        mixed: Samples = samples[:, :3].mean(axis=1, dtype=np.float32)
        if not self._decided:
            energies = np.square(samples[:, :3]).mean(axis=0) if len(samples) else np.zeros(1)
            if energies.max() > 1e-7:  # -70 dBFS: there is sound to decide by
                self._decided = True
                if float(np.square(mixed).mean()) < _PASSING_SHARE * energies.max():
                    self._only = int(energies.argmax())
        if self._only is not None:
            return np.ascontiguousarray(samples[:, self._only])
        return mixed


class Resampler:
    """Changes the rate of a mono stream; its output does not depend on how the input is cut."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        import soxr

        self._stream = (
            soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
            if from_hz != to_hz
            else None
        )

    def push(self, samples: Samples, *, last: bool = False) -> Samples:
        """(n,) in, (m,) out; m may be 0 until enough has come in."""
        if self._stream is None:
            return samples
        out: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples), last=last)
        return out


class RecentSamples:
    """The last stretch of a stream, addressed by position since its beginning."""

    def __init__(self) -> None:
        self._kept: Samples = np.zeros(0, np.float32)
        self._pending: list[Samples] = []
        self._start = 0
        self.end = 0
        """How many samples have come in so far."""

    def push(self, samples: Samples) -> None:
        """Appends (n,)."""
        if len(samples):
            self._pending.append(samples)
            self.end += len(samples)

    def between(self, start: int, end: int) -> Samples:
        """A copy of the samples from `start` to `end`, as far as they are still held."""
        self._join()
        first = max(start, self._start) - self._start
        return self._kept[first : max(first, end - self._start)].copy()

    def forget_before(self, position: int) -> None:
        """Drops what lies before `position`."""
        if position > self._start:
            self._join()
            dropped = min(position, self.end) - self._start
            self._kept = self._kept[dropped:].copy()
            self._start += dropped

    def _join(self) -> None:
        if self._pending:
            self._kept = np.concatenate([self._kept, *self._pending])
            self._pending = []
