"""Which holds are over which scopes: what contains, what is contained, what was trained on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, event, insert

from models.schema.purposes import Purpose
from storage.catalogue import avatars, people, snapshots
from storage.catalogue.artefacts import Artefact, ArtefactState, Task, add_artefact
from storage.catalogue.freezes import Scope
from storage.catalogue.holds import (
    Hold,
    add_hold,
    holds_in_force,
    holds_over,
    lift_hold,
    overlapping,
)
from storage.catalogue.metadata import METADATA
from storage.catalogue.people import Subject
from storage.catalogue.uploads import UPLOADS, UploadState

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LAW = settings(deadline=None, max_examples=40)
ScopeId = tuple[Scope, str]


@dataclass
class House:
    """An empty catalogue, filled by its methods; it remembers what belongs to what."""

    connection: Connection
    numbers: Iterator[int] = field(default_factory=count)
    above: dict[ScopeId, set[ScopeId]] = field(default_factory=dict)
    """Each scope with those that contain it, itself included."""
    trained_on: dict[str, set[str]] = field(default_factory=dict)
    """Avatars with their uploads."""

    def account(self) -> str:
        account = self._name("account")
        people.add_account(self.connection, account, pseudonym=account, created_at=NOW)
        self.above[Scope.ACCOUNT, account] = {(Scope.ACCOUNT, account)}
        return account

    def subject(self, account: str | None = None) -> str:
        subject = Subject(self._name("subject"), account, "local")
        people.add_subject(self.connection, subject, pseudonym=subject.id, created_at=NOW)
        self._put((Scope.SUBJECT, subject.id), (Scope.ACCOUNT, account) if account else None)
        return subject.id

    def upload(self, subject: str) -> str:
        upload = self._name("upload")
        values = {"state": UploadState.ADMITTED.value, "uploader": "self", "created_at": NOW}
        empty: dict[str, object] = {"basis": {}, "reasons": [], "outcome": {}}
        self.connection.execute(
            insert(UPLOADS).values(id=upload, subject_id=subject, **values, **empty)
        )
        self._put((Scope.UPLOAD, upload), (Scope.SUBJECT, subject))
        return upload

    def avatar(self, subject: str, *uploads: str) -> str:
        """An avatar of a subject with a voice that was trained on some uploads."""
        avatar = self._name("avatar")
        avatars.add_avatar(self.connection, avatars.Avatar(avatar, subject, None, NOW))
        snapshot = snapshots.Snapshot(self._name("snapshot"), Purpose.VOICE_CLONING, "", NOW)
        members = [
            snapshots.Member(self._name("object"), upload, subject, 1, "") for upload in uploads
        ]
        snapshots.add_snapshot(self.connection, snapshot, members)
        artefact = Artefact(
            id=self._name("artefact"),
            task=Task.VOICE,
            purpose=Purpose.VOICE_CLONING,
            state=ArtefactState.REGISTERED,
            subject_id=subject,
            avatar_id=avatar,
            snapshot_id=snapshot.id,
            base_id=None,
            engine="example",
            engine_version="1",
            metrics={},
            created_at=NOW,
        )
        add_artefact(self.connection, artefact)
        self._put((Scope.AVATAR, avatar), (Scope.SUBJECT, subject))
        self.trained_on[avatar] = set(uploads)
        return avatar

    def hold(self, scope: Scope, scope_id: str, *, days: float = 30) -> Hold:
        hold = Hold(
            id=self._name("hold"),
            scope=scope,
            scope_id=scope_id,
            case="d",
            document_digest="",
            ledger_sequence=next(self.numbers),
            placed_at=NOW,
            expires_at=NOW + timedelta(days=days),
        )
        add_hold(self.connection, hold)
        return hold

    def over(self, *scopes: ScopeId, days: float = 0) -> list[Hold]:
        return holds_over(self.connection, scopes, at=NOW + timedelta(days=days))

    def _name(self, what: str) -> str:
        return f"{what}-{next(self.numbers)}"

    def _put(self, scope: ScopeId, within: ScopeId | None) -> None:
        self.above[scope] = {scope} | (self.above[within] if within else set())

    def in_common(self, one: ScopeId, other: ScopeId) -> bool:
        """What the two are, said without the code under test."""
        if one in self.above[other] or other in self.above[one]:
            return True
        made_of = [
            self.trained_on[scope_id] if scope is Scope.AVATAR else {scope_id}
            for scope, scope_id in (one, other)
            if scope in {Scope.AVATAR, Scope.UPLOAD}
        ]
        return len(made_of) == 2 and bool(made_of[0] & made_of[1])


@contextmanager
def _house() -> Iterator[House]:
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON"))
    METADATA.create_all(engine)
    with engine.begin() as connection:
        yield House(connection)
    engine.dispose()


@pytest.fixture
def house() -> Iterator[House]:
    with _house() as made:
        yield made


@LAW
@given(st.data())
def test_two_scopes_overlap_both_ways_exactly_where_they_have_something_in_common(
    data: st.DataObject,
) -> None:
    few = st.integers(0, 2)
    with _house() as house:
        accounts = [None, *(house.account() for _ in range(data.draw(few)))]
        for _ in range(data.draw(st.integers(1, 3))):
            subject = house.subject(data.draw(st.sampled_from(accounts)))
            uploads = [house.upload(subject) for _ in range(data.draw(few))]
            some = st.lists(st.sampled_from(uploads), unique=True) if uploads else st.just([])
            for _ in range(data.draw(few)):
                house.avatar(subject, *data.draw(some))
        for one in house.above:
            expected = {other for other in house.above if house.in_common(one, other)}
            assert overlapping(house.connection, *one) == expected


def test_a_hold_on_an_upload_is_over_its_subject_and_account_and_not_over_another_upload(
    house: House,
) -> None:
    account = house.account()
    subject = house.subject(account)
    held, free = house.upload(subject), house.upload(subject)
    hold = house.hold(Scope.UPLOAD, held)
    assert house.over((Scope.UPLOAD, held)) == [hold]
    assert house.over((Scope.SUBJECT, subject)) == [hold]
    assert house.over((Scope.ACCOUNT, account)) == [hold]
    assert house.over((Scope.UPLOAD, free)) == []


def test_a_hold_on_an_account_is_over_everything_of_its_people_and_of_nobody_else(
    house: House,
) -> None:
    account, other = house.account(), house.account()
    mine, theirs = house.subject(account), house.subject(other)
    upload = house.upload(mine)
    avatar = house.avatar(mine, upload)
    hold = house.hold(Scope.ACCOUNT, account)
    for scope in ((Scope.SUBJECT, mine), (Scope.UPLOAD, upload), (Scope.AVATAR, avatar)):
        assert house.over(scope) == [hold]
    assert house.over((Scope.SUBJECT, theirs), (Scope.ACCOUNT, other)) == []


def test_a_hold_is_over_the_avatars_that_share_an_upload_with_what_it_is_about(
    house: House,
) -> None:
    subject = house.subject()
    shared, own = house.upload(subject), house.upload(subject)
    first = house.avatar(subject, shared)
    second = house.avatar(subject, shared, own)
    apart = house.avatar(subject)
    hold = house.hold(Scope.AVATAR, second)
    for scope in ((Scope.UPLOAD, shared), (Scope.UPLOAD, own), (Scope.AVATAR, first)):
        assert house.over(scope) == [hold]
    assert house.over((Scope.AVATAR, apart)) == []


def test_one_of_several_scopes_is_enough_and_no_scope_is_never_held(house: House) -> None:
    held, free = house.subject(), house.subject()
    hold = house.hold(Scope.SUBJECT, held)
    assert house.over((Scope.SUBJECT, free), (Scope.SUBJECT, held)) == [hold]
    assert house.over() == []


def test_a_hold_ends_by_itself_at_its_time_and_at_once_when_it_is_lifted(house: House) -> None:
    subject = house.subject()
    short, long = (house.hold(Scope.SUBJECT, subject, days=days) for days in (1, 30))
    assert house.over((Scope.SUBJECT, subject)) == [short, long]
    assert house.over((Scope.SUBJECT, subject), days=1) == [long]
    assert lift_hold(house.connection, long.id, at=NOW)
    assert not lift_hold(house.connection, long.id, at=NOW)
    assert house.over((Scope.SUBJECT, subject), days=1) == []
    assert [hold.id for hold in holds_in_force(house.connection, at=NOW)] == [short.id]


def test_two_thousand_uploads_are_looked_at_in_one_go(house: House) -> None:
    """More than the terms that SQLite takes in one condition."""
    subject = house.subject()
    uploads = [house.upload(subject) for _ in range(2000)]
    house.avatar(subject, *uploads)
    hold = house.hold(Scope.UPLOAD, uploads[-1])
    assert house.over((Scope.SUBJECT, subject)) == [hold]
