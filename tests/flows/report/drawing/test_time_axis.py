"""One axis for every plot."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.report.drawing.time_axis import TimeAxis, clock
from models.schema.media import DecodeSummary

LENGTHS = st.floats(min_value=0.1, max_value=4 * 3600)


def _decoded(sound: tuple[float, float], picture: tuple[float, float]) -> DecodeSummary:
    return DecodeSummary(
        sound_start_seconds=sound[0],
        sound_seconds=sound[1],
        picture_start_seconds=picture[0],
        picture_seconds=picture[1],
        frames=0,
        variable_frame_rate=False,
        loudness=None,
        damaged=False,
        silence_filled_seconds=0,
    )


@pytest.mark.parametrize(
    ("sound", "picture", "expected"),
    [
        ((0, 10), (0, 12), (0, 12)),
        ((3, 10), (0, 12), (0, 13)),
        ((-0.5, 10), (0, 0), (-0.5, 9.5)),
        ((0, 0), (0, 0), (0, 0.1)),
    ],
)
def test_the_axis_holds_sound_and_picture_whichever_is_longer_or_later(
    sound: tuple[float, float], picture: tuple[float, float], expected: tuple[float, float]
) -> None:
    axis = TimeAxis.of(_decoded(sound, picture))
    assert (axis.start_seconds, axis.end_seconds) == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(LENGTHS)
def test_labels_are_few_in_order_and_all_different(length: float) -> None:
    ticks = TimeAxis(0.0, length).ticks()
    assert 1 <= len(ticks) <= 13
    assert [tick.percent for tick in ticks] == sorted({tick.percent for tick in ticks})
    assert len({tick.label for tick in ticks}) == len(ticks)


@settings(deadline=None, max_examples=40)
@given(LENGTHS)
def test_a_phone_shows_fewer_labels(length: float) -> None:
    assert sum(tick.major for tick in TimeAxis(0.0, length).ticks()) <= 7


@settings(deadline=None, max_examples=40)
@given(LENGTHS, st.floats(-10, 20_000))
def test_every_time_has_a_place_on_the_axis(length: float, seconds: float) -> None:
    assert 0 <= TimeAxis(0.0, length).percent(seconds) <= 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (65.4, "1:05"), (59.6, "1:00"), (3725, "1:02:05"), (-1.2, "−0:01")],
)
def test_clock_times(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_clock_times_with_tenths() -> None:
    assert clock(65.36, decimals=True) == "1:05.4"
