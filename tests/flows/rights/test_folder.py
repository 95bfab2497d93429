"""The folder appears complete or not at all, for its owner alone."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from flows.rights.endings import ending
from flows.rights.folder import new_folder
from models.schema.errors import BadInput


def test_nothing_is_seen_before_everything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_folder(out, outside=[]) as folder:
        written = folder.write("a/b.txt", [b"one ", b"two"])
        assert not out.exists()
    assert (out / "a" / "b.txt").read_bytes() == b"one two"
    assert (written.bytes, written.sha256) == (7, sha256(b"one two").hexdigest())
    assert list(tmp_path.iterdir()) == [out]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = os.umask(0)
    try:
        with new_folder(out, outside=[]) as folder:
            folder.write("a/b.txt", [b"x"])
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [out, *out.rglob("*")]}
    assert {modes[out], modes[out / "a"]} == {0o700}
    assert modes[out / "a" / "b.txt"] == 0o600


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_whatever_stops_it_leaves_nothing(tmp_path: Path, stop: type[BaseException]) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise stop

    with pytest.raises(stop), new_folder(tmp_path / "out", outside=[]) as folder:
        folder.write("whole", [b"whole"])
        folder.write("half", pieces())
    assert list(tmp_path.iterdir()) == []


def test_a_piece_that_fails_leaves_the_other_files(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError

    with new_folder(tmp_path / "out", outside=[]) as folder:
        folder.write("whole", [b"whole"])
        with pytest.raises(RuntimeError):
            folder.write("half", pieces())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]


def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, content: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BadInput) as told, new_folder(tmp_path / "out", outside=[]) as folder:
        monkeypatch.setattr("flows.rights.folder.os.write", full)
        folder.write("a", [b"x"])
    assert told.value.reason == "no_space"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out", outside=[]) as folder:
        folder.write("a", [b"x"])
    assert (tmp_path / "out" / "a").exists()


def _full(place: Path) -> Path:
    place.mkdir()
    (place / "mine").write_text("mine")
    return place


def _file(place: Path) -> Path:
    place.write_text("mine")
    return place


def _link(place: Path) -> Path:
    target = place.with_name("target")
    target.mkdir()
    place.symlink_to(target)
    return place


def _inside(place: Path) -> Path:
    home = place.with_name("home")
    home.mkdir()
    return home / "objects"


def _inside_by_a_link(place: Path) -> Path:
    home = place.with_name("home")
    home.mkdir()
    place.symlink_to(home)
    return place / "objects"


def _nowhere(place: Path) -> Path:
    return place / "is" / "not" / "there"


@pytest.mark.parametrize("made", [_full, _file, _link, _inside, _inside_by_a_link, _nowhere])
def test_a_place_that_will_not_do_is_left_as_it_is(tmp_path: Path, made: object) -> None:
    out = made(tmp_path / "out")  # type: ignore[operator]
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(BadInput) as told,
        new_folder(out, outside=[tmp_path / "home"]) as folder,
    ):
        folder.write("a", [b"x"])
    assert told.value.remedy
    assert str(out) not in str(told.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", ".wav"),
        (b"fLaC\x00", ".flac"),
        (b"\x00\x00\x00\x20ftypisom", ".mp4"),
        (b"\x1aE\xdf\xa3", ".mkv"),
        (b"%PDF-1.7", ".pdf"),
        ("她说可以".encode(), ".txt"),
        ("她说可以".encode()[:-1], ".txt"),
        (b'{"a": 1}', ".json"),
        (b"\x00\x01\x02", ".bin"),
        (b"", ".bin"),
        (b"../../etc/passwd", ".txt"),
    ],
)
def test_a_file_is_named_by_what_it_is(first: bytes, name: str) -> None:
    assert ending(first) == name
