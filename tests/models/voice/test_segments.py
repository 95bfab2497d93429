from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.voice.segments import LOOK_BACK_SECONDS, Interval, Segmenter, Stretch


def _segmenter() -> Segmenter:
    return Segmenter(
        shortest_seconds=3.0,
        longest_seconds=12.0,
        longest_pause_seconds=1.0,
        least_speech_seconds=1.6,
    )


def _cut(intervals: list[Interval], end: float) -> list[Stretch]:
    segmenter = _segmenter()
    found = []
    for interval in intervals:
        found += segmenter.advance(interval[0], interval[0])
        found += segmenter.push(interval)
    return found + segmenter.finish(end)


@st.composite
def _speech(draw: st.DrawFn) -> tuple[list[Interval], float]:
    time = draw(st.floats(0, 3))
    intervals = []
    for _ in range(draw(st.integers(0, 25))):
        length = draw(st.floats(0.25, 11.9))
        intervals.append((time, time + length))
        time += length + draw(st.sampled_from([0.0, 0.1, 0.4, 0.9, 1.5, 4.0]))
    return intervals, time


@given(_speech())
def test_utterances_are_in_order_apart_and_within_limits(
    speech: tuple[list[Interval], float],
) -> None:
    intervals, end = speech
    found = _cut(intervals, end)
    for stretch in found:
        assert stretch.end_seconds - stretch.start_seconds <= 12.0 + 1e-6
        assert stretch.start_seconds <= stretch.intervals[0][0]
        assert stretch.end_seconds >= stretch.intervals[-1][1]
        assert stretch.intervals[0][0] - stretch.start_seconds <= LOOK_BACK_SECONDS
        assert stretch.speech_seconds >= 1.6
    for one, two in pairwise(found):
        assert one.end_seconds <= two.start_seconds + 1e-6
    kept = [interval for stretch in found for interval in stretch.intervals]
    assert kept == [interval for interval in intervals if interval in kept]
    assert not found or found[0].start_seconds >= 0
    assert not found or found[-1].end_seconds <= end + 1e-6


@given(_speech())
def test_only_short_lonely_speech_is_left_out(speech: tuple[list[Interval], float]) -> None:
    intervals, end = speech
    kept = {interval for stretch in _cut(intervals, end) for interval in stretch.intervals}
    for interval in intervals:
        if interval not in kept:
            assert interval[1] - interval[0] < 1.6


def test_a_long_passage_is_cut_at_its_longest_pause() -> None:
    found = _cut([(0.5, 4.0), (4.7, 7.0), (7.2, 10.0), (10.2, 13.5)], 14.0)
    assert [stretch.intervals[0][0] for stretch in found] == [0.5, 4.7]


def test_short_speech_is_widened_into_the_pauses_around_it() -> None:
    (found,) = _cut([(5.0, 7.0)], 20.0)
    assert found.end_seconds - found.start_seconds == pytest.approx(3.0)
    assert found.start_seconds == pytest.approx(4.5)


def test_a_recording_that_is_shorter_gives_what_it_has() -> None:
    (found,) = _cut([(0.1, 2.2)], 2.5)
    assert (found.start_seconds, found.end_seconds) == (0.0, 2.5)


def test_too_little_speech_makes_no_utterance() -> None:
    assert _cut([(1.0, 2.5)], 10.0) == []
    assert _cut([], 10.0) == []


def test_a_pause_ends_an_utterance_without_waiting_for_more_speech() -> None:
    segmenter = _segmenter()
    assert segmenter.push((0.0, 5.0)) == []
    assert segmenter.advance(5.9, None) == []
    assert len(segmenter.advance(6.2, None)) == 1
    assert segmenter.finish(30.0) == []
