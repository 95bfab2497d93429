"""Utterances: stretches of 3-12 s cut at pauses, as acoustic models are trained on.

The rule is online: an interval of speech joins the open utterance while it fits; when it does not
fit, the utterance is cut at its longest pause that leaves neither part out of bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

Interval = tuple[float, float]
_MARGIN_SECONDS = 0.1
"""Kept of the pause on each side, so that onsets and releases are whole."""
LOOK_BACK_SECONDS = 1.5
"""No utterance begins earlier than this before its first speech."""


@dataclass(frozen=True)
class Stretch:
    """One utterance: its limits in seconds, and the speech inside it."""

    start_seconds: float
    end_seconds: float
    intervals: tuple[Interval, ...]

    @property
    def speech_seconds(self) -> float:
        """Sum of the intervals."""
        return sum(end - start for start, end in self.intervals)


class Segmenter:
    """Groups intervals of speech into utterances while they come in.

    An utterance is `shortest_seconds` to `longest_seconds` long. Speech that stands alone is
    widened into the pauses around it up to `shortest_seconds`; less speech than
    `least_speech_seconds` makes no utterance. Intervals must not exceed `longest_seconds`.
    """

    def __init__(
        self,
        *,
        shortest_seconds: float,
        longest_seconds: float,
        longest_pause_seconds: float,
        least_speech_seconds: float,
    ) -> None:
        self._shortest = shortest_seconds
        self._longest = longest_seconds
        self._pause = longest_pause_seconds
        self._least = least_speech_seconds
        self._group: list[Interval] = []
        self._last_end = 0.0
        self._taken_until = 0.0

    @property
    def open_since_seconds(self) -> float | None:
        """Where speech begins that is in no closed utterance yet; None where there is none."""
        return self._group[0][0] if self._group else None

    def push(self, interval: Interval) -> list[Stretch]:
        """Takes the next interval; returns the utterances that it closes."""
        closed = []
        if self._group and interval[0] - self._group[-1][1] > self._allowed_pause():
            closed += self._close(len(self._group), next_start=interval[0], speech_follows=True)
        self._group.append(interval)
        while self._group[-1][1] - self._group[0][0] > self._longest:
            count = self._best_cut()
            closed += self._close(count, next_start=self._group[count][0], speech_follows=True)
        return closed

    def advance(self, now_seconds: float, speaking_since: float | None) -> list[Stretch]:
        """Nobody has spoken from the last interval to `now_seconds`, or to `speaking_since`."""
        if not self._group:
            return []
        silent_until = now_seconds if speaking_since is None else speaking_since
        if silent_until - self._group[-1][1] > self._allowed_pause():
            return self._close(
                len(self._group),
                next_start=silent_until,
                speech_follows=speaking_since is not None,
            )
        return []

    def finish(self, end_seconds: float) -> list[Stretch]:
        """The recording ends at `end_seconds`."""
        if not self._group:
            return []
        return self._close(len(self._group), next_start=end_seconds, speech_follows=False)

    def _allowed_pause(self) -> float:
        # A short utterance waits twice as long for company.
        short = self._group[-1][1] - self._group[0][0] < self._shortest
        return self._pause * (2 if short else 1)

    def _best_cut(self) -> int:
        """How many intervals to close: the longest pause, both parts in bounds if possible."""
        start, end = self._group[0][0], self._group[-1][1]

        def worth(count: int) -> tuple[bool, bool, float]:
            before, after = self._group[count - 1][1], self._group[count][0]
            left, right = before - start, end - after
            return left >= self._shortest, right >= self._shortest, after - before

        fitting = [
            count
            for count in range(1, len(self._group))
            if self._group[count - 1][1] - start <= self._longest
        ]
        return max(fitting, key=worth)

    def _close(self, count: int, *, next_start: float, speech_follows: bool) -> list[Stretch]:
        intervals, self._group = tuple(self._group[:count]), self._group[count:]
        first, last = intervals[0][0], intervals[-1][1]
        self._last_end = last
        if sum(end - start for start, end in intervals) < self._least:
            return []
        room_before = max(0.0, first - self._taken_until)
        room_after = max(0.0, next_start - last) / (2 if speech_follows else 1)
        length = last - first
        margin = min(_MARGIN_SECONDS, max(0.0, self._longest - length) / 2)
        missing = max(0.0, self._shortest - length)
        before = min(max(margin, missing / 2), room_before)
        after = min(max(margin, missing - before), room_after)
        before = min(max(before, missing - after), room_before, LOOK_BACK_SECONDS)
        self._taken_until = last + after
        return [Stretch(first - before, last + after, intervals)]
