"""Scratch folders are private, in memory, found by their run, and always go."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from models.engines.scratch import (
    Scratch,
    folders,
    is_in_memory,
    left,
    open_scratch,
    remove,
    remove_where,
)
from models.engines.settings import EngineSettings
from models.schema.errors import BadUsage, EngineFailed

RUN = "0123456789abcdef" * 2


@pytest.fixture
def settings() -> Iterator[EngineSettings]:
    place = Path("/dev/shm") / f"test-{token_hex(8)}"
    place.mkdir(mode=0o700)
    yield EngineSettings(scratch=place)
    remaining = list(place.iterdir())
    shutil.rmtree(place)
    assert remaining == []


def _abandoned(settings: EngineSettings, run_id: str = RUN, worker: str = "w") -> Scratch:
    """As a process that was killed leaves it."""
    scratch = Scratch(run_id, settings.scratch / f"likeness-{run_id}-{token_hex(8)}")
    for folder in (scratch.path, scratch.folder, scratch.home):
        folder.mkdir(mode=0o700)
    (scratch.path / "worker").write_text(worker)
    return scratch


def test_it_is_private_and_gone_afterwards(settings: EngineSettings) -> None:
    with open_scratch(RUN, settings, worker="boot/1/2") as scratch:
        for folder in (scratch.path, scratch.folder, scratch.home):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert scratch.worker == "boot/1/2"
        assert left([RUN], settings) == [RUN]
    assert left([RUN], settings) == []
    assert not scratch.path.exists()


def test_it_is_gone_after_a_failure_too(settings: EngineSettings) -> None:
    with pytest.raises(RuntimeError), open_scratch(RUN, settings) as scratch:
        (scratch.folder / "file").write_bytes(b"x")
        raise RuntimeError
    assert folders(settings) == []


def test_only_memory_will_do(tmp_path: Path) -> None:
    assert is_in_memory(Path("/dev/shm"))
    if is_in_memory(tmp_path):
        pytest.skip("the folder for temporary files is itself in memory")
    with (
        pytest.raises(BadUsage, match="no tmpfs"),
        open_scratch(RUN, EngineSettings(scratch=tmp_path)),
    ):
        pass
    allowed = EngineSettings(scratch=tmp_path, scratch_on_disk=True)
    with open_scratch(RUN, allowed) as scratch:
        assert scratch.path.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_not_there_says_so(tmp_path: Path) -> None:
    gone = EngineSettings(scratch=tmp_path / "gone")
    assert folders(gone) == []
    assert remove([RUN], gone) == 0
    with pytest.raises(BadUsage, match="does not exist"), open_scratch(RUN, gone):
        pass


@pytest.mark.parametrize("run_id", ["", "s-17", "../" + "a" * 29, RUN.upper()])
def test_only_a_random_id_names_it(settings: EngineSettings, run_id: str) -> None:
    with pytest.raises(BadUsage), open_scratch(run_id, settings):
        pass


def test_what_an_earlier_attempt_left_goes_first(settings: EngineSettings) -> None:
    earlier = _abandoned(settings)
    with open_scratch(RUN, settings) as scratch:
        assert not earlier.path.exists()
        assert [found.path for found in folders(settings)] == [scratch.path]


def test_odd_things_go_too(settings: EngineSettings) -> None:
    scratch = _abandoned(settings)
    os.mkfifo(scratch.folder / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(scratch.folder / "socket"))
    (scratch.folder / "dangling").symlink_to("/nowhere")
    (scratch.folder / "up").symlink_to("..")
    Path(os.fsdecode(os.fsencode(scratch.folder) + b"/\xff\n-rf")).write_bytes(b"x")
    closed = scratch.folder / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner" / "file").write_bytes(b"x")
    (closed / "inner" / "file").chmod(0)
    (closed / "inner").chmod(0)
    closed.chmod(0)
    scratch.home.chmod(0)
    assert remove([RUN], settings) == 1
    assert left([RUN], settings) == []


def test_no_depth_is_too_deep(settings: EngineSettings) -> None:
    scratch = _abandoned(settings)
    here = os.open(scratch.folder, os.O_RDONLY)
    for _ in range(5_000):
        os.mkdir("below", dir_fd=here)
        below = os.open("below", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert remove([RUN], settings) == 1


def test_what_a_link_leads_to_stays(settings: EngineSettings, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"x")
    before = stat.S_IMODE(tmp_path.stat().st_mode)
    scratch = _abandoned(settings)
    (scratch.folder / "link").symlink_to(tmp_path)
    (scratch.folder / "linked").symlink_to(tmp_path / "kept")
    remove([RUN], settings)
    assert (tmp_path / "kept").read_bytes() == b"x"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == before


def test_removing_takes_only_the_named_runs(settings: EngineSettings) -> None:
    other = "f" * 32
    first, second, kept = _abandoned(settings), _abandoned(settings), _abandoned(settings, other)
    assert left([RUN, other, "e" * 32], settings) == sorted([RUN, other])
    assert remove([RUN, "e" * 32], settings) == 2
    assert not first.path.exists()
    assert not second.path.exists()
    assert left([RUN, other], settings) == [other]
    assert remove([RUN], settings) == 0
    assert kept.path.exists()
    remove([other], settings)


def test_the_dead_are_cleared_by_who_opened_them(settings: EngineSettings) -> None:
    dead, living = _abandoned(settings, worker="dead"), _abandoned(settings, worker="living")
    assert remove_where(lambda scratch: scratch.worker == "dead", settings) == 1
    assert not dead.path.exists()
    assert living.path.exists()
    remove([RUN], settings)


def test_what_only_looks_like_one_is_left_alone(settings: EngineSettings) -> None:
    name = f"likeness-{RUN}-{token_hex(8)}"
    (settings.scratch / name).symlink_to("/tmp")
    (settings.scratch / "likeness-other").mkdir()
    assert folders(settings) == []
    assert remove([RUN], settings) == 0
    assert Path("/tmp").is_dir()
    (settings.scratch / name).unlink()
    (settings.scratch / "likeness-other").rmdir()


def test_who_still_works_there_is_ended(settings: EngineSettings) -> None:
    scratch = _abandoned(settings)
    writer = "import itertools\nfor n in itertools.count(): open(f'{n % 50}', 'w').write('x' * 99)"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", writer],
        cwd=scratch.folder,
        env={"HOME": str(scratch.home)},
        stderr=subprocess.DEVNULL,
    ) as process:
        while len(list(scratch.folder.iterdir())) < 10:
            pass
        assert remove([RUN], settings) == 1
        assert process.wait(5) == -9


def test_its_size_is_bounded(settings: EngineSettings) -> None:
    with open_scratch(RUN, settings) as scratch:
        (scratch.home / "below").mkdir()
        (scratch.home / "below" / "cache").write_bytes(b"x" * 100_000)
        scratch.check_size(200_000)
        with pytest.raises(EngineFailed, match="more than"):
            scratch.check_size(50_000)


def test_a_sparse_file_takes_only_what_it_holds(settings: EngineSettings) -> None:
    with open_scratch(RUN, settings) as scratch:
        with (scratch.folder / "sparse").open("wb") as file:
            file.truncate(1 << 30)
        scratch.check_size(1 << 20)
