"""Time stamps become lengths, gaps and rates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.media.clocks import TOLERANCE_SECONDS, FrameClock, SoundClock


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=30))
def test_sound_with_gaps_ends_where_its_time_stamps_end(pauses: list[float]) -> None:
    clock, time = SoundClock(), 0.25
    for pause in pauses:
        gap = clock.gap_before(time, 8000)
        clock.add(gap, silence=True)
        clock.add(800)
        end = time + 0.1
        assert abs(clock.start_seconds + clock.seconds - end) <= TOLERANCE_SECONDS + 1e-3
        time = end + pause
    assert clock.samples - clock.silence == 800 * len(pauses)


def test_sound_that_comes_too_early_is_kept_behind_what_was_there() -> None:
    clock = SoundClock()
    clock.gap_before(0.0, 8000)
    clock.add(8000)
    assert clock.gap_before(0.2, 8000) == 0


def test_rounded_time_stamps_are_an_even_rate_and_a_dropped_frame_is_not() -> None:
    even, uneven = FrameClock(), FrameClock()
    for index in range(60):
        even.add(round(index / 60, 3))
        if index != 30:
            uneven.add(index / 60)
    assert not even.varying
    assert uneven.varying


def test_a_single_frame_lasts_what_the_container_states_but_no_more_than_a_second() -> None:
    clock = FrameClock()
    clock.add(3.0)
    assert clock.seconds(25.0) == 0.04
    assert clock.seconds(0.0) == 1.0
