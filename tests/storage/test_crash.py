"""A writer is killed at every step it takes; after reconcile neither stray nor plain byte is left.

The steps are found, not listed: an audit hook counts every file that is opened, linked or removed
and every SQL statement, and the process kills itself at the n-th, for every n until it survives.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage, StorageAddresses
from storage.catalogue import objects
from storage.catalogue.uploads import UploadState
from storage.registers.uploads import Conclusion, Declaration

SECRET = b"the plain bytes of a voice that must never rest on disk "
_COUNTED = {"open", "os.link", "os.rename", "os.remove", "os.mkdir"}


def _die_at(step: int) -> None:
    """Kill this process at its n-th counted step."""
    counted = 0

    def count(*_: object) -> None:
        nonlocal counted
        counted += 1
        if counted == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(name: str, _arguments: tuple[object, ...]) -> None:
        if name in _COUNTED:
            count()

    from sqlalchemy import Engine

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    sys.addaudithook(audit)


def _in_child(step: int, work: Callable[[], object]) -> bool:
    """Run work in a forked child that dies at a step; True when it was killed."""
    child = os.fork()
    if child == 0:
        try:
            _die_at(step)
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"step {step} failed by itself"
    return os.WIFSIGNALED(status)


def _write(addresses: StorageAddresses, declaration: Declaration) -> None:
    """An upload from its intent to its admitted features."""
    storage = Storage.open(addresses)
    upload = storage.uploads.declare(declaration)
    upload = storage.uploads.receive(upload, [SECRET * 200])
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
    storage.door.put(run, "voice_segment", [SECRET * 10])
    storage.door.put(run, "original", [SECRET * 200])
    storage.door.commit(
        run,
        also=lambda writing: storage.uploads.conclude(
            writing, upload.id, Conclusion(UploadState.ADMITTED, [], {})
        ),
    )
    storage.uploads.release_quarantine(upload.id)


def _assert_whole(addresses: StorageAddresses, home: Path, step: int) -> None:
    """Every byte in the store has a finished object; every object is readable; nothing is plain."""
    storage = Storage.open(addresses)
    storage.reconciler.run()
    with storage.catalogue.reading() as connection:
        rows = connection.execute(objects.OBJECTS.select()).all()
        open_intents = connection.execute(
            objects.INTENTS.select().where(objects.INTENTS.c.state.in_(["open", "written"]))
        ).all()
    assert not open_intents, f"step {step}"
    stored = {row.store_key for row in rows if row.state == "stored"}
    listed = {entry.key for entry in storage.store.list_keys()}
    assert listed == stored, f"step {step}"
    assert not any((home / "objects" / "writing").iterdir()), f"step {step}"
    assert not list(storage.verification.findings()), f"step {step}"
    for file in home.rglob("*"):
        if file.is_file():
            assert SECRET not in file.read_bytes(), f"step {step}: {file.name}"
    again = storage.reconciler.run()
    assert again.total == 0, f"step {step}: a second pass found {again}"


@pytest.mark.timeout(600)
def test_a_writer_killed_at_any_step_leaves_neither_stray_nor_plain_byte(
    tmp_path: Path,
    new_home: Path,
    addresses_in: Callable[[Path], StorageAddresses],
    declaration: Declaration,
) -> None:
    step, killed = 1, True
    while killed:
        home = tmp_path / str(step)
        shutil.copytree(new_home, home)
        addresses = addresses_in(home)
        killed = _in_child(step, lambda a=addresses: _write(a, declaration))  # type: ignore[misc]
        _assert_whole(addresses, home, step)
        shutil.rmtree(home)
        step += 1 if step < 30 else 4
    assert step > 100, "the hook counted too few steps to have seen the whole way"
    assert Purpose.VOICE_CLONING in declaration.purposes


def test_a_home_whose_setting_up_is_killed_is_set_up_by_the_next_command(
    tmp_path: Path, addresses_in: Callable[[Path], StorageAddresses]
) -> None:
    step, killed = 1, True
    while killed:
        home = tmp_path / str(step)
        addresses = addresses_in(home)
        killed = _in_child(step, lambda a=addresses: Storage.open(a))  # type: ignore[misc]
        _assert_whole(addresses, home, step)
        step += 1 if step < 6 else 47
    assert step > 100, "the hook counted too few steps to have seen the whole way"
