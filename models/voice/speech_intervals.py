"""Where speech was heard, kept small."""

from __future__ import annotations

MOST_INTERVALS = 2_000


class SpeechIntervals:
    """Intervals of speech in order; the closest neighbours are joined beyond 2,000.

    `speech_seconds` stays the sum of what was added.
    """

    def __init__(self) -> None:
        self._intervals: list[tuple[float, float]] = []
        self.speech_seconds = 0.0

    def add(self, interval: tuple[float, float]) -> None:
        """Takes the next interval, which begins where the last one ended or later."""
        start, end = interval
        self.speech_seconds += end - start
        if self._intervals and start <= self._intervals[-1][1]:
            self._intervals[-1] = (self._intervals[-1][0], end)
            return
        self._intervals.append(interval)
        if len(self._intervals) >= 2 * MOST_INTERVALS:
            self._join()

    def merged(self) -> list[tuple[float, float]]:
        """At most 2,000 intervals."""
        if len(self._intervals) > MOST_INTERVALS:
            self._join()
        return list(self._intervals)

    def _join(self) -> None:
        pairs = list(zip(self._intervals, self._intervals[1:], strict=False))
        excess = len(self._intervals) - MOST_INTERVALS
        by_gap = sorted(range(len(pairs)), key=lambda at: pairs[at][1][0] - pairs[at][0][1])
        joined = set(by_gap[:excess])
        kept = [self._intervals[0]]
        for at, (_, following) in enumerate(pairs):
            if at in joined:
                kept[-1] = (kept[-1][0], following[1])
            else:
                kept.append(following)
        self._intervals = kept
