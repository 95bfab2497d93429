"""Reconcile: what crashes and time leave behind is put right, and nothing that lives is touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.schema.errors import FenceLost, KeyDestroyed, NotFound
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.catalogue.uploads import Upload, UploadState
from storage.door import LONGEST_WRITE
from storage.identifiers import random_id
from storage.registers.uploads import Conclusion
from storage.runs import LEASE
from storage.worker import is_dead, this_worker

VOICE = frozenset({Purpose.VOICE_CLONING})


def _keys(storage: Storage) -> set[str]:
    return {entry.key for entry in storage.store.list_keys()}


def test_a_second_pass_finds_nothing(storage: Storage, received: Callable[..., Upload]) -> None:
    received("s-1", VOICE)
    storage.reconciler.run()
    assert storage.reconciler.run().total == 0


def test_bytes_that_no_row_accounts_for_are_removed(storage: Storage) -> None:
    stray = random_id()
    storage.store.put(stray, [b"nobody knows me"])
    assert storage.reconciler.run().strays_removed == 1
    assert storage.store.traces(stray) == []


def test_a_write_that_arrives_after_its_key_was_reaped_is_removed_on_the_next_visit(
    storage: Storage, received: Callable[..., Upload], clock: object
) -> None:
    upload = received("s-1", VOICE)
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    storage.door.put(run, "voice_segment", [b"x"])
    (intent,) = storage.door.writes(run)
    clock.advance(LEASE + timedelta(seconds=1))  # type: ignore[attr-defined]
    storage.reconciler.run()
    assert storage.store.traces(intent.store_key) == []

    storage.store.put(intent.store_key, [b"the slow writer's bytes"])
    repairs = storage.reconciler.run()
    assert repairs.late_writes_removed == 1
    assert storage.store.traces(intent.store_key) == []

    clock.advance(LONGEST_WRITE + timedelta(seconds=1))  # type: ignore[attr-defined]
    storage.reconciler.run()
    assert storage.reconciler.run().reaped_keys_visited == 0


def test_a_run_of_a_dead_process_is_reaped_without_waiting_for_its_lease(
    storage: Storage, received: Callable[..., Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = received("s-1", VOICE)
    monkeypatch.setattr("storage.runs.this_worker", _dead_worker)
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    repairs = storage.reconciler.run()
    assert repairs.runs_reaped == 1
    with pytest.raises(FenceLost):
        storage.door.resume(run.id)


def test_a_process_is_called_dead_only_when_it_certainly_is() -> None:
    assert not is_dead(this_worker())
    assert is_dead(_dead_worker())
    assert not is_dead("another-machine/12/34")
    assert not is_dead("")


def test_quarantine_empties_itself_after_its_time(
    storage: Storage, received: Callable[..., Upload], clock: object
) -> None:
    upload = received("s-1", VOICE)
    assert _keys(storage)
    clock.advance(timedelta(hours=25))  # type: ignore[attr-defined]
    repairs = storage.reconciler.run()
    assert repairs.uploads_abandoned == 1
    assert _keys(storage) == set()
    assert storage.uploads.by_id(upload.id).state is UploadState.ABANDONED
    with pytest.raises(NotFound):
        storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
        raise NotFound("nothing is left to process")


def test_what_waits_for_identification_goes_after_its_days(
    storage: Storage, received: Callable[..., Upload], clock: object
) -> None:
    upload = received("s-1", VOICE)
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    deadline = storage.uploads.identification_deadline()
    original = storage.door.put(run, "original", [b"x"], expires_at=deadline)
    storage.door.commit(
        run,
        also=lambda writing: storage.uploads.conclude(
            writing, upload.id, Conclusion(UploadState.NEEDS_IDENTIFICATION, [], {})
        ),
    )
    storage.uploads.release_quarantine(upload.id)
    clock.advance(timedelta(days=6))  # type: ignore[attr-defined]
    assert storage.reconciler.run().expired_erased == 0
    clock.advance(timedelta(days=2))  # type: ignore[attr-defined]
    storage.reconciler.run()
    assert _keys(storage) == set()
    with pytest.raises(KeyDestroyed):
        storage.vault.object_key(original)


def test_a_deletion_that_was_interrupted_is_finished(
    storage: Storage, admitted: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = admitted("s-1", VOICE)
    object_id = found.features["voice_segment"]  # type: ignore[attr-defined]

    def broken(_key: str) -> None:
        raise OSError("the machine went down")

    with monkeypatch.context() as patch:
        patch.setattr(storage.store, "delete", broken)
        with pytest.raises(OSError, match="went down"):
            storage.door.delete([object_id])
    repairs = storage.reconciler.run()
    assert repairs.deletions_finished == 1
    with pytest.raises(KeyDestroyed):
        storage.vault.object_key(object_id)


def _dead_worker() -> str:
    """This process's name as it would be had it started at another time."""
    machine, _, _ = this_worker().rpartition("/")
    return f"{machine}/1"
