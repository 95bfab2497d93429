"""The door: what is written under consent, and what stops it (invariants 1 to 5)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from models.schema.errors import (
    BadUsage,
    ConsentRefused,
    DoorShut,
    FenceLost,
    Frozen,
    KeyDestroyed,
    LimitExceeded,
    NotFound,
    RoleRefused,
    Tampered,
)
from models.schema.kinds import KINDS, Expiry, Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.catalogue import objects
from storage.catalogue.objects import IntentState, ObjectState
from storage.catalogue.uploads import Upload, UploadState
from storage.handles import Operation, Run, Use
from storage.registers.uploads import Conclusion
from storage.runs import LEASE

VOICE = frozenset({Purpose.VOICE_CLONING})
BOTH = frozenset({Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN})
MEBIBYTE = 1024 * 1024

pytestmark = pytest.mark.parametrize(
    "storage", ["embedded", pytest.param("served", marks=pytest.mark.services)], indirect=True
)

Receive = Callable[..., Upload]


def _use(purposes: frozenset[Purpose] = VOICE, role: Role = Role.TRAINING) -> Use:
    return Use(role, Operation.PROCESS, purposes, "r" * 32)


def _admit(storage: Storage, run: Run) -> list[str]:
    return storage.door.commit(
        run,
        also=lambda writing: storage.uploads.conclude(
            writing, run.upload_id, Conclusion(UploadState.ADMITTED, [], {})
        ),
    )


@pytest.fixture
def run(storage: Storage, received: Receive) -> Run:
    upload = received("s-1", BOTH)
    return storage.door.begin(upload.id, role=Role.INGEST, purposes=BOTH)


def test_what_a_run_put_is_read_back_byte_for_byte_once_committed(
    storage: Storage, run: Run
) -> None:
    content = bytes(range(256)) * 9000
    object_id = storage.door.put(run, "voice_segment", [content[:5], b"", content[5:]])
    _admit(storage, run)
    with storage.door.open(object_id, _use()) as reader:
        pieces = list(reader)
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= MEBIBYTE


def test_nothing_of_a_run_exists_for_anybody_before_it_commits(storage: Storage, run: Run) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    with pytest.raises(NotFound), storage.door.open(object_id, _use()):
        pass
    with storage.door.open_own(run, object_id) as reader:
        assert reader.read() == b"x"


def test_the_intent_is_on_record_before_the_first_byte_is_asked_for(
    storage: Storage, run: Run
) -> None:
    seen: list[IntentState] = []

    def pieces() -> Iterator[bytes]:
        with storage.catalogue.reading() as connection:
            intents = objects.intents_of_run(connection, run.id)
        seen.extend(intent.state for intent in intents)
        yield b"x"

    storage.door.put(run, "voice_segment", pieces())
    assert seen == [IntentState.OPEN]


def test_an_abandoned_run_leaves_no_byte_no_key_and_no_object(storage: Storage, run: Run) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    before = {entry.key for entry in storage.store.list_keys()}
    storage.door.abandon(run)
    storage.door.abandon(run)
    assert len({entry.key for entry in storage.store.list_keys()}) == len(before) - 1
    with pytest.raises(KeyDestroyed):
        storage.vault.object_key(object_id)
    with pytest.raises(FenceLost):
        storage.door.put(run, "voice_segment", [b"late"])


def test_an_error_of_the_source_leaves_nothing_of_the_object(storage: Storage, run: Run) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"x" * MEBIBYTE
        raise ValueError("the decoder broke")

    before = {entry.key for entry in storage.store.list_keys()}
    with pytest.raises(ValueError, match="the decoder broke"):
        storage.door.put(run, "voice_segment", breaking())
    assert {entry.key for entry in storage.store.list_keys()} == before
    assert storage.door.written_by(run) == []


def test_an_object_may_not_be_larger_than_its_kind_allows(storage: Storage, run: Run) -> None:
    most = KINDS["voice_segment"].bytes_most
    with pytest.raises(LimitExceeded):
        storage.door.put(
            run, "voice_segment", (b"x" * MEBIBYTE for _ in range(most // MEBIBYTE + 1))
        )


def test_an_undeclared_kind_cannot_be_written(storage: Storage, run: Run) -> None:
    with pytest.raises(BadUsage, match="not a declared kind"):
        storage.door.put(run, "embedding_cache", [b"x"])


def test_a_run_writes_only_what_one_of_its_purposes_needs(
    storage: Storage, received: Receive
) -> None:
    upload = received("s-1", VOICE)
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    with pytest.raises(RoleRefused, match="P28"):
        storage.door.put(run, "face_segment", [b"x"])


def test_a_run_needs_every_purpose_to_be_allowed(storage: Storage, received: Receive) -> None:
    upload = received("s-1", VOICE)
    with pytest.raises(ConsentRefused) as refused:
        storage.door.begin(upload.id, role=Role.INGEST, purposes=BOTH)
    assert {reason["code"] for reason in refused.value.reasons} >= {"purpose_not_in_upload"}


def test_two_workers_with_the_same_upload_do_not_both_run(storage: Storage, run: Run) -> None:
    with pytest.raises(FenceLost, match="Another worker"):
        storage.door.begin(run.upload_id, role=Role.INGEST, purposes=BOTH)


@pytest.mark.parametrize("role", [Role.STEWARD, Role.AUDITOR, Role.INTAKE])
def test_roles_without_the_right_read_nothing(storage: Storage, run: Run, role: Role) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    _admit(storage, run)
    with pytest.raises(RoleRefused), storage.door.open(object_id, _use(role=role)):
        pass


def test_use_for_a_purpose_that_the_object_was_not_made_for_is_refused(
    storage: Storage, run: Run
) -> None:
    object_id = storage.door.put(run, "face_segment", [b"x"])
    _admit(storage, run)
    with pytest.raises(RoleRefused), storage.door.open(object_id, _use(VOICE)):
        pass


def test_every_opening_is_on_record_before_its_first_byte(storage: Storage, run: Run) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    _admit(storage, run)
    with storage.door.open(object_id, _use()):
        (access,) = [
            found
            for found in storage.consents.accesses_to(run.subject_id)
            if found.object_id == object_id
        ]
    assert (access.role, access.operation, access.purposes) == (
        "training",
        "process",
        ("voice_cloning",),
    )


def test_a_withdrawal_stops_a_reader_at_its_next_piece(storage: Storage, run: Run) -> None:
    object_id = storage.door.put(run, "original", (b"x" * MEBIBYTE for _ in range(4)))
    _admit(storage, run)
    with storage.door.open(object_id, _use()) as reader:
        pieces = iter(reader)
        next(pieces)
        storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
        with pytest.raises(Frozen):
            next(pieces)


def test_a_withdrawal_makes_a_running_write_and_its_commit_fail_and_leaves_no_output(
    storage: Storage, run: Run
) -> None:
    written = storage.door.put(run, "voice_segment", [b"early"])

    def withdrawing() -> Iterator[bytes]:
        yield b"x"
        storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
        yield b"y"

    with pytest.raises(FenceLost):
        storage.door.put(run, "voice_segment", withdrawing())
    with pytest.raises((FenceLost, ConsentRefused)):
        _admit(storage, run)
    storage.reconciler.run()
    with pytest.raises(KeyDestroyed):
        storage.vault.object_key(written)
    kinds = {row.kind for row in storage.uploads.objects_of(run.upload_id)}
    assert kinds == {"quarantined_upload"}


def test_a_withdrawn_purpose_leaves_the_other_in_use(storage: Storage, run: Run) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    _admit(storage, run)
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    with storage.door.open(object_id, _use(frozenset({Purpose.DIGITAL_HUMAN}))) as reader:
        assert reader.read() == b"x"
    with pytest.raises(ConsentRefused), storage.door.open(object_id, _use(BOTH)):
        pass


def test_the_persons_own_access_stays_open_while_frozen(storage: Storage, run: Run) -> None:
    object_id = storage.door.put(run, "report", [b"<html>"])
    _admit(storage, run)
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN)
    access = Use(Role.PERSON, Operation.ACCESS, frozenset(), run.id)
    with storage.door.open(object_id, access) as reader:
        assert reader.read() == b"<html>"


def test_nobody_but_the_person_and_review_may_call_it_access(storage: Storage, run: Run) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    _admit(storage, run)
    posing = Use(Role.TRAINING, Operation.ACCESS, frozenset(), run.id)
    with pytest.raises(RoleRefused), storage.door.open(object_id, posing):
        pass


def test_erasing_removes_bytes_key_and_row_content_and_works_while_frozen(
    storage: Storage, run: Run
) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    _admit(storage, run)
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    with storage.catalogue.reading() as connection:
        row = objects.object_by_id(connection, object_id)
    assert row is not None and row.store_key is not None
    assert storage.door.delete([object_id]) == 1
    assert storage.door.delete([object_id]) == 0
    assert storage.store.traces(row.store_key) == []
    with pytest.raises(KeyDestroyed):
        storage.vault.object_key(object_id)
    with storage.catalogue.reading() as connection:
        tombstone = objects.object_by_id(connection, object_id)
    assert tombstone is not None and tombstone.state is ObjectState.ERASED
    kept = {name for name, value in vars(tombstone).items() if value}
    assert kept == {"id", "kind", "state", "sealed_sha256", "created_at", "erased_at"}


def test_bytes_changed_in_the_store_are_noticed(
    storage: Storage, run: Run, home_files: Callable[[str], object]
) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x" * 100])
    _admit(storage, run)
    with storage.catalogue.reading() as connection:
        row = objects.object_by_id(connection, object_id)
    assert row is not None and row.store_key is not None
    home_files(row.store_key)
    with pytest.raises(Tampered), storage.door.open(object_id, _use()) as reader:
        reader.read()


def test_quarantine_and_raw_recordings_expire_as_the_policy_says(
    storage: Storage, run: Run
) -> None:
    storage.door.put(run, "original", [b"x"])
    storage.door.put(run, "voice_segment", [b"x"])
    expiry = {i.kind: i.expires_at for i in storage.door.writes(run)}
    assert KINDS["original"].expiry is Expiry.RAW
    assert expiry["original"] is not None
    assert expiry["voice_segment"] is None


def test_an_expired_object_is_not_opened_even_before_it_is_erased(
    storage: Storage, run: Run, clock: object
) -> None:
    object_id = storage.door.put(run, "original", [b"x"])
    _admit(storage, run)
    clock.advance(timedelta(days=31))  # type: ignore[attr-defined]
    with pytest.raises(NotFound), storage.door.open(object_id, _use()):
        pass


def test_a_run_whose_lease_ran_out_is_reaped_and_can_not_come_back(
    storage: Storage, run: Run, clock: object
) -> None:
    storage.door.put(run, "voice_segment", [b"x"])
    clock.advance(LEASE + timedelta(seconds=1))  # type: ignore[attr-defined]
    assert storage.reconciler.run().runs_reaped == 1
    with pytest.raises(FenceLost):
        storage.door.renew(run)
    with pytest.raises((FenceLost, ConsentRefused)):
        _admit(storage, run)
    again = storage.door.begin(run.upload_id, role=Role.INGEST, purposes=BOTH)
    assert again.id != run.id


def test_reconcile_leaves_a_living_run_alone(storage: Storage, run: Run) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    assert storage.reconciler.run().total == 0
    _admit(storage, run)
    with storage.door.open(object_id, _use()) as reader:
        assert reader.read() == b"x"


def test_no_reader_that_begins_after_a_withdrawal_gets_a_piece(storage: Storage, run: Run) -> None:
    """Readers race one withdrawal; whoever starts a check after it committed gets nothing."""
    object_id = storage.door.put(run, "original", (b"x" * MEBIBYTE for _ in range(3)))
    _admit(storage, run)
    committed = threading.Event()
    late: list[str] = []

    def read() -> None:
        for _ in range(15):
            after = committed.is_set()
            try:
                with storage.door.open(object_id, _use()) as reader:
                    next(iter(reader))
                if after:
                    late.append("released")
            except (ConsentRefused, Frozen):
                pass

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    committed.set()
    for reader in readers:
        reader.join()
    assert late == []


def test_the_door_is_shut_while_the_catalogue_is_older_than_the_key_store(
    storage: Storage, run: Run, restored_catalogue: Callable[[Callable[[], None]], Storage]
) -> None:
    object_id = storage.door.put(run, "voice_segment", [b"x"])
    _admit(storage, run)

    def withdrawn() -> None:
        storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)

    old = restored_catalogue(withdrawn)
    with pytest.raises(DoorShut), old.door.open(object_id, _use()):
        pass
    repairs = old.reconciler.run()
    assert repairs.freezes_restored == 1
    with pytest.raises(ConsentRefused), old.door.open(object_id, _use()):
        pass
    assert not list(old.verification.findings())
