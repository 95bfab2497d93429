"""Private scratch folders of runs: in memory, found again by the run's random id, gone afterwards.

    /dev/shm/likeness-<run id>-<attempt>/    0700
        worker      which process opened it, for whoever clears up after the dead
        work/       what the engine is given and gives back
        home/       HOME and TMPDIR of a foreign engine: caches, temporary files

Each attempt has a folder of its own, so that a process that lost the run to another one cannot
write among the files of the new one. A folder is found by its name alone: an erasure removes those
of the runs it concerns and sees that none is left; a reconcile removes those of the dead.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.child_process import kill_by_environment
from models.engines.settings import EngineSettings
from models.schema.errors import BadUsage, EngineFailed

HOME_VARIABLE: Final = "HOME"
_NAME: Final = re.compile(r"likeness-([0-9a-f]{32})-([0-9a-f]{16})")
_WORKER_FILE: Final = "worker"
_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_MOST_ENTRIES: Final = 100_000
"""Files and folders of one run: an hour of footage at 25 frames a second, one file each."""
_ATTEMPTS: Final = 20
"""How often removal starts over where something still writes."""


@dataclass(frozen=True)
class Scratch:
    """The open scratch folder of one run."""

    run_id: str
    path: Path

    @property
    def folder(self) -> Path:
        """Where the engine works."""
        return self.path / "work"

    @property
    def home(self) -> Path:
        """What the engine's libraries take for a home and a folder for temporary files."""
        return self.path / "home"

    @property
    def worker(self) -> str:
        """The process that opened it, as it named itself; empty where it did not come to that."""
        try:
            return (self.path / _WORKER_FILE).read_text("utf-8")
        except (OSError, ValueError):
            return ""

    def check_size(self, most_bytes: int) -> None:
        """Raises EngineFailed when all that lies in it takes more memory than `most_bytes`."""
        entries = used = 0
        waiting = [self.path]
        while waiting:
            # What vanishes meanwhile takes no room.
            with contextlib.suppress(OSError), os.scandir(waiting.pop()) as listing:
                for entry in listing:
                    entries += 1
                    with contextlib.suppress(OSError):
                        used += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(Path(entry.path))
                    if used > most_bytes or entries > _MOST_ENTRIES:
                        raise _too_much(most_bytes)


@contextlib.contextmanager
def open_scratch(run_id: str, settings: EngineSettings, *, worker: str = "") -> Iterator[Scratch]:
    """A private folder for one attempt of a run; whatever happens, it is gone afterwards.

    `run_id` is the run's random id (32 hexadecimal digits), `worker` names this process for
    `remove_where`. What earlier attempts of the run left is removed first. Raises BadUsage when the
    place is no memory, EngineFailed when something of it could not be removed.
    """
    path = settings.scratch / f"likeness-{run_id}-{secrets.token_hex(8)}"
    if _NAME.fullmatch(path.name) is None:
        raise BadUsage("The id of a run has 32 hexadecimal digits.")
    _require_memory(settings)
    remove([run_id], settings)
    scratch = Scratch(run_id, path)
    try:
        path.mkdir(mode=0o700)
        (path / _WORKER_FILE).write_text(worker, "utf-8")
        scratch.folder.mkdir(mode=0o700)
        scratch.home.mkdir(mode=0o700)
        yield scratch
    finally:
        _remove(scratch)
    if path.exists():
        raise EngineFailed(
            f"The scratch folder of run {run_id} could not be removed.",
            remedy="End what still writes to it; `likeness reconcile` then removes it.",
        )


def folders(settings: EngineSettings) -> list[Scratch]:
    """Every scratch folder of this system user, of whatever run, open ones included."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(settings.scratch) as listing:
        for entry in listing:
            name = _NAME.fullmatch(entry.name)
            with contextlib.suppress(FileNotFoundError):
                if name is not None and _is_ours(entry.stat(follow_symlinks=False)):
                    found.append(Scratch(name.group(1), settings.scratch / entry.name))
    return found


def left(run_ids: Collection[str], settings: EngineSettings) -> list[str]:
    """Those of these runs of which a scratch folder still exists, each once, sorted."""
    return sorted({scratch.run_id for scratch in folders(settings)} & set(run_ids))


def remove(run_ids: Collection[str], settings: EngineSettings) -> int:
    """End what still works in the folders of these runs and remove them; how many are gone.

    Safe at any time and as often as one likes. What could not be removed is in `left`.
    """
    wanted = frozenset(run_ids)
    return remove_where(lambda scratch: scratch.run_id in wanted, settings)


def remove_where(condition: Callable[[Scratch], bool], settings: EngineSettings) -> int:
    """Likewise for the folders that meet a condition, for instance that `worker` is dead.

    The place is shared by every house of one system user, so a run that a catalogue does not know
    may be another one's: let the condition be true only of what is certain.
    """
    removed = 0
    for scratch in folders(settings):
        if condition(scratch):
            _remove(scratch)
            removed += not scratch.path.exists()
    return removed


def is_in_memory(folder: Path) -> bool:
    """Whether a folder lies on a tmpfs or ramfs."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with Path("/proc/self/mountinfo").open("rb") as mounts:  # proc(5)
        for line in mounts:
            before, _, after = line.decode("utf-8", "surrogateescape").partition(" - ")
            if before.split()[2] == wanted:
                return after.split()[0] in _MEMORY
    return False


def _require_memory(settings: EngineSettings) -> None:
    if not settings.scratch.is_dir():
        raise BadUsage(
            "The place for scratch folders does not exist.",
            remedy="Set LIKENESS_ENGINES__SCRATCH to a tmpfs, as /dev/shm is.",
        )
    if not settings.scratch_on_disk and not is_in_memory(settings.scratch):
        raise BadUsage(
            "The place for scratch folders is no tmpfs: what is deleted there may be recovered.",
            remedy="Set LIKENESS_ENGINES__SCRATCH to a tmpfs, as /dev/shm is, or allow a disk with "
            "LIKENESS_ENGINES__SCRATCH_ON_DISK=true.",
        )


def _too_much(most_bytes: int) -> EngineFailed:
    return EngineFailed(
        f"The engine wrote more than {most_bytes:,} bytes or {_MOST_ENTRIES:,} files.",
        remedy="Train on less, or raise LIKENESS_ENGINES__SCRATCH_BYTES if there is memory for it.",
    )


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _remove(scratch: Scratch) -> None:
    """Remove a folder whatever lies in it, as far as the system lets us."""
    for _ in range(_ATTEMPTS):
        kill_by_environment(HOME_VARIABLE, str(scratch.home))
        if not scratch.path.exists():
            return
        with contextlib.suppress(OSError):
            _allow(str(scratch.path))
            _empty(scratch.path)
            scratch.path.rmdir()


def _empty(folder: Path) -> None:
    """Remove what lies in a folder without walking down, so that no depth is too deep.

    A folder's entries move up to the top, and the folder itself is then empty. `shutil.rmtree`
    holds a descriptor for each level, and gives up at folders that may not be read.
    """
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        while names := os.listdir(top):  # noqa: PTH208 - of a descriptor, not of a path
            for name in names:
                _empty_one(name, top)
    finally:
        os.close(top)


def _empty_one(name: str, top: int) -> None:
    try:
        os.unlink(name, dir_fd=top)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        opened = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        inside = f"/proc/self/fd/{opened}"
        _allow(inside)
        for entry in os.scandir(inside):
            if entry.is_dir(follow_symlinks=False):
                # To move, a folder itself has to be writable.
                _allow(entry.path)
            os.rename(entry.path, secrets.token_hex(8), dst_dir_fd=top)
    finally:
        os.close(opened)
    os.rmdir(name, dir_fd=top)


def _allow(folder: str) -> None:
    Path(folder).chmod(0o700)
