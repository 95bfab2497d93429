"""Reconcile: the stores among themselves, then the folders that dead processes left."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from flows.processing import PREFECT_HOMES, WORKER_FILE
from flows.settings import Settings
from storage.assembly import Storage
from storage.reconcile import Repairs
from storage.worker import is_dead


def reconcile_all(storage: Storage, settings: Settings) -> Repairs:
    """Put everything right that is due now; returns what was done."""
    repairs = storage.reconciler.run()
    repairs.scratch_removed += _clear_dead(settings.home / PREFECT_HOMES)
    repairs.scratch_removed += _clear_dead(settings.scratch)
    return repairs


def _clear_dead(folder: Path) -> int:
    """Remove the folders of dead processes, and files: unlinked ones have no name to be found by,
    so a named file here is what a crash left."""
    removed = 0
    if not folder.is_dir():
        return 0
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            owner = entry / WORKER_FILE
            if owner.is_file() and is_dead(owner.read_text()):
                _end_processes_of(entry)
                shutil.rmtree(entry, ignore_errors=True)
                removed += 1
        else:
            entry.unlink(missing_ok=True)
            removed += 1
    return removed


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
