"""The end of the service: announced in time, then everybody is owed an erasure (Policy P14)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from models.consent.facts import EvidenceLevel
from models.schema.erasure import ErasureGround, Requester
from models.schema.errors import BadInput, LikenessError, NotFound, Refused
from models.schema.kinds import Role
from storage.assembly import Storage
from storage.catalogue import orders
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import Order, OrderState
from storage.handles import Operation, Use
from storage.recorded_erasures import RecordedErasures
from storage.registers.evidence import Evidence
from storage.registers.termination import Termination
from tests.storage.conftest import VOICE, AdmittedFactory, MovableClock, ReceivedFactory

NOTICE = Evidence(b"Dear all, our service ends.", EvidenceLevel.DOCUMENT)
TRAINING = Use(Role.TRAINING, Operation.PROCESS, VOICE, "run")
DAY = timedelta(days=1)

After = Callable[[float], datetime]


@pytest.fixture
def termination(storage: Storage) -> Termination:
    return storage.termination


@pytest.fixture
def after(clock: MovableClock) -> After:
    """The moment some days from now."""
    return lambda days: clock() + days * DAY


def _opens(storage: Storage, object_id: str) -> bool:
    try:
        with storage.door.open(object_id, TRAINING) as reader:
            reader.read()
    except LikenessError:
        return False
    return True


def _orders(storage: Storage) -> list[Order]:
    with storage.catalogue.reading() as connection:
        return orders.all_orders(connection)


# --- announcing -----------------------------------------------------------------------------------


def test_the_end_is_announced_with_its_notice_and_stands_in_the_ledger(
    storage: Storage, termination: Termination, after: After
) -> None:
    end = termination.announce(after(30), NOTICE)
    assert termination.announced() == end
    assert (end.ends_at, end.notice_digest) == (after(30), NOTICE.digest)
    assert storage.ledger.entries(1, limit=9)[-1].event == "service_end_announced"


@pytest.mark.parametrize("days", [-1, 0, 29.99])
def test_less_notice_than_thirty_days_is_refused(
    storage: Storage, termination: Termination, after: After, days: float
) -> None:
    head = storage.ledger.head()
    with pytest.raises(BadInput, match="30 days"):
        termination.announce(after(days), NOTICE)
    assert termination.announced() is None
    assert storage.ledger.head() == head


@pytest.mark.parametrize(
    "notice", [Evidence(b"words", EvidenceLevel.DECLARED), Evidence(b" ", EvidenceLevel.DOCUMENT)]
)
def test_without_a_notice_nothing_is_announced(
    termination: Termination, after: After, notice: Evidence
) -> None:
    with pytest.raises(BadInput):
        termination.announce(after(60), notice)
    assert termination.announced() is None


def test_the_end_may_be_put_off_at_any_time_but_not_brought_forward(
    termination: Termination, after: After, clock: MovableClock
) -> None:
    termination.announce(after(40), NOTICE)
    clock.advance(35 * DAY)
    with pytest.raises(BadInput):
        termination.announce(after(4), NOTICE)
    later = termination.announce(after(6), NOTICE)
    assert termination.announced() == later


def test_the_service_may_go_on_after_all(
    termination: Termination, after: After, clock: MovableClock
) -> None:
    with pytest.raises(NotFound):
        termination.call_off()
    termination.announce(after(30), NOTICE)
    termination.call_off()
    assert termination.announced() is None
    clock.advance(60 * DAY)
    assert not termination.has_ended()


def test_what_has_ended_is_neither_put_off_nor_called_off(
    termination: Termination, after: After, clock: MovableClock
) -> None:
    termination.announce(after(30), NOTICE)
    clock.advance(30 * DAY)
    with pytest.raises(BadInput):
        termination.announce(after(60), NOTICE)
    with pytest.raises(BadInput):
        termination.call_off()
    assert termination.has_ended()


# --- ending ---------------------------------------------------------------------------------------


def test_before_its_day_nothing_stops_and_nothing_is_ordered(
    storage: Storage,
    termination: Termination,
    admitted: AdmittedFactory,
    after: After,
    clock: MovableClock,
) -> None:
    segment = admitted().features["voice_segment"]
    termination.announce(after(30), NOTICE)
    clock.advance(30 * DAY - timedelta(seconds=1))
    assert termination.order_all() == []
    assert _opens(storage, segment)


def test_from_its_day_on_every_account_and_every_person_without_one_is_owed_an_erasure(
    storage: Storage,
    termination: Termination,
    received: ReceivedFactory,
    after: After,
    clock: MovableClock,
) -> None:
    first = received("s-1", account="a-1")
    received("s-2", account="a-1")
    alone = received("s-3")
    termination.announce(after(30), NOTICE)
    assert len(termination.left().accounts) == len(termination.left().people) == 1
    clock.advance(30 * DAY)
    placed = termination.order_all()
    made = {(order.scope, order.scope_id): order for order in _orders(storage)}
    assert set(made) == {(Scope.ACCOUNT, first.account_id), (Scope.SUBJECT, alone.subject_id)}
    for order in made.values():
        assert order.id in placed
        assert (order.ground, order.purpose) == (ErasureGround.SERVICE_ENDED, None)
        assert order.requester is Requester.HOUSE
        assert order.starts_at is None
    recorded = RecordedErasures(storage.keys.database).orders()
    assert {order.id for order in recorded} == set(placed)


def test_an_order_by_the_end_of_the_service_stops_all_use(
    storage: Storage,
    termination: Termination,
    admitted: AdmittedFactory,
    after: After,
    clock: MovableClock,
) -> None:
    segment = admitted().features["voice_segment"]
    termination.announce(after(30), NOTICE)
    clock.advance(30 * DAY)
    assert termination.order_all()
    assert not _opens(storage, segment)


def test_nobody_is_ordered_twice_and_who_came_in_between_is_not_forgotten(
    storage: Storage,
    termination: Termination,
    received: ReceivedFactory,
    after: After,
    clock: MovableClock,
) -> None:
    received("s-1")
    termination.announce(after(30), NOTICE)
    clock.advance(30 * DAY)
    assert len(termination.order_all()) == 1
    assert termination.order_all() == []
    storage.subjects.ensure("s-2", account=None)
    assert len(termination.order_all()) == 1
    assert len(_orders(storage)) == 2
    assert termination.left().people == []


def test_an_order_that_was_cancelled_is_placed_again(
    storage: Storage,
    termination: Termination,
    received: ReceivedFactory,
    after: After,
    clock: MovableClock,
) -> None:
    received("s-1")
    termination.announce(after(30), NOTICE)
    clock.advance(30 * DAY)
    (order,) = termination.order_all()
    with storage.catalogue.writing() as writing:
        orders.change_order(
            writing.connection, order, expected=[OrderState.PENDING], state=OrderState.CANCELLED
        )
    assert len(termination.order_all()) == 1


def test_once_it_has_ended_nothing_is_taken_in_any_more(
    termination: Termination,
    received: ReceivedFactory,
    clock: MovableClock,
    after: After,
) -> None:
    termination.announce(after(30), NOTICE)
    received("s-1")
    clock.advance(31 * DAY)
    with pytest.raises(Refused) as refused:
        received("s-2")
    assert refused.value.reason == "service_ended"
