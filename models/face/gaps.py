"""Stretches of the picture in which no face is seen."""

from __future__ import annotations

from typing import Final

from models.schema.face import Gap

GAPS_MOST: Final = 500


class GapList:
    """Collects gaps frame by frame; the nearest neighbours are merged beyond 500."""

    def __init__(self, seconds_least: float) -> None:
        self._seconds_least = seconds_least
        self._gaps: list[tuple[float, float]] = []
        self._began: float | None = None

    def frame(self, time_seconds: float, *, seen: bool) -> None:
        """One frame, shown from `time_seconds`."""
        if seen:
            self._end(time_seconds)
        elif self._began is None:
            self._began = time_seconds

    def _end(self, time_seconds: float) -> None:
        if self._began is not None and time_seconds - self._began >= self._seconds_least - 1e-9:
            self._gaps.append((self._began, time_seconds))
            if len(self._gaps) > GAPS_MOST:
                self._merge_nearest()
        self._began = None

    def _merge_nearest(self) -> None:
        between = [
            after[0] - before[1] for before, after in zip(self._gaps, self._gaps[1:], strict=False)
        ]
        at = between.index(min(between))
        self._gaps[at : at + 2] = [(self._gaps[at][0], self._gaps[at + 1][1])]

    def finished(self, end_seconds: float) -> tuple[Gap, ...]:
        """All gaps in order, an open one closed at the end of the picture."""
        self._end(end_seconds)
        return tuple(Gap(start_seconds=start, end_seconds=end) for start, end in self._gaps)
