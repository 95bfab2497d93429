"""Folders of work on this machine: the engines' scratch, ours, and temporary Prefect homes.

Each is gone when its work ends. What a killed process left is found by the name of that process in
it, and goes with the next erasure or reconcile on the machine that it was left on.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flows.processing import PREFECT_HOMES, WORKER_FILE
from flows.settings import Settings
from models.engines import scratch
from storage.erasure.elsewhere import Concerned
from storage.worker import is_dead


class ScratchFolders:
    """The folders of this machine, as an erasure asks for them."""

    name = "scratch folders"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def remove(self, concerned: Concerned) -> None:
        """Remove the folders of the runs that are concerned, and whatever dead processes left."""
        scratch.remove(concerned.get("runs", ()), self._settings.engines)
        clear_dead(self._settings)

    def left(self, concerned: Concerned) -> int:
        """How many of these folders are still there."""
        of_runs = scratch.left(concerned.get("runs", ()), self._settings.engines)
        return len(of_runs) + sum(1 for _ in _dead_folders(self._settings))


def clear_dead(settings: Settings) -> int:
    """Remove what dead processes left on this machine; returns how many folders and files."""
    removed = scratch.remove_where(
        lambda folder: bool(folder.worker) and is_dead(folder.worker), settings.engines
    )
    for folder in list(_dead_folders(settings)):
        _end_processes_of(folder)
        shutil.rmtree(folder, ignore_errors=True)
        removed += 1
    for file in list(_named_files(settings)):
        file.unlink(missing_ok=True)
        removed += 1
    return removed


def _entries(settings: Settings) -> Iterator[Path]:
    for place in (settings.home / PREFECT_HOMES, settings.scratch):
        if place.is_dir():
            yield from place.iterdir()


def _is_folder(entry: Path) -> bool:
    return entry.is_dir() and not entry.is_symlink()


def _dead_folders(settings: Settings) -> Iterator[Path]:
    for entry in _entries(settings):
        with suppress(OSError):  # a living one may be removing its own
            if _is_folder(entry) and is_dead((entry / WORKER_FILE).read_text()):
                yield entry


def _named_files(settings: Settings) -> Iterator[Path]:
    """Those in use have no name to be found by, so a named one is what a crash left."""
    return (entry for entry in _entries(settings) if not _is_folder(entry))


def _end_processes_of(prefect_home: Path) -> None:
    """End the temporary Prefect server that a killed command left running on its home.

    It is found by its environment: the folder's name is that of one dead process and of no other.
    """
    mark = f"PREFECT_HOME={prefect_home}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (process / "environ").read_bytes().split(b"\0")
            if marked and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue
