"""Scratch folders: those of erased runs and of dead processes go, those of living ones stay."""

from __future__ import annotations

from pathlib import Path

from flows.erasing import places
from flows.settings import Settings
from flows.steward.scratch import ScratchFolders, clear_dead
from models.engines.scratch import open_scratch
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.catalogue.freezes import Scope
from storage.erasure.orders import Request
from storage.identifiers import random_id
from storage.worker import this_worker
from tests.storage.conftest import ReceivedFactory

DEAD = f"{this_worker().rpartition('/')[0]}/1"
"""This process's number, started at another time."""


def _left_behind(settings: Settings, run: str, worker: str) -> Path:
    """What a process that was killed in the middle of a run leaves."""
    folder = settings.engines.scratch / f"likeness-{run}-{random_id()[:16]}"
    (folder / "work").mkdir(parents=True)
    (folder / "worker").write_text(worker)
    (folder / "work" / "sample.wav").write_bytes(b"a voice")
    return folder


def test_an_erasure_removes_the_scratch_folders_of_the_runs_it_concerns_and_no_other(
    storage: Storage, settings: Settings, received: ReceivedFactory
) -> None:
    upload = received("s-1")
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
    theirs = _left_behind(settings, run.id, this_worker())
    with open_scratch(random_id(), settings.engines, worker=this_worker()) as other:
        order = storage.orders.place(Request(Scope.SUBJECT, "s-1"))
        storage.carrying_out.run(order.id, elsewhere=places(settings))
        assert not theirs.exists()
        assert other.path.exists()
    assert storage.receipts.of(order.id).receipt.order == order.id


def test_what_is_still_there_is_counted(settings: Settings) -> None:
    run = random_id()
    _left_behind(settings, run, this_worker())
    folders = ScratchFolders(settings)
    assert folders.left({"runs": [run]}) == 1
    assert folders.left({"runs": [random_id()]}) == 0
    folders.remove({"runs": [run]})
    assert folders.left({"runs": [run]}) == 0


def test_folders_of_the_dead_are_cleared_and_those_of_nobody_known_stay(
    settings: Settings,
) -> None:
    """The place is shared with other houses of the same system user."""
    dead = _left_behind(settings, random_id(), DEAD)
    living = _left_behind(settings, random_id(), this_worker())
    unnamed = _left_behind(settings, random_id(), "")
    assert clear_dead(settings) == 1
    assert [path.exists() for path in (dead, living, unnamed)] == [False, True, True]


def test_a_run_that_goes_on_for_another_purpose_keeps_its_folder(
    storage: Storage, settings: Settings, received: ReceivedFactory
) -> None:
    """The order is about one purpose, and this run never was."""
    received("s-1", frozenset({Purpose.VOICE_CLONING}))
    upload = received("s-1", frozenset({Purpose.DIGITAL_HUMAN}), content=[b"another"])
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
    with open_scratch(run.id, settings.engines, worker=this_worker()) as scratch:
        order = storage.orders.place(Request(Scope.SUBJECT, "s-1", Purpose.VOICE_CLONING))
        storage.carrying_out.run(order.id, elsewhere=places(settings))
        assert scratch.path.exists()
    storage.door.renew(run)
