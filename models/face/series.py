"""Curves and choices over a whole recording whose size does not grow with it (invariant 13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROWS_MOST: Final = 2400


class SparseSeries:
    """Numbers per frame, kept for every n-th frame; n doubles whenever the rows run out.

    A systematic sample of at least half of `rows_most` frames: percentiles taken from it are those
    of all frames to about a percent.
    """

    def __init__(self, columns: int, rows_most: int = ROWS_MOST) -> None:
        self._columns = columns
        self._rows_most = rows_most
        self.stride = 1
        self._rows: dict[int, tuple[float, ...]] = {}

    def add(self, frame: int, row: tuple[float, ...]) -> None:
        """Keep `row` for the frame that was the `frame`-th to arrive, counted from 0."""
        if frame % self.stride:
            return
        while frame // self.stride >= self._rows_most:
            self.thin(self.stride * 2)
        if frame % self.stride == 0:
            self._rows[frame // self.stride] = row

    def thin(self, stride: int) -> None:
        """Keep only every `stride`-th frame, a power of two times the stride so far."""
        step = stride // self.stride
        self._rows = {at // step: row for at, row in self._rows.items() if at % step == 0}
        self.stride = stride

    def table(self, frames: int) -> NDArray[np.float64]:
        """float64 (B, columns) for frames 0, stride, 2 stride...; NaN where nothing was added."""
        table = np.full((-(-frames // self.stride), self._columns), np.nan)
        for at, row in self._rows.items():
            if at < len(table):
                table[at] = row
        return table

    def rows(self) -> NDArray[np.float64]:
        """float64 (N, columns): the rows that were added and kept, in order."""
        ordered = [self._rows[at] for at in sorted(self._rows)]
        return np.array(ordered, np.float64).reshape(-1, self._columns)


@dataclass(frozen=True)
class Sample:
    """One aligned face, uint8 (P, P, 3) BGR, its time and its quality in [0, 1]."""

    time_seconds: float
    quality: float
    image: NDArray[np.uint8]


class BestOverTime:
    """The best sample of each of at most `most` equal stretches; stretches double when they run
    out, so the strip spans the recording however long it is.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._best: dict[int, Sample] = {}

    def add(self, sample: Sample) -> None:
        """Consider a sample; times may come in any order."""
        while sample.time_seconds // self._seconds >= self._most:
            self._seconds *= 2
            merged: dict[int, Sample] = {}
            for at, kept in self._best.items():
                self._keep_better(merged, at // 2, kept)
            self._best = merged
        self._keep_better(self._best, max(0, int(sample.time_seconds // self._seconds)), sample)

    @staticmethod
    def _keep_better(best: dict[int, Sample], at: int, sample: Sample) -> None:
        if at not in best or sample.quality > best[at].quality:
            best[at] = sample

    def samples(self) -> list[Sample]:
        """In order of time."""
        return [self._best[at] for at in sorted(self._best)]


class BestApart:
    """The `most` best samples that lie at least `seconds` apart, best first."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._best: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Consider a sample."""
        near = [s for s in self._best if abs(s.time_seconds - sample.time_seconds) < self._seconds]
        if any(other.quality >= sample.quality for other in near):
            return
        rest = [s for s in self._best if all(s is not other for other in near)]
        rest.append(sample)
        self._best = sorted(rest, key=lambda s: -s.quality)[: self._most]

    def samples(self) -> list[Sample]:
        """Best first."""
        return list(self._best)
