from __future__ import annotations

from itertools import pairwise

import pytest

from models.voice.speech_intervals import MOST_INTERVALS, SpeechIntervals


def test_touching_intervals_are_one() -> None:
    intervals = SpeechIntervals()
    for interval in ((0.0, 2.0), (2.0, 5.0), (6.0, 7.0)):
        intervals.add(interval)
    assert intervals.merged() == [(0.0, 5.0), (6.0, 7.0)]
    assert intervals.speech_seconds == pytest.approx(6.0)


def test_the_closest_neighbours_are_joined_when_there_are_too_many() -> None:
    intervals = SpeechIntervals()
    for index in range(9_000):
        start = index * 2.0 + (0.9 if index % 3 == 1 else 0.0)
        intervals.add((start, start + 1.0))
    merged = intervals.merged()
    assert len(merged) <= MOST_INTERVALS
    assert merged[0][0] == 0.0
    assert merged[-1][1] == pytest.approx(8_999 * 2.0 + 1.0)
    assert all(one[1] < two[0] for one, two in pairwise(merged))
    assert intervals.speech_seconds == pytest.approx(9_000)
