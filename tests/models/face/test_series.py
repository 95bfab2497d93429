"""What is kept over a recording stays small, and stays true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.face.gaps import GAPS_MOST, GapList
from models.face.series import BestApart, BestOverTime, Sample, SparseSeries


@given(frames=st.integers(1, 500), rows_most=st.integers(2, 40))
def test_a_series_never_holds_more_than_its_rows_and_at_least_half(
    frames: int, rows_most: int
) -> None:
    series = SparseSeries(1, rows_most)
    for frame in range(frames):
        series.add(frame, (float(frame),))
    table = series.table(frames)
    assert len(table) <= rows_most
    assert len(table) >= min(frames, rows_most // 2)
    assert (table[:, 0] == np.arange(0, frames, series.stride)).all()


@given(seen=st.sets(st.integers(0, 300)), frames=st.just(301))
def test_frames_that_were_not_added_are_not_numbers(seen: set[int], frames: int) -> None:
    series = SparseSeries(1, 64)
    for frame in sorted(seen):
        series.add(frame, (float(frame),))
    table = series.table(frames)[:, 0]
    for at, value in enumerate(table):
        assert (value == at * series.stride) == (at * series.stride in seen)
    assert len(series.rows()) == np.isfinite(table).sum()


def test_percentiles_of_a_thinned_series_are_those_of_all_frames() -> None:
    values = np.random.default_rng(0).normal(size=60_000)
    series = SparseSeries(1)
    for frame, value in enumerate(values):
        series.add(frame, (value,))
    assert np.percentile(series.rows(), [5, 50, 95]) == pytest.approx(
        np.percentile(values, [5, 50, 95]), abs=0.1
    )


def _sample(time_seconds: float, quality: float) -> Sample:
    return Sample(time_seconds, quality, np.zeros((1, 1, 3), np.uint8))


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1)), min_size=1, max_size=80))
def test_a_strip_has_at_most_its_length_in_order_and_the_best_sample(
    samples: list[tuple[float, float]],
) -> None:
    strip = BestOverTime(16, 1.0)
    for time_seconds, quality in samples:
        strip.add(_sample(time_seconds, quality))
    kept = strip.samples()
    assert 1 <= len(kept) <= 16
    assert [s.time_seconds for s in kept] == sorted(s.time_seconds for s in kept)
    assert max(s.quality for s in kept) == max(quality for _, quality in samples)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=80))
def test_portraits_are_best_first_and_apart(samples: list[tuple[float, float]]) -> None:
    best = BestApart(5, 1.0)
    for time_seconds, quality in samples:
        best.add(_sample(time_seconds, quality))
    kept = best.samples()
    assert 1 <= len(kept) <= 5
    assert kept[0].quality == max(quality for _, quality in samples)
    assert [s.quality for s in kept] == sorted((s.quality for s in kept), reverse=True)
    assert all(
        abs(a.time_seconds - b.time_seconds) >= 1.0
        for at, a in enumerate(kept)
        for b in kept[at + 1 :]
    )


def test_gaps_are_merged_with_their_nearest_neighbour_beyond_the_most() -> None:
    gaps = GapList(seconds_least=0.1)
    for at in range(2 * GAPS_MOST):
        start = at * 10.0 + (0 if at % 2 else 8.5)
        gaps.frame(start, seen=False)
        gaps.frame(start + 1, seen=True)
    found = gaps.finished(1e6)
    assert len(found) == GAPS_MOST
    assert all(gap.end_seconds - gap.start_seconds == pytest.approx(2.5) for gap in found)


def test_a_gap_open_at_the_end_is_closed_and_a_blink_is_not_listed() -> None:
    gaps = GapList(seconds_least=0.1)
    for time_seconds, seen in ((0.0, True), (0.04, False), (0.08, True), (1.0, False)):
        gaps.frame(time_seconds, seen=seen)
    (gap,) = gaps.finished(2.0)
    assert (gap.start_seconds, gap.end_seconds) == (1.0, 2.0)
