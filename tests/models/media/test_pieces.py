"""Laws of the order in which sound and picture leave."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.media.pieces import PIECE_SECONDS, SoundPiece, TimeOrder

_RATE = 1000
_ARRIVALS = st.lists(
    st.one_of(
        st.tuples(st.just("sound"), st.integers(1, 1500)),
        st.tuples(st.just("picture"), st.integers(1, 400)),
    ),
    max_size=40,
)


def _run(arrivals: list[tuple[str, int]], start: int) -> list[SoundPiece | tuple[float, int]]:
    order: TimeOrder[int] = TimeOrder(picture=True)
    left: list[SoundPiece | tuple[float, int]] = []
    position, milliseconds = start, 0
    for number, (kind, amount) in enumerate(arrivals):
        if kind == "sound":
            ramp = np.arange(position, position + amount, dtype=np.float32)[:, None]
            left += order.add_sound(position, ramp, _RATE)
            position += amount
        else:
            left += order.add_picture(milliseconds / 1000, number)
            milliseconds += amount
    left += order.rest()
    return left


@given(_ARRIVALS, st.integers(0, 3000))
def test_nothing_is_lost_and_each_kind_keeps_its_order(
    arrivals: list[tuple[str, int]], start: int
) -> None:
    left = _run(arrivals, start)
    pieces = [item for item in left if isinstance(item, SoundPiece)]
    pictures = [item[1] for item in left if not isinstance(item, SoundPiece)]
    assert pictures == [n for n, (kind, _) in enumerate(arrivals) if kind == "picture"]
    total = sum(amount for kind, amount in arrivals if kind == "sound")
    samples = np.concatenate([np.zeros((0, 1), np.float32), *(piece.samples for piece in pieces)])
    np.testing.assert_array_equal(samples[:, 0], np.arange(start, start + total))
    assert all(piece.samples[0, 0] == round(piece.start_seconds * _RATE) for piece in pieces)
    assert all(0 < len(piece.samples) <= PIECE_SECONDS * _RATE for piece in pieces)


@given(st.integers(1, 300), st.integers(10, 200), st.integers(0, 400))
def test_what_arrives_nearly_in_order_leaves_in_order(
    packet: int, interval: int, late: int
) -> None:
    arrivals = sorted(
        [(start, "sound", packet) for start in range(0, 3000, packet)]
        + [(time + late, "picture", interval) for time in range(0, 3000, interval)]
    )
    left = _run([(kind, amount) for _, kind, amount in arrivals], 0)
    times = [item.start_seconds if isinstance(item, SoundPiece) else item[0] for item in left]
    assert times == sorted(times)
