"""Avatars: a name that only people read, and what was trained for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.schema.errors import BadUsage, Frozen, KeyDestroyed, LimitExceeded, NotFound
from storage.assembly import Storage
from storage.catalogue.freezes import Scope
from storage.registers.avatars import NAME_CHARACTERS_MOST
from tests.storage.conftest import AdmittedFactory, DeclareFactory, MovableClock

NAME = "Zhang Wei reads the news"


@pytest.fixture
def known(declare: DeclareFactory) -> str:
    return declare("s-1").subject_id


def test_an_avatar_is_found_by_its_id_its_person_and_among_all_oldest_first(
    storage: Storage, known: str, declare: DeclareFactory, clock: MovableClock
) -> None:
    declare("s-2")
    first = storage.avatars.create("s-1", NAME)
    clock.advance(timedelta(seconds=1))
    second = storage.avatars.create("s-1", "another")
    clock.advance(timedelta(seconds=1))
    theirs = storage.avatars.create("s-2", "theirs")
    assert storage.avatars.by_id(first.id) == first
    assert storage.avatars.of("s-1") == storage.avatars.of_subject(known) == [first, second]
    assert storage.avatars.all() == [first, second, theirs]


def test_the_name_is_sealed_and_goes_with_the_persons_key(
    storage: Storage, known: str, plain_in_home: Callable[..., list[str]]
) -> None:
    avatar = storage.avatars.create("s-1", NAME)
    assert storage.avatars.name(storage.avatars.by_id(avatar.id)) == NAME
    assert plain_in_home(NAME.encode()) == []
    storage.vault.destroy_scope_keys(known)
    with pytest.raises(KeyDestroyed):
        storage.avatars.name(avatar)


@given(
    name=st.text(
        st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S"]),
        min_size=1,
        max_size=NAME_CHARACTERS_MOST,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_any_name_that_can_be_shown_comes_back_as_it_was_given(
    storage: Storage, declare: DeclareFactory, name: str
) -> None:
    declare("s-1")
    if not name.isprintable():
        return
    assert storage.avatars.name(storage.avatars.create("s-1", name)) == name


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31mred", "\udcff"])
def test_a_name_that_is_empty_or_cannot_be_shown_is_refused(
    storage: Storage, known: str, name: str
) -> None:
    with pytest.raises(BadUsage):
        storage.avatars.create("s-1", name)
    assert storage.avatars.all() == []


def test_a_name_that_is_too_long_is_refused(storage: Storage, known: str) -> None:
    with pytest.raises(LimitExceeded):
        storage.avatars.create("s-1", "x" * (NAME_CHARACTERS_MOST + 1))


def test_nobody_unknown_has_an_avatar(storage: Storage) -> None:
    with pytest.raises(NotFound):
        storage.avatars.create("s-1", NAME)
    with pytest.raises(NotFound):
        storage.avatars.of("s-1")


@pytest.mark.parametrize("wrong", ["0" * 32, "not-an-id"])
def test_an_id_of_no_avatar_is_refused_without_being_repeated(storage: Storage, wrong: str) -> None:
    with pytest.raises((NotFound, BadUsage)) as refused:
        storage.avatars.by_id(wrong)
    assert wrong not in f"{refused.value.message} {refused.value.remedy}"


def test_a_person_of_whom_all_use_is_stopped_gets_no_new_avatar(
    storage: Storage, known: str
) -> None:
    storage.door.freeze(Scope.SUBJECT, known, purpose=None, cause="closing")
    with pytest.raises(Frozen):
        storage.avatars.create("s-1", NAME)


def test_creating_is_in_the_ledger_without_the_name_and_the_ledger_verifies(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    avatar = storage.avatars.create("s-1", NAME)
    entries = storage.subject_access.held("s-1").entries
    (entry,) = [each for each in entries if each.event == "avatar_created"]
    assert entry.payload == {"avatar": avatar.id, "subject": avatar.subject_id}
    assert not list(storage.verification.findings())
