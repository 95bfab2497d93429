"""Requests: on record with their deadline before anything is read, answered once, frozen or not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.schema.deadlines import due_at
from models.schema.errors import BadUsage, LimitExceeded, NotFound
from models.schema.purposes import Purpose
from models.schema.retention import Retention
from storage.assembly import Storage
from storage.catalogue.requests import Request, RequestKind, RequestState
from storage.registers.requests import AUTHENTICATION_CHARACTERS_MOST, Handling
from tests.storage.conftest import AdmittedFactory, MovableClock

CARD = "Zhang Wei showed identity card 110101199003070000"
DESK = "clerk-lin"


def _opened(storage: Storage, subject: str = "s-1", authenticated_by: str = CARD) -> Request:
    return storage.requests.open(subject, RequestKind.ACCESS, Handling(DESK, authenticated_by))


@pytest.mark.parametrize("nothing", ["", "   \n"])
def test_without_saying_how_the_person_was_authenticated_nothing_is_recorded(
    storage: Storage, admitted: AdmittedFactory, nothing: str
) -> None:
    admitted()
    before = storage.ledger.head()
    with pytest.raises(BadUsage, match="authenticated"):
        _opened(storage, authenticated_by=nothing)
    assert storage.ledger.head() == before
    assert storage.requests.waiting() == []


def test_an_endless_text_is_refused(storage: Storage, admitted: AdmittedFactory) -> None:
    admitted()
    with pytest.raises(LimitExceeded):
        _opened(storage, authenticated_by="x" * (AUTHENTICATION_CHARACTERS_MOST + 1))


def test_nothing_is_recorded_about_somebody_who_is_not_known(storage: Storage) -> None:
    with pytest.raises(NotFound) as unknown:
        _opened(storage, "nobody-here")
    assert "nobody-here" not in str(unknown.value)


def test_a_request_is_due_after_the_legal_time_and_says_who_took_it(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted()
    request = storage.requests.by_id(_opened(storage).id)
    assert request.due_at == due_at(clock(), account_closure=False, retention=Retention())
    assert request.state is RequestState.OPEN
    assert storage.requests.handling(request) == Handling(DESK, CARD)


def test_the_words_of_a_request_lie_nowhere_in_plain(
    storage: Storage, admitted: AdmittedFactory, plain_in_home: Callable[..., list[str]]
) -> None:
    admitted()
    _opened(storage)
    assert plain_in_home(CARD.encode(), DESK.encode(), b"110101199003070000") == []


def test_a_request_can_be_opened_and_answered_while_everything_is_frozen(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted()
    for purpose in (Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN):
        storage.consents.withdraw("s-1", purpose)
    request = _opened(storage)
    assert storage.requests.answer(request) == [request.id]
    assert storage.requests.waiting() == []


def test_opening_and_answering_are_ledger_entries_of_the_person(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted()
    request = _opened(storage)
    storage.requests.answer(request)
    entries = storage.subject_access.held("s-1").entries[-2:]
    assert [entry.event for entry in entries] == ["request_opened", "request_answered"]
    assert {entry.payload["request"] for entry in entries} == {request.id}


def test_an_answer_closes_older_open_requests_of_this_person_and_no_other(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted("s-1")
    admitted("s-2")
    interrupted, others = _opened(storage), _opened(storage, "s-2")
    clock.advance(timedelta(minutes=1))
    request = _opened(storage)
    clock.advance(timedelta(minutes=1))
    later = _opened(storage)
    assert storage.requests.answer(request) == [interrupted.id, request.id]
    assert [each.id for each in storage.requests.waiting()] == [others.id, later.id]


def test_an_answered_request_is_not_answered_again(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted()
    request = _opened(storage)
    storage.requests.answer(request)
    answered_at = storage.requests.by_id(request.id).answered_at
    clock.advance(timedelta(hours=1))
    assert storage.requests.answer(request) == []
    assert storage.requests.by_id(request.id).answered_at == answered_at


def test_the_nearest_deadline_is_listed_first(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted("s-1")
    admitted("s-2")
    first = _opened(storage, "s-2")
    clock.advance(timedelta(days=1))
    second = _opened(storage, "s-1")
    assert [each.id for each in storage.requests.waiting()] == [first.id, second.id]
