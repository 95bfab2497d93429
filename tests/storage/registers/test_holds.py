"""Holds: legal stops on erasure and expiry, which stop no use (Policy P20)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from models.consent.facts import EvidenceLevel
from models.schema.erasure import ErasureGround
from models.schema.errors import BadInput, BadUsage, LikenessError, NotFound, ServiceUnavailable
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.catalogue import orders, people
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import OrderState
from storage.catalogue.uploads import UploadState
from storage.handles import Operation, Use
from storage.recorded_erasures import RECORDED_HOLDS, RecordedErasures
from storage.registers.evidence import Evidence
from storage.registers.holds import Holds, PlacedHold
from storage.registers.uploads import Conclusion
from tests.storage.conftest import (
    VOICE,
    AdmittedFactory,
    DeclareFactory,
    MovableClock,
    ReceivedFactory,
)

WARRANT = Evidence(b"The warrant of the public prosecutor", EvidenceLevel.DOCUMENT)
TRAINING = Use(Role.TRAINING, Operation.PROCESS, VOICE, "run")
OWN = Use(Role.REVIEW, Operation.ACCESS, frozenset(), "request")

Place = Callable[..., PlacedHold]


@pytest.fixture
def holds(storage: Storage) -> Holds:
    return storage.holds


@pytest.fixture
def place(holds: Holds, clock: MovableClock) -> Place:
    """Places a hold, on s-1 unless another scope is given."""

    def placed(scope: Scope = Scope.SUBJECT, named: str = "s-1", **details: Any) -> PlacedHold:
        complete = {
            "case": "d",
            "document": WARRANT,
            "expires_at": clock() + timedelta(days=details.pop("days", 30)),
        }
        return holds.place(scope, named, **{**complete, **details})

    return placed


def _stopped(storage: Storage, holds: Holds, scope: Scope, scope_id: str) -> bool:
    with storage.catalogue.reading() as connection:
        return bool(holds.in_force_over(connection, [(scope, scope_id)]))


def _recorded(storage: Storage) -> list[Any]:
    return RecordedErasures(storage.keys.database).holds()


def _events(storage: Storage) -> list[str]:
    return [entry.event for entry in storage.ledger.entries(1, limit=100)]


def _opens(storage: Storage, object_id: str, use: Use = TRAINING) -> bool:
    try:
        with storage.door.open(object_id, use) as reader:
            reader.read()
    except LikenessError:
        return False
    return True


# --- placing --------------------------------------------------------------------------------------


def test_a_hold_is_in_the_ledger_the_catalogue_and_the_key_store_before_success_is_answered(
    storage: Storage, holds: Holds, received: ReceivedFactory, place: Place
) -> None:
    received()
    hold = place().hold
    assert [each.hold for each in holds.all()] == [hold]
    assert _recorded(storage) == [hold]
    assert _events(storage)[hold.ledger_sequence - 1] == "hold_placed"
    assert hold.document_digest == WARRANT.digest


@pytest.mark.parametrize("scope", list(Scope))
def test_what_a_caller_names_may_be_an_account_a_subject_or_an_upload(
    storage: Storage, holds: Holds, received: ReceivedFactory, place: Place, scope: Scope
) -> None:
    upload = received("s-1", account="a-1")
    named = {"account": "a-1", "subject": "s-1", "upload": upload.id}.get(scope.value, "0" * 32)
    if scope is Scope.AVATAR:
        with pytest.raises(NotFound):
            place(scope, named)
        return
    place(scope, named)
    assert _stopped(storage, holds, Scope.SUBJECT, upload.subject_id)


def test_a_hold_names_the_orders_that_wait_for_it_and_those_that_had_begun(
    storage: Storage, received: ReceivedFactory, place: Place
) -> None:
    received("s-1")
    received("s-2")
    begun = storage.consents.withdraw("s-1", Purpose.VOICE_CLONING).order
    waiting = storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN).order
    storage.consents.withdraw("s-2", Purpose.VOICE_CLONING)
    with storage.catalogue.writing() as writing:
        orders.change_order(
            writing.connection,
            begun or "",
            expected=[OrderState.PENDING],
            state=OrderState.RUNNING,
        )
    held = place()
    assert [order.id for order in held.waiting] == [waiting]
    assert [order.id for order in held.begun] == [begun]


def test_a_hold_whose_record_in_the_key_store_failed_is_not_answered_as_placed_but_holds(
    storage: Storage, holds: Holds, received: ReceivedFactory, place: Place
) -> None:
    upload = received()
    with storage.keys.database.writing() as writing:
        RECORDED_HOLDS.drop(writing.connection)
    with pytest.raises(ServiceUnavailable):
        place()
    assert _stopped(storage, holds, Scope.SUBJECT, upload.subject_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"case": "i"},
        {"case": ""},
        {"document": Evidence(b"words", EvidenceLevel.DECLARED)},
        {"document": Evidence(b" ", EvidenceLevel.DOCUMENT)},
        {"days": 0},
        {"days": -1},
        {"days": 366.1},
    ],
    ids=str,
)
def test_a_hold_is_never_silent_never_without_a_case_and_never_for_ever(
    storage: Storage, received: ReceivedFactory, place: Place, wrong: dict[str, Any]
) -> None:
    received()
    before = storage.ledger.head()
    with pytest.raises(BadInput):
        place(**wrong)
    assert storage.ledger.head() == before
    assert _recorded(storage) == []


@pytest.mark.parametrize("scope", list(Scope))
def test_what_is_not_known_cannot_be_held_and_is_not_echoed(
    storage: Storage, received: ReceivedFactory, place: Place, scope: Scope
) -> None:
    received()
    unknown = "f" * 32
    with pytest.raises(NotFound) as refused:
        place(scope, unknown)
    assert unknown not in str(refused.value)
    if scope in {Scope.UPLOAD, Scope.AVATAR}:
        with pytest.raises(BadUsage):
            place(scope, "not an id")


# --- what it does ---------------------------------------------------------------------------------


def test_a_hold_alone_stops_no_use(
    storage: Storage, admitted: AdmittedFactory, place: Place
) -> None:
    segment = admitted().features["voice_segment"]
    place()
    assert _opens(storage, segment)


def test_what_is_held_beyond_its_time_is_stored_and_no_more(
    storage: Storage, received: ReceivedFactory, place: Place, clock: MovableClock
) -> None:
    """PIPL art. 47: the door opens for nobody what has outlived its time."""
    upload = received()
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
    original = storage.door.put(run, "original", [b"a recording"])
    ended = Conclusion(UploadState.ADMITTED, [], {})
    storage.door.commit(
        run, also=lambda writing: storage.uploads.conclude(writing, upload.id, ended)
    )
    place(days=200)
    assert _opens(storage, original)
    clock.advance(timedelta(days=30))
    assert not _opens(storage, original)
    assert not _opens(storage, original, OWN)


def test_a_hold_ends_by_itself(
    storage: Storage,
    holds: Holds,
    received: ReceivedFactory,
    place: Place,
    clock: MovableClock,
) -> None:
    upload = received()
    place(days=10)
    clock.advance(timedelta(days=10) - timedelta(seconds=1))
    assert _stopped(storage, holds, Scope.UPLOAD, upload.id)
    clock.advance(timedelta(seconds=1))
    assert not _stopped(storage, holds, Scope.UPLOAD, upload.id)
    assert [held.in_force for held in holds.all()] == [False]


def test_a_hold_on_an_account_is_over_a_person_who_joined_it_afterwards(
    storage: Storage,
    holds: Holds,
    received: ReceivedFactory,
    declare: DeclareFactory,
    place: Place,
) -> None:
    received("s-1", account="a-1")
    place(Scope.ACCOUNT, "a-1")
    later = declare("s-2", account="a-1")
    assert _stopped(storage, holds, Scope.SUBJECT, later.subject_id)


# --- lifting --------------------------------------------------------------------------------------


def test_a_lifted_hold_holds_nothing_and_the_key_store_knows_it(
    storage: Storage,
    holds: Holds,
    received: ReceivedFactory,
    place: Place,
    clock: MovableClock,
) -> None:
    upload = received()
    hold = place().hold
    clock.advance(timedelta(days=1))
    lifted = holds.lift(hold.id).hold
    assert lifted.lifted_at == clock()
    assert not _stopped(storage, holds, Scope.UPLOAD, upload.id)
    assert _recorded(storage) == [lifted]
    assert _events(storage)[-1] == "hold_lifted"


def test_lifting_twice_changes_nothing_more(
    storage: Storage, holds: Holds, received: ReceivedFactory, place: Place, clock: MovableClock
) -> None:
    received()
    hold = place().hold
    once = holds.lift(hold.id)
    head = storage.ledger.head()
    clock.advance(timedelta(days=1))
    assert holds.lift(hold.id).hold == once.hold
    assert storage.ledger.head() == head


def test_lifting_what_is_over_changes_nothing(
    storage: Storage, holds: Holds, received: ReceivedFactory, place: Place, clock: MovableClock
) -> None:
    received()
    hold = place(days=1).hold
    clock.advance(timedelta(days=1))
    head = storage.ledger.head()
    assert holds.lift(hold.id).hold.lifted_at is None
    assert storage.ledger.head() == head


def test_lifting_again_records_what_the_key_store_had_not_answered(
    storage: Storage, holds: Holds, received: ReceivedFactory, place: Place
) -> None:
    received()
    hold = place().hold
    with storage.keys.database.writing() as writing:
        RECORDED_HOLDS.drop(writing.connection)
    with pytest.raises(ServiceUnavailable):
        holds.lift(hold.id)
    with storage.keys.database.writing() as writing:
        RECORDED_HOLDS.create(writing.connection)
    RecordedErasures(storage.keys.database).record_hold(hold)
    lifted = holds.lift(hold.id).hold
    assert lifted.lifted_at is not None
    assert _recorded(storage) == [lifted]


def test_lifting_releases_only_the_orders_that_no_other_hold_stops(
    storage: Storage, holds: Holds, received: ReceivedFactory, place: Place
) -> None:
    upload = received("s-1", account="a-1")
    order = storage.consents.withdraw("s-1", Purpose.VOICE_CLONING).order
    on_account, on_upload = (
        place(scope, named).hold
        for scope, named in ((Scope.ACCOUNT, "a-1"), (Scope.UPLOAD, upload.id))
    )
    assert holds.would_release(on_account.id) == ()
    assert holds.lift(on_account.id).released == ()
    assert [each.id for each in holds.would_release(on_upload.id)] == [order]
    assert [each.id for each in holds.lift(on_upload.id).released] == [order]
    assert not _stopped(storage, holds, Scope.SUBJECT, upload.subject_id)


def test_a_hold_that_is_not_on_record_cannot_be_lifted(storage: Storage, holds: Holds) -> None:
    with pytest.raises(NotFound):
        holds.lift("0" * 32)
    with pytest.raises(BadUsage):
        holds.lift("h")


# --- a restored catalogue ------------------------------------------------------------------------


def test_a_restored_catalogue_gets_back_every_hold_and_every_lifting_that_it_forgot(
    received: ReceivedFactory,
    place: Place,
    holds: Holds,
    restored_catalogue: Callable[[Callable[[], object]], Storage],
) -> None:
    upload = received()
    lifted = place().hold
    happened = []

    def happens() -> None:
        happened.append(holds.lift(lifted.id).hold)
        happened.append(place(days=60).hold)

    older = restored_catalogue(happens)
    older.reconciler.run()
    assert sorted((held.hold for held in older.holds.all()), key=str) == sorted(happened, key=str)
    with older.catalogue.reading() as connection:
        assert older.holds.in_force_over(connection, [(Scope.UPLOAD, upload.id)]) == happened[1:]


def test_a_hold_waits_for_nobody_on_a_restored_catalogue_either(
    received: ReceivedFactory,
    place: Place,
    clock: MovableClock,
    restored_catalogue: Callable[[Callable[[], object]], Storage],
) -> None:
    received()
    older = restored_catalogue(partial(place, days=60))
    end = clock() + timedelta(days=1)
    older.holds.place(Scope.SUBJECT, "s-1", case="d", document=WARRANT, expires_at=end)
    assert len(older.holds.all()) == 2


# --- looking --------------------------------------------------------------------------------------


def test_what_a_hold_would_stop_can_be_seen_before_it_is_placed(
    storage: Storage, holds: Holds, received: ReceivedFactory
) -> None:
    received()
    assert holds.would_stop(Scope.SUBJECT, "s-1") == ()
    order = storage.consents.withdraw("s-1", Purpose.VOICE_CLONING).order
    head = storage.ledger.head()
    assert [each.id for each in holds.would_stop(Scope.SUBJECT, "s-1")] == [order]
    assert storage.ledger.head() == head


def test_the_holds_about_a_person_are_those_of_their_account_and_uploads_too(
    holds: Holds, received: ReceivedFactory, place: Place
) -> None:
    mine = received("s-1", account="a-1")
    received("s-2", account="a-1")
    on_account = place(Scope.ACCOUNT, "a-1").hold
    on_upload = place(Scope.UPLOAD, mine.id).hold
    on_another = place(Scope.SUBJECT, "s-2").hold
    assert [held.hold for held in holds.about(Scope.SUBJECT, "s-1")] == [on_account, on_upload]
    assert [held.hold for held in holds.about(Scope.SUBJECT, "s-2")] == [on_account, on_another]
    assert len(holds.all()) == 3


# --- races ----------------------------------------------------------------------------------------


def _begin(storage: Storage, subject_id: str, order_id: str, pause: float) -> bool:
    """What the beginning of an erasure does: look for holds and take the order, in one commit.

    Pauses between the two, so that a hold placed meanwhile must wait for it.
    """
    with storage.catalogue.writing() as writing:
        people.lock(writing.connection, subject_id, exclusively=True)
        if storage.holds.in_force_over(writing.connection, [(Scope.SUBJECT, subject_id)]):
            return False
        time.sleep(pause)
        return orders.change_order(
            writing.connection,
            order_id,
            expected=[OrderState.PENDING],
            state=OrderState.RUNNING,
        )


def _places(storage: Storage, clock: MovableClock, upload_id: str) -> tuple[int, int]:
    held = storage.holds.place(
        Scope.UPLOAD,
        upload_id,
        case="d",
        document=WARRANT,
        expires_at=clock() + timedelta(days=1),
    )
    return len(held.waiting), len(held.begun)


@pytest.mark.parametrize(
    "storage", ["embedded", pytest.param("served", marks=pytest.mark.services)], indirect=True
)
def test_a_hold_and_an_erasure_that_begins_never_both_believe_to_be_first(
    storage: Storage,
    clock: MovableClock,
    received: ReceivedFactory,
    at_once: Callable[..., list[Any]],
) -> None:
    for number, pause in enumerate((0.0, 0.3, 0.0, 0.3)):
        upload = received(f"s-{number}")
        stopped = storage.door.freeze(
            Scope.SUBJECT,
            upload.subject_id,
            purpose=None,
            cause="erasure_ordered",
            ground=ErasureGround.REQUESTED,
        )
        storage.catalogue.engine.dispose()
        storage.keys.database.engine.dispose()
        began, (waiting, begun) = at_once(
            [
                partial(_begin, storage, upload.subject_id, stopped.order or "", pause),
                partial(_places, storage, clock, upload.id),
            ]
        )
        assert (waiting, begun) == ((0, 1) if began else (1, 0))
