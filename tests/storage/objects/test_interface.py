"""How keys are taken in for many at once: checked, each once, in order, in bounded memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.schema.errors import LikenessError
from storage.objects.interface import PAGE_KEYS, pages_of

LITTLE_KEYS = st.lists(st.integers(0, 3000).map(lambda number: f"{number:032x}"), max_size=3000)


@given(keys=LITTLE_KEYS)
def test_every_key_is_on_one_page_and_all_pages_are_in_order(keys: list[str]) -> None:
    pages = list(pages_of(iter(keys)))
    assert [key for page in pages for key in page] == sorted(set(keys))
    assert all(1 <= len(page) <= PAGE_KEYS for page in pages)


def test_however_many_keys_come_few_are_held() -> None:
    """A million keys would take 200 MB."""
    numbers = random.Random(1)
    keys = (f"{numbers.getrandbits(128):032x}" for _ in range(300_000))
    tracemalloc.start()
    try:
        assert sum(map(len, pages_of(keys))) == 300_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000


def test_a_name_that_is_no_key_is_refused() -> None:
    with pytest.raises(LikenessError):
        next(pages_of(["0" * 32, "notes.txt"]))
