"""Challenges are used once, and of a rejected statement nothing is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import select

from models.consent.facts import Event, EvidenceLevel
from models.consent.settings import StatementSettings
from models.schema.errors import BadInput, BadUsage, LikenessError, NotFound
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage, StorageAddresses
from storage.catalogue import objects, uploads
from storage.catalogue.challenges import CHALLENGES
from storage.catalogue.decisions import LEDGER_ENTRIES, LEDGER_PAYLOADS
from storage.catalogue.uploads import UploadState
from storage.handles import Operation, Use
from storage.registers.statements import Challenge, Issued, Statement

SETTINGS = StatementSettings(lifetime_hours=2, attempts_most=3)
RECORDING = b"RIFF a person reads a sentence aloud" * 100
PROFILE = b"packed embedding"
CLONING = Purpose.VOICE_CLONING


@pytest.fixture
def issue(storage: Storage) -> Callable[..., Issued]:
    def made(subject: str = "s-1", *, link: bool = False) -> Issued:
        return storage.statements.issue(subject, CLONING, "en", SETTINGS, link=link)

    return made


def _found(storage: Storage, issued: Issued, subject: str = "s-1") -> Challenge:
    return storage.statements.find(
        external_subject=subject, challenge_id=issued.challenge.id, token=None
    )


def _statement(storage: Storage, challenge: Challenge, content: bytes = RECORDING) -> Statement:
    digest = storage.statements.digest_of(challenge, [content])
    return Statement({"words_heard": 6}, [content], digest, PROFILE)


def _accept(storage: Storage, issued: Issued, content: bytes = RECORDING) -> str | None:
    challenge = issued.challenge
    return storage.statements.accept(challenge, _statement(storage, challenge, content))


def _allowed(storage: Storage, subject: str = "s-1") -> bool:
    decisions = storage.consents.decisions(subject)
    return next(d.allowed for d in decisions if d.purpose is CLONING)


def _events(storage: Storage) -> list[tuple[str, dict[str, Any]]]:
    with storage.catalogue.reading() as connection:
        rows = connection.execute(
            select(LEDGER_ENTRIES.c.event, LEDGER_PAYLOADS.c.payload)
            .join(LEDGER_PAYLOADS, LEDGER_PAYLOADS.c.sequence == LEDGER_ENTRIES.c.sequence)
            .order_by(LEDGER_ENTRIES.c.sequence)
        )
        return [(row.event, json.loads(row.payload)) for row in rows]


def test_an_issued_challenge_is_found_by_its_person_and_reads_the_same(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    issued = issue()
    assert issued.token is None
    assert _found(storage, issued) == issued.challenge
    assert issued.challenge.sentence.text.endswith(f"{issued.challenge.sentence.words[-1]}.")


def test_a_challenge_of_another_person_is_as_unknown_as_one_that_never_was(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    issued = issue()
    issue("s-2")
    with pytest.raises(NotFound) as foreign:
        _found(storage, issued, "s-2")
    with pytest.raises(NotFound) as unknown:
        storage.statements.find(external_subject="s-1", challenge_id="0" * 32, token=None)
    assert str(foreign.value) == str(unknown.value)


def test_whoever_holds_the_token_answers_without_knowing_the_person(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    issued = issue(link=True)
    assert issued.token is not None
    found = storage.statements.find(external_subject=None, challenge_id=None, token=issued.token)
    assert found == issued.challenge
    with pytest.raises(NotFound):
        storage.statements.find(external_subject=None, challenge_id=None, token=issued.token + "x")


def test_the_token_and_the_sentence_are_nowhere_in_plain(
    storage: Storage, issue: Callable[..., Issued], plain_in_home: Callable[..., list[str]]
) -> None:
    issued = issue(link=True)
    assert issued.token is not None
    words = " ".join(issued.challenge.sentence.words).encode()
    assert plain_in_home(issued.token.encode(), words, b"I agree that") == []
    with storage.catalogue.reading() as connection:
        row = connection.execute(select(CHALLENGES)).one()
    assert row.token_digest == sha256(issued.token.encode()).hexdigest()


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"external_subject": "s-1"},
        {"challenge_id": "0" * 32},
        {"external_subject": "s-1", "token": "t"},
        {"external_subject": "s-1", "challenge_id": "0" * 32, "token": "t"},
    ],
)
def test_a_challenge_is_named_by_person_and_id_or_by_token_alone(
    storage: Storage, named: dict[str, str]
) -> None:
    given = {"external_subject": None, "challenge_id": None, "token": None, **named}
    with pytest.raises(BadUsage):
        storage.statements.find(**given)  # type: ignore[arg-type]


def test_an_accepted_statement_is_an_explicit_grant_of_the_level_spoken(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    issued = issue()
    assert not _allowed(storage)
    upload = _accept(storage, issued)
    assert _allowed(storage)
    (grant,) = [
        fact
        for fact in storage.consents.history(issued.challenge.subject_id)
        if fact.event is Event.GRANT
    ]
    assert (grant.evidence_level, grant.source.value) == (EvidenceLevel.SPOKEN, "explicit")
    assert upload is not None
    assert storage.uploads.by_id(upload).state is UploadState.ADMITTED
    assert storage.uploads.by_id(upload).basis == {CLONING: grant.sequence}


def test_recording_and_voice_are_kept_and_the_person_can_read_the_recording(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    issued = issue()
    upload = _accept(storage, issued)
    assert upload is not None
    kept = {row.kind: row for row in storage.uploads.objects_of(upload)}
    assert set(kept) == {"spoken_statement", "voice_profile"}
    use = Use(Role.PERSON, Operation.ACCESS, frozenset(), "0" * 32)
    with storage.door.open(kept["spoken_statement"].id, use) as reader:
        assert reader.read() == RECORDING


def test_later_uploads_and_statements_are_compared_with_the_statements_voice(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    issued = issue()
    _accept(storage, issued)
    (row,) = storage.uploads.objects_of_subject(issued.challenge.subject_id, kind="voice_profile")
    use = Use(Role.INGEST, Operation.IDENTIFY, frozenset(), "0" * 32)
    with storage.door.open(row.id, use) as reader:
        assert reader.read() == PROFILE


def test_a_challenge_is_answered_once(storage: Storage, issue: Callable[..., Issued]) -> None:
    issued = issue()
    _accept(storage, issued)
    with pytest.raises(BadInput) as found:
        _found(storage, issued)
    with pytest.raises(BadInput) as accepted:
        _accept(storage, issued, b"another recording")
    assert found.value.reason == accepted.value.reason == "challenge_used"


def test_a_challenge_expires(storage: Storage, issue: Callable[..., Issued], clock: Any) -> None:
    issued = issue()
    clock.advance(timedelta(hours=2))
    with pytest.raises(BadInput) as refused:
        _found(storage, issued)
    assert refused.value.reason == "challenge_expired"
    with pytest.raises(BadInput):
        storage.statements.count_attempt(issued.challenge, SETTINGS)


def test_attempts_are_counted_before_anything_is_heard_and_the_last_one_ends_the_challenge(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    issued = issue()
    for left in (2, 1, 0):
        assert storage.statements.count_attempt(issued.challenge, SETTINGS) == left
        storage.statements.reject(issued.challenge, ["words_missing"], attempts_left=left)
    for ask in (
        lambda: storage.statements.count_attempt(issued.challenge, SETTINGS),
        lambda: _found(storage, issued),
    ):
        with pytest.raises(BadInput) as refused:
            ask()
        assert refused.value.reason == "challenge_spent"


def test_of_a_rejected_statement_the_ledger_keeps_codes_and_the_house_nothing(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    issued = issue()
    left = storage.statements.count_attempt(issued.challenge, SETTINGS)
    storage.statements.reject(issued.challenge, ["other_voice"], attempts_left=left)
    event, payload = _events(storage)[-1]
    assert event == "statement_rejected"
    assert payload["reasons"] == ["other_voice"]
    assert set(payload) == {"challenge", "subject", "purpose", "reasons", "attempts_left"}
    assert not _allowed(storage)
    with storage.catalogue.reading() as connection:
        assert uploads.uploads_of(connection, issued.challenge.subject_id) == []
        assert connection.execute(select(objects.OBJECTS)).first() is None
        assert connection.execute(select(CHALLENGES.c.recording_digest)).scalar() is None


def test_the_recording_of_an_accepted_statement_answers_no_other_challenge(
    storage: Storage, issue: Callable[..., Issued]
) -> None:
    _accept(storage, issue())
    again = issue()
    statement = _statement(storage, again.challenge)
    assert storage.statements.was_handed_in(again.challenge, statement.digest)
    with pytest.raises(BadInput) as refused:
        storage.statements.accept(again.challenge, statement)
    assert refused.value.reason == "recording_used_before"
    assert _found(storage, again) == again.challenge


def test_a_recording_that_was_uploaded_before_is_known(
    storage: Storage, issue: Callable[..., Issued], received: Any
) -> None:
    received("s-1", content=(RECORDING,))
    challenge = issue().challenge
    other = issue("s-2").challenge
    digest = storage.statements.digest_of
    assert storage.statements.was_handed_in(challenge, digest(challenge, [RECORDING]))
    assert not storage.statements.was_handed_in(other, digest(other, [RECORDING]))


def test_a_withdrawn_purpose_comes_back_by_a_spoken_statement(
    storage: Storage, issue: Callable[..., Issued], clock: Any
) -> None:
    _accept(storage, issue())
    clock.advance(timedelta(minutes=1))
    storage.consents.withdraw("s-1", CLONING)
    assert not _allowed(storage)
    clock.advance(timedelta(minutes=1))
    upload = _accept(storage, issue(), b"said again")
    assert upload is not None
    assert _allowed(storage)


def test_two_answers_at_once_to_one_challenge_grant_once(
    storage: Storage,
    issue: Callable[..., Issued],
    addresses: StorageAddresses,
    clock: Any,
    at_once: Callable[[list[Callable[[], Any]]], list[Any]],
) -> None:
    issued = issue()

    def answer(content: bytes) -> Callable[[], str]:
        def work() -> str:
            house = Storage.open(addresses, clock=clock)
            try:
                house.statements.accept(
                    issued.challenge, _statement(house, issued.challenge, content)
                )
            except LikenessError as error:
                return error.reason
            return "granted"

        return work

    answers = at_once([answer(b"one"), answer(b"two")])
    assert sorted(answers) == ["challenge_used", "granted"]
    grants = [event for event, _ in _events(storage) if event == "grant"]
    assert len(grants) == 1
    assert list(storage.verification.findings()) == []


def test_a_death_after_the_grant_leaves_an_upload_that_reconcile_ends(
    storage: Storage,
    issue: Callable[..., Issued],
    monkeypatch: pytest.MonkeyPatch,
    clock: Any,
) -> None:
    issued = issue()

    class Died(BaseException):
        pass

    def died(*_: object, **__: object) -> None:
        raise Died

    monkeypatch.setattr(storage.door, "begin", died)
    with pytest.raises(Died):
        _accept(storage, issued)
    assert _allowed(storage)
    clock.advance(timedelta(hours=2))
    storage.reconciler.run()
    (upload,) = storage.uploads.of_subject(issued.challenge.subject_id)
    assert upload.state is UploadState.ABANDONED
    assert storage.uploads.objects_of(upload.id) == []
