"""Somebody says whose voice or face an upload holds: once, on record, before its time is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from models.schema.errors import (
    BadInput,
    BadUsage,
    ConsentRefused,
    FenceLost,
    LimitExceeded,
    NotFound,
)
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.uploads import Upload, UploadState
from storage.handles import Operation, Use
from storage.registers.reviews import APPROVED, REJECTED, Reviewer, settled_codes
from storage.registers.uploads import Conclusion
from tests.storage.conftest import BOTH, VOICE, MovableClock, ReceivedFactory

REVIEWER = Reviewer("Maria Li, data protection", "the passport photograph is alike", "mli")
OTHER = Reviewer("Otto Berg", "the voice is not the same", "ob")
DOUBT = {"code": "several_speakers", "english": "Two voices.", "chinese": "两个声音。"}
NEW_DOUBT = {"code": "face_mismatch", "english": "Another face.", "chinese": "另一张脸。"}
RECORDING = b"the recording that waits " * 4000


class WaitingFactory:
    """Brings uploads to where ingest leaves one that waits."""

    def __init__(self, storage: Storage, received: ReceivedFactory) -> None:
        self._storage = storage
        self._received = received

    def __call__(self, subject: str = "s-1", purposes: frozenset[Purpose] = BOTH) -> Upload:
        return self.wait(self._received(subject, purposes, content=(RECORDING,)))

    def wait(self, upload: Upload, doubt: dict[str, str] = DOUBT) -> Upload:
        storage = self._storage
        run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
        deadline = storage.uploads.identification_deadline()
        storage.door.put(run, "original", [RECORDING], expires_at=deadline)
        storage.door.put(run, "report", [b"a page"], expires_at=deadline)
        conclusion = Conclusion(
            UploadState.NEEDS_IDENTIFICATION, [doubt], {**upload.outcome, "media": {"known": 1}}
        )
        storage.door.commit(
            run, also=lambda writing: storage.uploads.conclude(writing, upload.id, conclusion)
        )
        storage.uploads.release_quarantine(upload.id)
        return storage.uploads.by_id(upload.id)


@pytest.fixture
def waiting(storage: Storage, received: ReceivedFactory) -> WaitingFactory:
    """See WaitingFactory."""
    return WaitingFactory(storage, received)


def _events(storage: Storage) -> list[str]:
    with storage.catalogue.reading() as connection:
        rows = connection.exec_driver_sql("SELECT event FROM ledger_entries ORDER BY sequence")
        return list(rows.scalars())


def _read(storage: Storage, upload: Upload, use: Use) -> bytes:
    (row,) = storage.uploads.objects_of(upload.id, kind="original")
    with storage.door.open(row.id, use) as reader:
        return reader.read()


# --- while it waits -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.TRAINING, Role.INGEST, Role.REVIEW])
def test_nobody_uses_a_recording_for_a_purpose_while_it_waits(
    storage: Storage, waiting: WaitingFactory, role: Role
) -> None:
    upload = waiting()
    with pytest.raises(ConsentRefused) as refused:
        _read(storage, upload, Use(role, Operation.PROCESS, VOICE, "t"))
    assert {reason["code"] for reason in refused.value.reasons} == {"not_identified"}


def test_no_run_begins_on_an_upload_that_waits(storage: Storage, waiting: WaitingFactory) -> None:
    with pytest.raises(ConsentRefused):
        storage.door.begin(waiting().id, role=Role.INGEST, purposes=VOICE)


def test_a_reviewer_looks_and_every_look_is_on_record(
    storage: Storage, waiting: WaitingFactory
) -> None:
    upload = waiting()
    use = Use(Role.REVIEW, Operation.IDENTIFY, frozenset(), upload.id)
    assert _read(storage, upload, use) == RECORDING
    with storage.catalogue.reading() as connection:
        (row,) = connection.exec_driver_sql(
            "SELECT role, operation, kind, reference FROM access_log WHERE operation = 'identify'"
        ).all()
    assert tuple(row) == ("review", "identify", "original", upload.id)


def test_what_waits_is_listed_by_its_deadline_and_not_after_it(
    storage: Storage, waiting: WaitingFactory, clock: MovableClock
) -> None:
    first = waiting()
    clock.advance(timedelta(days=2))
    second = waiting("s-2")
    assert [each.id for each in storage.reviews.waiting()] == [first.id, second.id]
    clock.advance(timedelta(days=5))
    assert [each.id for each in storage.reviews.waiting()] == [second.id]


# --- approving ----------------------------------------------------------------------------------


def test_an_approval_is_one_ledger_entry_and_ingest_may_take_the_upload_up(
    storage: Storage, waiting: WaitingFactory
) -> None:
    upload = waiting()
    approved = storage.reviews.approve(upload.id, REVIEWER)
    assert approved.state is UploadState.RECEIVED
    assert settled_codes(approved) == {"several_speakers"}
    assert approved.expires_at == upload.expires_at
    assert _events(storage).count(APPROVED) == 1
    assert list(storage.verification.findings()) == []
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
    use = Use(Role.INGEST, Operation.PROCESS, run.purposes, run.id)
    assert _read(storage, upload, use) == RECORDING


def test_who_decided_and_why_lies_nowhere_in_plain(
    storage: Storage, waiting: WaitingFactory, plain_in_home: Callable[..., list[str]]
) -> None:
    storage.reviews.approve(waiting().id, REVIEWER)
    storage.reviews.reject(waiting("s-2").id, OTHER)
    texts = [*vars(REVIEWER).values(), *vars(OTHER).values()]
    assert plain_in_home(*(text.encode() for text in texts if len(text) > 3)) == []


def test_the_same_reviewer_again_finishes_and_records_nothing_new(
    storage: Storage, waiting: WaitingFactory
) -> None:
    upload = waiting()
    once = storage.reviews.approve(upload.id, REVIEWER)
    head = storage.ledger.head()
    assert [each.id for each in storage.reviews.waiting()] == [upload.id]
    assert storage.reviews.approve(upload.id, REVIEWER) == once
    assert storage.ledger.head() == head


@pytest.mark.parametrize("second", ["approve", "reject"])
def test_after_one_reviewer_decided_another_is_told_so(
    storage: Storage, waiting: WaitingFactory, second: str
) -> None:
    upload = waiting()
    storage.reviews.approve(upload.id, REVIEWER)
    with pytest.raises(BadInput, match="decided") as told:
        getattr(storage.reviews, second)(upload.id, OTHER)
    assert told.value.reason == "already_decided"
    assert storage.uploads.by_id(upload.id).state is UploadState.RECEIVED


def test_of_two_reviewers_at_once_one_decides(
    storage: Storage,
    addresses: StorageAddresses,
    waiting: WaitingFactory,
    at_once: Callable[..., list[Any]],
) -> None:
    upload = waiting()

    def decide(verb: str, reviewer: Reviewer) -> Callable[[], str]:
        def work() -> str:
            own = Storage.open(addresses)
            try:
                getattr(own.reviews, verb)(upload.id, reviewer)
            except BadInput as error:
                return error.reason
            return "done"

        return work

    answers = at_once([decide("approve", REVIEWER), decide("reject", OTHER)])
    assert answers.count("done") == 1
    assert set(answers) <= {"done", "already_decided", "not_waiting"}
    assert (_events(storage).count(APPROVED), _events(storage).count(REJECTED)) in {(1, 0), (0, 1)}


def test_a_new_doubt_after_an_approval_waits_again_and_both_are_settled_by_the_next(
    storage: Storage, waiting: WaitingFactory
) -> None:
    approved = storage.reviews.approve(waiting().id, REVIEWER)
    again = waiting.wait(approved, NEW_DOUBT)
    assert again.state is UploadState.NEEDS_IDENTIFICATION
    assert settled_codes(storage.reviews.approve(again.id, OTHER)) == {
        "several_speakers",
        "face_mismatch",
    }


def test_an_approval_after_every_purpose_was_withdrawn_is_refused_and_changes_nothing(
    storage: Storage, waiting: WaitingFactory
) -> None:
    upload = waiting()
    for purpose in BOTH:
        storage.consents.withdraw("s-1", purpose)
    head = storage.ledger.head()
    with pytest.raises(ConsentRefused) as refused:
        storage.reviews.approve(upload.id, REVIEWER)
    assert "withdrawn" in {reason["code"] for reason in refused.value.reasons}
    assert storage.ledger.head() == head
    assert storage.uploads.by_id(upload.id) == upload


def test_an_approval_covers_the_purposes_that_are_left(
    storage: Storage, waiting: WaitingFactory
) -> None:
    upload = waiting()
    storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN)
    storage.reviews.approve(upload.id, REVIEWER)
    storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)


def test_what_the_next_run_replaces_goes_with_its_commit_even_if_it_stops_right_after(
    storage: Storage, waiting: WaitingFactory
) -> None:
    upload = storage.reviews.approve(waiting().id, REVIEWER)
    earlier = [row.id for row in storage.uploads.objects_of(upload.id)]
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    original = storage.door.put(run, "original", [RECORDING])

    def write(writing: Any) -> None:
        storage.uploads.conclude(writing, upload.id, Conclusion(UploadState.ADMITTED, [], {}))
        storage.uploads.retire(writing, earlier)

    storage.door.commit(run, also=write)
    (row,) = storage.uploads.objects_of(upload.id)
    assert row.id == original
    assert row.expires_at is not None
    assert row.expires_at > upload.created_at + timedelta(days=29)
    assert storage.reconciler.run().deletions_finished == len(earlier) == 2
    assert [entry.key for entry in storage.store.list_keys()] == [row.store_key]


# --- its time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("approved", [False, True], ids=["undecided", "approved, not finished"])
def test_what_waited_too_long_can_not_be_decided_and_is_erased(
    storage: Storage, waiting: WaitingFactory, clock: MovableClock, approved: bool
) -> None:
    upload = waiting()
    if approved:
        storage.reviews.approve(upload.id, REVIEWER)
    clock.advance(timedelta(days=7))
    if not approved:
        with pytest.raises(BadInput) as told:
            storage.reviews.approve(upload.id, REVIEWER)
        assert told.value.reason == "waited_too_long"
    storage.reconciler.run()
    assert storage.uploads.by_id(upload.id).state is UploadState.ABANDONED
    assert storage.uploads.objects_of(upload.id) == []
    assert [entry.key for entry in storage.store.list_keys()] == []


def test_a_run_that_outlives_the_deadline_can_not_commit(
    storage: Storage, waiting: WaitingFactory, clock: MovableClock
) -> None:
    upload = storage.reviews.approve(waiting().id, REVIEWER)
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    storage.door.put(run, "voice_segment", [b"a feature"])
    clock.advance(timedelta(days=7))
    storage.uploads.abandon(upload)

    def write(writing: Any) -> None:
        if not storage.uploads.conclude(
            writing, upload.id, Conclusion(UploadState.ADMITTED, [], {})
        ):
            raise FenceLost("ended")

    with pytest.raises(FenceLost):
        storage.door.commit(run, also=write)
    storage.door.abandon(run)
    assert storage.uploads.objects_of(upload.id) == []


def test_abandoning_what_was_admitted_since_erases_nothing(
    storage: Storage, waiting: WaitingFactory
) -> None:
    admitted = waiting()
    with storage.catalogue.writing() as writing:
        storage.uploads.conclude(writing, admitted.id, Conclusion(UploadState.ADMITTED, [], {}))
    storage.uploads.abandon(admitted)
    assert storage.uploads.by_id(admitted.id).state is UploadState.ADMITTED
    assert storage.uploads.objects_of(admitted.id) != []


# --- rejecting ----------------------------------------------------------------------------------


def test_a_rejected_upload_leaves_a_ledger_entry_and_nothing_else(
    storage: Storage, waiting: WaitingFactory
) -> None:
    upload = waiting()
    rejected = storage.reviews.reject(upload.id, REVIEWER)
    assert rejected.state is UploadState.REJECTED
    assert [reason["code"] for reason in rejected.reasons] == ["not_the_person"]
    assert (rejected.outcome, rejected.digest) == ({}, None)
    assert (rejected.file_name_sealed, rejected.transcript_sealed) == (None, None)
    assert _events(storage).count(REJECTED) == 1
    assert storage.uploads.objects_of(upload.id) == []
    assert [entry.key for entry in storage.store.list_keys()] == []
    with storage.keys.database.reading() as connection:
        left = connection.exec_driver_sql(
            "SELECT count(*) FROM object_keys WHERE wrapped IS NOT NULL"
        ).scalar()
    with storage.catalogue.reading() as connection:
        stored = connection.exec_driver_sql(
            "SELECT count(*) FROM objects WHERE state = 'stored'"
        ).scalar()
    assert (left, stored) == (1, 0)  # the key of the person's columns


def test_a_rejection_works_while_everything_is_withdrawn(
    storage: Storage, waiting: WaitingFactory
) -> None:
    upload = waiting()
    for purpose in BOTH:
        storage.consents.withdraw("s-1", purpose)
    assert storage.reviews.reject(upload.id, REVIEWER).state is UploadState.REJECTED


def test_a_rejection_given_twice_is_told_so(storage: Storage, waiting: WaitingFactory) -> None:
    upload = waiting()
    storage.reviews.reject(upload.id, REVIEWER)
    with pytest.raises(BadInput) as told:
        storage.reviews.reject(upload.id, REVIEWER)
    assert told.value.reason == "not_waiting"


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_only_what_waits_can_be_decided(
    storage: Storage, received: ReceivedFactory, verb: str
) -> None:
    upload = received()
    with pytest.raises(BadInput) as told:
        getattr(storage.reviews, verb)(upload.id, REVIEWER)
    assert told.value.reason == "not_waiting"
    with pytest.raises(BadInput):
        storage.reviews.by_id(upload.id)
    with pytest.raises(NotFound):
        getattr(storage.reviews, verb)("0" * 32, REVIEWER)


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize(
    ("reviewer", "error"),
    [
        (Reviewer(" ", "a reason", "u"), BadUsage),
        (Reviewer("a name", "\n", "u"), BadUsage),
        (Reviewer("a name", "long " * 1000, "u"), LimitExceeded),
    ],
)
def test_a_decision_needs_a_name_and_a_reason(
    storage: Storage,
    waiting: WaitingFactory,
    verb: str,
    reviewer: Reviewer,
    error: type[BadInput],
) -> None:
    upload = waiting()
    with pytest.raises(error):
        getattr(storage.reviews, verb)(upload.id, reviewer)
    assert storage.uploads.by_id(upload.id) == upload
