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
        was_killed = killed(lambda at=step, key=key: _put_and_die(store, key, whole, at))  # type: ignore[misc]
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


def _put_and_die(store: LocalStore, key: str, whole: bytes, at: int) -> None:
    """Put, and be killed at the n-th call that opens, links, makes or removes something."""
    steps = 0

    def audit(name: str, _arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if name in {"open", "os.link", "os.mkdir", "os.remove"}:
            steps += 1
            if steps == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    store.put(key, [whole, whole[:0]])
