"""Streaming encryption: what was sealed comes back, and nothing else ever does."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.utils import random as random_bytes

from models.schema.errors import Tampered
from storage.sealing import KEY_BYTES, PIECE_BYTES, seal, unseal

LAW = settings(deadline=None, max_examples=25)
KEY = b"k" * KEY_BYTES
ID = "a" * 32
HEADER = 25
OVERHEAD = 17
SEALED_PIECE = PIECE_BYTES + OVERHEAD
PLAIN = random_bytes(2 * PIECE_BYTES + 1000)
SEALED = b"".join(seal([PLAIN], KEY, object_id=ID))


def _unsealed(sealed: bytes, *, key: bytes = KEY, object_id: str = ID) -> bytes:
    return b"".join(unseal([sealed], key, object_id=object_id))


def _cut(content: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return [content[a:b] for a, b in pairwise(places)]


def _pieces(sealed: bytes) -> list[bytes]:
    body = sealed[HEADER:]
    return [body[n : n + SEALED_PIECE] for n in range(0, len(body), SEALED_PIECE)]


cuts = st.lists(st.integers(0, 2**31), max_size=6)


@LAW
@given(
    st.sampled_from([0, 1, 1000, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES]),
    cuts,
    cuts,
)
def test_any_length_in_any_split_comes_back_byte_for_byte(
    length: int, plain_cuts: list[int], sealed_cuts: list[int]
) -> None:
    plain = PLAIN[:length]
    sealed = b"".join(seal(_cut(plain, plain_cuts), KEY, object_id=ID))
    pieces = list(unseal(_cut(sealed, sealed_cuts), KEY, object_id=ID))
    assert b"".join(pieces) == plain
    assert max(map(len, pieces), default=0) <= PIECE_BYTES


def test_sealing_the_same_twice_gives_different_bytes_of_a_known_length() -> None:
    again = b"".join(seal([PLAIN], KEY, object_id=ID))
    assert again != SEALED
    assert len(again) == len(SEALED) == len(PLAIN) + HEADER + 3 * OVERHEAD


@LAW
@given(st.integers(0, len(SEALED) - 1), st.integers(0, 7))
def test_any_flipped_bit_is_noticed(place: int, bit: int) -> None:
    changed = bytearray(SEALED)
    changed[place] ^= 1 << bit
    with pytest.raises(Tampered):
        _unsealed(bytes(changed))


@pytest.mark.parametrize("place", range(HEADER + 1))
def test_a_flipped_bit_anywhere_in_the_header_is_noticed(place: int) -> None:
    changed = bytearray(SEALED)
    changed[place] ^= 0x80
    with pytest.raises(Tampered):
        _unsealed(bytes(changed))


@LAW
@given(st.integers(0, len(SEALED) - 1))
def test_an_object_that_was_cut_off_anywhere_is_noticed(kept: int) -> None:
    with pytest.raises(Tampered):
        _unsealed(SEALED[:kept])


@pytest.mark.parametrize("whole_pieces", [0, 1, 2])
def test_an_object_that_was_cut_between_pieces_is_noticed(whole_pieces: int) -> None:
    with pytest.raises(Tampered, match="too early"):
        _unsealed(SEALED[: HEADER + whole_pieces * SEALED_PIECE])


@pytest.mark.parametrize("behind", [b"x", b"\x00" * OVERHEAD, SEALED[HEADER:]])
def test_bytes_behind_the_end_are_noticed(behind: bytes) -> None:
    with pytest.raises(Tampered):
        _unsealed(SEALED + behind)


@pytest.mark.parametrize("order", [[1, 0, 2], [0, 0, 1, 2], [0, 2], [1, 2], [0, 1, 2, 2]])
def test_reordered_repeated_and_removed_pieces_are_noticed(order: list[int]) -> None:
    pieces = _pieces(SEALED)
    with pytest.raises(Tampered):
        _unsealed(SEALED[:HEADER] + b"".join(pieces[n] for n in order))


def test_pieces_swapped_between_two_objects_are_noticed_even_under_one_key() -> None:
    other = b"".join(seal([PLAIN], KEY, object_id="b" * 32))
    mixed = [_pieces(SEALED)[0], _pieces(other)[1], _pieces(SEALED)[2]]
    with pytest.raises(Tampered):
        _unsealed(SEALED[:HEADER] + b"".join(mixed))


def test_one_object_never_opens_as_another_nor_under_another_key() -> None:
    with pytest.raises(Tampered):
        _unsealed(SEALED, object_id="b" * 32)
    with pytest.raises(Tampered):
        _unsealed(SEALED, key=b"x" * KEY_BYTES)


def test_what_was_released_before_the_damage_is_authentic() -> None:
    changed = bytearray(SEALED)
    changed[HEADER + SEALED_PIECE + 5] ^= 1
    pieces = unseal([bytes(changed)], KEY, object_id=ID)
    assert next(pieces) == PLAIN[:PIECE_BYTES]
    with pytest.raises(Tampered):
        next(pieces)


def test_memory_does_not_grow_with_the_length_of_the_stream() -> None:
    def long() -> Iterator[bytes]:
        for _ in range(96):
            yield PLAIN[: PIECE_BYTES // 3]

    tracemalloc.start()
    try:
        length = sum(map(len, unseal(seal(long(), KEY, object_id=ID), KEY, object_id=ID)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length == 96 * (PIECE_BYTES // 3)
    assert peak < 10 * PIECE_BYTES
