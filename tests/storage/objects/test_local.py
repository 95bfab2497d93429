"""What a folder as a store promises beside the contract: private, durable, not to be led astray."""

from __future__ import annotations

import os
import resource
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from models.schema.errors import ServiceUnavailable, Tampered
from storage.objects.local import LocalStore

KEY = "ab" + "0" * 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore(folder, region="CN")


@pytest.fixture
def no_umask() -> Iterator[None]:
    """The most open file mode creation mask that there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_folders_and_files_are_for_their_owner_alone(no_umask: None, folder: Path) -> None:
    store = LocalStore(folder, region="CN")

    def source() -> Iterator[bytes]:
        yield b"x"
        (unfinished,) = (folder / "writing").iterdir()
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600

    store.put(KEY, source())
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_link_in_place_of_an_object_is_never_followed(
    store: LocalStore, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"not ours")
    shelf = folder / "whole" / "ab"
    shelf.mkdir()
    (shelf / KEY).symlink_to(outside)
    with pytest.raises(Tampered), store.get(KEY):
        pass
    with pytest.raises(Tampered):
        store.stat(KEY)
    store.delete(KEY)
    assert store.traces(KEY) == []
    assert outside.read_bytes() == b"not ours"


def test_a_link_in_place_of_a_folder_leads_no_write_outside(
    store: LocalStore, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / "whole" / "ab").symlink_to(outside)
    with pytest.raises(Tampered):
        store.put(KEY, [b"x"])
    assert list(outside.iterdir()) == []
    assert list(store.unfinished()) == []
    (folder / "whole" / "ab").unlink()
    (folder / "whole").rmdir()
    (folder / "whole").symlink_to(outside)
    with pytest.raises(Tampered):
        store.check()
    with pytest.raises(Tampered):
        LocalStore(folder, region="CN")


def test_a_link_in_place_of_a_shelf_leads_no_deletion_outside(
    store: LocalStore, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / KEY).write_bytes(b"not ours")
    (folder / "whole" / "ab").symlink_to(outside)
    for use in (store.delete_many, store.present_among):
        with pytest.raises(Tampered):
            use([KEY])
    assert (outside / KEY).read_bytes() == b"not ours"


def test_a_folder_that_is_gone_is_not_taken_for_one_where_everything_is_deleted(
    store: LocalStore, folder: Path
) -> None:
    for part in ("whole", "writing"):
        (folder / part).rename(folder / "elsewhere")
        for use in (store.delete_many, store.present_among):
            with pytest.raises(ServiceUnavailable):
                use([KEY])
        (folder / "elsewhere").rename(folder / part)


def test_deletions_are_synced_once_a_shelf_also_where_an_earlier_run_unlinked(
    store: LocalStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"{shelf}{number:030x}" for shelf in ("00", "ab") for number in range(20)]
    for key in keys:
        store.put(key, [b"x"])
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    once = sorted(
        path.stat().st_ino
        for path in (folder / "writing", folder / "whole" / "00", folder / "whole" / "ab")
    )
    for _ in range(2):
        synced.clear()
        store.delete_many(keys)
        assert sorted(synced) == once


def test_a_deleter_killed_at_any_step_is_continued_by_the_next(
    store: LocalStore, killed: Callable[[Callable[[], object]], bool]
) -> None:
    keys = [f"{number:02x}{'0' * 30}" for number in range(4)]
    step = 0
    while True:
        step += 1
        for key in keys:
            store.delete(key)
            store.put(key, [b"x"])
        store.put(KEY, [b"stays"])
        was_killed = killed(
            lambda at=step: _and_die(lambda: store.delete_many(keys), {"os.remove", "open"}, at)  # type: ignore[misc]
        )
        store.delete_many(keys)
        assert store.present_among([*keys, KEY]) == {KEY}
        store.delete(KEY)
        if not was_killed:
            break
    assert step > len(keys)


def test_a_pipe_in_place_of_an_object_does_not_hang_the_reader(
    store: LocalStore, folder: Path
) -> None:
    (folder / "whole" / "ab").mkdir()
    os.mkfifo(folder / "whole" / "ab" / KEY)
    with pytest.raises(Tampered), store.get(KEY):
        pass


def test_names_that_are_no_keys_are_not_listed(store: LocalStore, folder: Path) -> None:
    store.put(KEY, [b"x"])
    (folder / "whole" / "lost+found").mkdir()
    (folder / "whole" / "ab" / "notes.txt").write_bytes(b"x")
    (folder / "whole" / "ab" / ("cd" + "0" * 30)).write_bytes(b"on the wrong shelf")
    assert [found.key for found in store.list_keys()] == [KEY]


def test_a_full_disk_is_reported_without_a_path_and_leaves_nothing(
    store: LocalStore, folder: Path, killed: Callable[[Callable[[], object]], bool]
) -> None:
    def write_past_a_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        with pytest.raises(ServiceUnavailable) as raised:
            store.put(KEY, [bytes(60_000), bytes(60_000)])
        assert str(folder) not in raised.value.message + str(raised.value.remedy)

    assert not killed(write_past_a_limit)
    assert store.traces(KEY) == []


def test_a_folder_that_is_gone_does_not_answer(store: LocalStore, folder: Path) -> None:
    (folder / "whole").rmdir()
    with pytest.raises(ServiceUnavailable):
        store.check()


def test_a_writer_killed_at_any_step_leaves_the_object_whole_or_absent(
    store: LocalStore, folder: Path, killed: Callable[[Callable[[], object]], bool]
) -> None:
    step, whole = 0, bytes(range(256)) * 100
    outcomes = set()
    while True:
        step += 1
        key = f"{step:032x}"
        was_killed = killed(
            lambda at=step, key=key: _and_die(  # type: ignore[misc]
                lambda: store.put(key, [whole, whole[:0]]),
                {"open", "os.link", "os.mkdir", "os.remove"},
                at,
            )
        )
        if store.stat(key) is not None:
            with store.get(key) as pieces:
                assert b"".join(pieces) == whole
        outcomes.add(tuple(store.traces(key)))
        store.clear_unfinished(older_than=timedelta(0))
        assert not any((folder / "writing").iterdir())
        if not was_killed:
            break
    assert store.traces(key) == ["whole"]
    assert outcomes == {(), ("unfinished",), ("whole", "unfinished"), ("whole",)}


def _and_die(work: Callable[[], object], calls: set[str], at: int) -> None:
    """Work, and be killed at the n-th of these system calls."""
    steps = 0

    def audit(name: str, _arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if name in calls:
            steps += 1
            if steps == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    work()
