"""What every object store promises (invariant 5, Policy P15), held against each of them."""

from __future__ import annotations

import os
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import repeat
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.schema.errors import LikenessError, NotFound
from storage.objects import ObjectStore, StoredObject

MIB = 1024 * 1024
AT_ONCE = timedelta(0)
same_store = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read(store: ObjectStore, key: str, *, offset: int = 0) -> bytes:
    with store.get(key, offset=offset) as pieces:
        return b"".join(pieces)


@same_store
@given(pieces=st.lists(st.binary(max_size=300), max_size=12), offset=st.integers(0, 2000))
def test_what_is_put_in_any_pieces_is_got_from_any_offset(
    store: ObjectStore, new_key: Callable[[], str], pieces: list[bytes], offset: int
) -> None:
    key, whole = new_key(), b"".join(pieces)
    assert store.put(key, iter(pieces)) == StoredObject(len(whole), sha256(whole).hexdigest())
    assert read(store, key) == whole
    assert read(store, key, offset=offset) == whole[offset:]
    found = store.stat(key)
    assert found is not None
    assert found.size == len(whole)


@pytest.mark.parametrize("size", [8 * MIB, 8 * MIB + 1, 17 * MIB + 3])
def test_objects_of_several_parts_come_back_in_pieces_of_at_most_1_mib(
    store: ObjectStore, key: str, size: int
) -> None:
    whole = os.urandom(size)
    stored = store.put(key, (whole[at : at + 700_001] for at in range(0, size, 700_001)))
    assert stored == StoredObject(size, sha256(whole).hexdigest())
    with store.get(key) as pieces:
        received = list(pieces)
    assert max(map(len, received)) <= MIB
    assert b"".join(received) == whole
    assert read(store, key, offset=size - 5) == whole[-5:]
    store.delete(key)
    assert store.traces(key) == []


def test_putting_does_not_hold_the_stream_in_memory(store: ObjectStore, key: str) -> None:
    store.put(key, [b"warm"])
    store.delete(key)
    tracemalloc.start()
    try:
        store.put(key, repeat(bytes(MIB), 64))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 34 * MIB


def test_a_key_without_an_object_is_not_found(store: ObjectStore, key: str) -> None:
    assert store.stat(key) is None
    assert store.traces(key) == []
    with pytest.raises(NotFound), store.get(key):
        pass


@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_a_taken_key_is_refused_and_keeps_its_bytes(
    store: ObjectStore, key: str, size: int
) -> None:
    store.put(key, [b"first"])
    with pytest.raises(LikenessError, match="taken"):
        store.put(key, [bytes(size)])
    assert read(store, key) == b"first"
    assert len(store.traces(key)) == 1


@pytest.mark.parametrize("before", [0, 3, 9 * MIB])
@pytest.mark.parametrize("error", [OSError(5, "the source broke"), KeyboardInterrupt()])
def test_a_source_that_fails_leaves_nothing_and_its_error_passes_through(
    store: ObjectStore, key: str, before: int, error: BaseException
) -> None:
    def source() -> Iterator[bytes]:
        yield bytes(before)
        raise error

    with pytest.raises(type(error)) as raised:
        store.put(key, source())
    assert raised.value is error
    assert store.traces(key) == []
    assert list(store.unfinished()) == []


@same_store
@given(times=st.integers(1, 3), size=st.sampled_from([0, 1, 1000]))
def test_deleting_is_idempotent_and_frees_the_key(
    store: ObjectStore, key: str, times: int, size: int
) -> None:
    store.delete(key)
    store.put(key, [bytes(size)])
    for _ in range(times):
        store.delete(key)
        assert store.traces(key) == []
        assert store.stat(key) is None
        assert key not in {found.key for found in store.list_keys()}


HOUSE_KEYS = [f"{first}{'0' * 30}{last}" for first in "0019af" for last in "0123f"]


@same_store
@given(
    present=st.lists(st.sampled_from(HOUSE_KEYS), unique=True),
    asked=st.lists(st.sampled_from(HOUSE_KEYS)),
)
def test_after_deleting_many_exactly_the_others_remain_byte_for_byte(
    store: ObjectStore, present: list[str], asked: list[str]
) -> None:
    store.delete_many(HOUSE_KEYS)
    bodies = {key: f"the bytes of {key}".encode() for key in present}
    for key, body in bodies.items():
        store.put(key, [body])
    assert store.present_among(asked) == set(asked) & set(present)
    for _ in range(2):
        store.delete_many(iter(asked))
        assert store.present_among(asked) == set()
        left = {key: body for key, body in bodies.items() if key not in asked}
        assert {found.key: read(store, found.key) for found in store.list_keys()} == left
        assert store.present_among(iter(HOUSE_KEYS)) == set(left)
        assert all(bool(store.traces(key)) is (key in left) for key in HOUSE_KEYS)


def test_deleting_or_looking_for_nothing_does_nothing(store: ObjectStore, key: str) -> None:
    store.put(key, [b"stays"])
    store.delete_many([])
    assert store.present_among([]) == set()
    assert read(store, key) == b"stays"


def test_thousands_of_keys_may_be_asked_of_which_few_are_there(
    store: ObjectStore, new_key: Callable[[], str]
) -> None:
    keys, other = [new_key() for _ in range(2500)], new_key()
    there = {keys[0], keys[1249], keys[2499]}
    for key in (*there, other):
        store.put(key, [b"x"])
    assert store.present_among(keys) == there
    store.delete_many(keys)
    assert store.present_among([*keys, other]) == {other}


@pytest.mark.parametrize("count", [1, 3, 40])
def test_deleting_many_takes_what_killed_writers_left_of_them_and_of_nobody_else(
    opened: Callable[[], ObjectStore],
    store: ObjectStore,
    new_key: Callable[[], str],
    killed: Callable[[Callable[[], object]], bool],
    count: int,
) -> None:
    def source() -> Iterator[bytes]:
        yield bytes(9 * MIB)
        os.kill(os.getpid(), signal.SIGKILL)

    keys, other = [new_key() for _ in range(count)], new_key()
    for key in (keys[0], keys[-1], other):
        assert killed(lambda key=key: opened().put(key, source()))  # type: ignore[misc]
    assert store.present_among(keys) == {keys[0], keys[-1]}
    store.delete_many(keys)
    assert store.present_among([*keys, other]) == {other}
    assert [found.key for found in store.unfinished()] == [other]


def test_a_name_that_is_no_key_is_found_before_anything_is_deleted(
    store: ObjectStore, key: str
) -> None:
    store.put(key, [b"x"])
    for use in (store.delete_many, store.present_among):
        with pytest.raises(LikenessError, match="not one of this house"):
            use([key, "../etc/passwd"])
    assert read(store, key) == b"x"


@same_store
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("pd"), st.integers(0, 5), st.integers(0, 50)), max_size=14
    ),
    prefix=st.sampled_from(["", "0", "01", "012", "0" * 32]),
)
def test_the_listing_equals_a_model(
    store: ObjectStore, steps: list[tuple[str, int, int]], prefix: str
) -> None:
    keys = [start.ljust(32, "0") for start in ("0", "01", "012", "0123", "1", "f")]
    for key in keys:
        store.delete(key)
    model: dict[str, int] = {}
    for step, which, size in steps:
        key = keys[which]
        if step == "d":
            store.delete(key)
            model.pop(key, None)
        elif key not in model:
            store.put(key, [bytes(size)])
            model[key] = size
    listed = [(found.key, found.size) for found in store.list_keys(prefix)]
    assert listed == sorted(item for item in model.items() if item[0].startswith(prefix))


def test_a_listing_says_when_an_object_was_written(store: ObjectStore, key: str) -> None:
    store.put(key, [b"now"])
    (found,) = store.list_keys()
    assert abs(found.modified_at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../" * 10 + "etc/passwd",
        "/etc/passwd",
        "a" * 31,
        "a" * 33,
        "A" * 32,
        "g" * 32,
        "a" * 32 + "\n",
        "a" * 30 + "/a",
        "\0" * 32,
        "٣" * 32,
    ],
)
def test_no_name_but_a_key_reaches_the_store(store: ObjectStore, name: str) -> None:
    for use in (
        lambda: store.put(name, [b"x"]),
        lambda: store.get(name).__enter__(),
        lambda: store.stat(name),
        lambda: store.delete(name),
        lambda: store.traces(name),
    ):
        with pytest.raises(LikenessError) as raised:
            use()
        assert raised.value.message == "An object's key is not one of this house."
    assert list(store.list_keys()) == []


@pytest.mark.parametrize("size", [1000, 9 * MIB])
def test_of_two_writers_of_one_key_exactly_one_wins(
    opened: Callable[[], ObjectStore], store: ObjectStore, key: str, size: int
) -> None:
    start, end = Barrier(3), Barrier(3)

    def write(mark: bytes) -> bytes | None:
        def source() -> Iterator[bytes]:
            start.wait(30)
            yield mark * size
            end.wait(30)

        try:
            opened().put(key, source())
        except LikenessError as error:
            assert error.reason == "key_taken"
            return None
        return mark * size

    with ThreadPoolExecutor() as pool:
        won = [whole for whole in pool.map(write, [b"a", b"b", b"c"]) if whole is not None]
    assert len(won) == 1
    assert read(store, key) == won[0]
    assert len(store.traces(key)) == 1
    assert list(store.unfinished()) == []


@pytest.mark.parametrize("before", [0, 1, 7 * MIB, 9 * MIB, 17 * MIB])
@pytest.mark.parametrize("way", ["clear_unfinished", "delete"])
def test_a_writer_killed_in_the_middle_leaves_no_object_and_nothing_that_cannot_be_cleared(
    opened: Callable[[], ObjectStore],
    store: ObjectStore,
    key: str,
    killed: Callable[[Callable[[], object]], bool],
    before: int,
    way: str,
) -> None:
    def source() -> Iterator[bytes]:
        yield bytes(before)
        os.kill(os.getpid(), signal.SIGKILL)

    assert killed(lambda: opened().put(key, source()))
    assert store.stat(key) is None
    assert list(store.list_keys()) == []
    assert {found.key for found in store.unfinished()} <= {key}
    assert store.traces(key) == ["unfinished" for _ in store.unfinished()]
    assert store.clear_unfinished(older_than=timedelta(hours=1)) == 0
    if way == "delete":
        store.delete(key)
    else:
        store.clear_unfinished(older_than=AT_ONCE)
    assert list(store.unfinished()) == []
    assert store.traces(key) == []


def test_a_write_that_is_cleared_under_its_living_writer_fails(
    store: ObjectStore, key: str
) -> None:
    def source() -> Iterator[bytes]:
        yield bytes(17 * MIB)
        time.sleep(0.01)
        assert store.clear_unfinished(older_than=AT_ONCE) == 1
        yield b"more"

    with pytest.raises(LikenessError, match="removed"):
        store.put(key, source())
    assert store.traces(key) == []


def test_a_reader_who_stops_early_disturbs_nobody(store: ObjectStore, key: str) -> None:
    whole = os.urandom(3 * MIB)
    store.put(key, [whole])
    for _ in range(12):
        with store.get(key) as pieces:
            next(pieces)
    assert read(store, key) == whole


def test_the_store_states_its_region_and_answers(store: ObjectStore) -> None:
    store.check()
    assert store.region == "CN"
