"""An upload: the consent it carries, what is received, and what its row tells nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import update

from models.consent.facts import Event, Source
from models.schema.errors import BadUsage, ConsentRefused, FenceLost, NotFound, Tampered
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.catalogue.freezes import Scope
from storage.catalogue.uploads import UPLOADS, Upload, UploadState
from storage.registers.uploads import WAITED_TOO_LONG, Conclusion
from tests.storage.conftest import (
    AGREED,
    FILE_NAME,
    RECORDING,
    SEGMENT,
    TRANSCRIPT,
    AdmittedFactory,
    DeclareFactory,
    GrantFactory,
    MovableClock,
    ReceivedFactory,
)

VOICE = Purpose.VOICE_CLONING
HUMAN = Purpose.DIGITAL_HUMAN
BOTH = frozenset({VOICE, HUMAN})
MINUTE = timedelta(minutes=1)


def _reasons(upload: Upload) -> set[tuple[str, str]]:
    return {(reason["purpose"], reason["code"]) for reason in upload.reasons}


def _keys(storage: Storage) -> set[str]:
    return {entry.key for entry in storage.store.list_keys()}


# --- declaring --------------------------------------------------------------------------------


def test_the_consent_is_written_once_with_the_intent(
    storage: Storage, declare: DeclareFactory, grant: GrantFactory, clock: MovableClock
) -> None:
    upload = declare(given=grant(acted_at=clock() - MINUTE, source=Source.EXPLICIT))
    facts = storage.consents.history(upload.subject_id)
    assert {fact.purpose: fact.sequence for fact in facts} == upload.basis
    assert [fact.event for fact in facts] == [Event.GRANT, Event.GRANT]
    assert {fact.source for fact in facts} == {Source.UPLOAD}
    assert {fact.acted_at for fact in facts} == {clock() - MINUTE}
    assert upload.state is UploadState.RECEIVING
    assert storage.uploads.by_id(upload.id) == upload


def test_receiving_and_concluding_grant_nothing_more(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    done = admitted()
    assert len(storage.consents.history(done.upload.subject_id)) == 2


def test_no_purpose_at_all_is_bad_usage_and_changes_nothing(
    storage: Storage, declare: DeclareFactory
) -> None:
    with pytest.raises(BadUsage, match="No purpose"):
        declare(purposes=frozenset())
    assert storage.ledger.head()[0] == 0
    assert storage.uploads.newest() == []


@pytest.mark.parametrize(("negative", "code"), [("withdraw", "withdrawn"), ("refuse", "refused")])
def test_a_purpose_that_was_stopped_is_left_out_with_the_reason(
    storage: Storage, declare: DeclareFactory, clock: MovableClock, negative: str, code: str
) -> None:
    declare()
    clock.advance(MINUTE)
    getattr(storage.consents, negative)("s-1", VOICE)
    clock.advance(MINUTE)
    upload = declare()
    assert upload.state is UploadState.RECEIVING
    assert upload.purposes == {HUMAN}
    assert ("voice_cloning", code) in _reasons(upload)
    assert all(reason["english"] and reason["chinese"] for reason in upload.reasons)


def test_an_upload_with_no_purpose_left_is_refused_and_nothing_is_received(
    storage: Storage, declare: DeclareFactory, clock: MovableClock
) -> None:
    storage.consents.refuse("s-1", VOICE)
    clock.advance(MINUTE)
    head = storage.ledger.head()
    upload = declare(purposes=frozenset({VOICE}))
    assert (upload.state, upload.basis) == (UploadState.REFUSED, {})
    assert upload.ended_at == clock()
    assert storage.ledger.head()[0] == head[0] + 1

    def pieces() -> Iterator[bytes]:
        pytest.fail("a byte of a refused upload was asked for")
        yield b""

    with pytest.raises(ConsentRefused):
        storage.uploads.receive(upload, pieces())
    assert _keys(storage) == set()
    assert storage.uploads.by_id(upload.id).state is UploadState.REFUSED


def test_uploading_again_never_reopens_whatever_its_evidence_and_date(
    storage: Storage, declare: DeclareFactory, grant: GrantFactory, clock: MovableClock
) -> None:
    declare(purposes=frozenset({VOICE}))
    clock.advance(MINUTE)
    storage.consents.withdraw("s-1", VOICE)
    clock.advance(MINUTE)
    for given in (
        grant(),
        grant(b"brand new evidence"),
        grant(b"brand new evidence", source=Source.EXPLICIT),
        grant(b"older evidence", acted_at=clock() - timedelta(days=9)),
    ):
        assert declare(purposes=frozenset({VOICE}), given=given).state is UploadState.REFUSED
    grants = [
        fact
        for fact in storage.consents.history(storage.subjects.known("s-1").id)
        if fact.event is Event.GRANT
    ]
    assert len(grants) == 1


def test_after_an_explicit_grant_with_new_evidence_an_upload_rests_on_that_grant(
    storage: Storage, declare: DeclareFactory, grant: GrantFactory, clock: MovableClock
) -> None:
    declare()
    clock.advance(MINUTE)
    storage.consents.withdraw("s-1", VOICE)
    clock.advance(MINUTE)
    storage.consents.grant("s-1", frozenset({VOICE}), grant(b"a new signed form"))
    explicit = storage.ledger.head()[0]
    upload = declare()
    assert upload.purposes == BOTH
    assert upload.basis[VOICE] == explicit
    assert upload.reasons == []
    assert all(decision.allowed for decision in storage.uploads.decisions(upload))


def test_a_frozen_account_takes_no_upload_for_any_of_its_people(
    storage: Storage, declare: DeclareFactory
) -> None:
    first = declare("s-1", account="firm")
    assert first.account_id is not None
    storage.door.freeze(Scope.ACCOUNT, first.account_id, purpose=None, cause="hold")
    assert declare("s-1").state is UploadState.REFUSED
    assert declare("s-2", account="firm").state is UploadState.REFUSED
    assert declare("s-3").state is UploadState.RECEIVING


# --- receiving --------------------------------------------------------------------------------


def test_a_received_file_rests_encrypted_with_its_size_and_expires_within_24_hours(
    storage: Storage, received: ReceivedFactory, clock: MovableClock
) -> None:
    upload = received(content=[RECORDING[:100], b"", RECORDING[100:]])
    assert (upload.state, upload.size_bytes) == (UploadState.RECEIVED, len(RECORDING))
    (kept,) = storage.uploads.objects_of(upload.id)
    assert (kept.kind, kept.plain_bytes) == ("quarantined_upload", len(RECORDING))
    assert kept.expires_at == upload.expires_at == clock() + timedelta(hours=24)
    assert set(kept.basis) == BOTH


def test_a_source_that_breaks_leaves_nothing_and_the_upload_can_be_received_again(
    storage: Storage, declare: DeclareFactory
) -> None:
    upload = declare()

    def breaking() -> Iterator[bytes]:
        yield RECORDING
        raise OSError("the disk of the caller broke")

    with pytest.raises(OSError, match="the disk of the caller"):
        storage.uploads.receive(upload, breaking())
    assert _keys(storage) == set()
    assert storage.uploads.objects_of(upload.id) == []
    assert storage.uploads.receive(upload, [RECORDING]).state is UploadState.RECEIVED


def test_a_file_is_received_once(storage: Storage, received: ReceivedFactory) -> None:
    upload = received()
    with pytest.raises(FenceLost, match="received before"):
        storage.uploads.receive(upload, [b"other bytes"])
    assert len(_keys(storage)) == 1
    assert storage.uploads.by_id(upload.id) == upload


def test_a_withdrawal_while_the_file_is_received_leaves_nothing_of_it(
    storage: Storage, declare: DeclareFactory
) -> None:
    upload = declare(purposes=frozenset({VOICE}))

    def withdrawing() -> Iterator[bytes]:
        yield RECORDING
        storage.consents.withdraw("s-1", VOICE)
        yield RECORDING

    with pytest.raises((FenceLost, ConsentRefused)):
        storage.uploads.receive(upload, withdrawing())
    assert _keys(storage) == set()


def test_an_upload_that_waited_too_long_is_ended_and_nothing_of_it_is_kept(
    storage: Storage, received: ReceivedFactory, clock: MovableClock
) -> None:
    upload = received()
    clock.advance(timedelta(hours=24))
    storage.reconciler.run()
    ended = storage.uploads.by_id(upload.id)
    assert (ended.state, ended.reasons) == (UploadState.ABANDONED, [WAITED_TOO_LONG])
    assert storage.uploads.objects_of(upload.id) == []
    assert _keys(storage) == set()


# --- concluding -------------------------------------------------------------------------------


def test_every_ending_is_a_ledger_entry_and_an_ended_upload_stays_as_it_ended(
    storage: Storage, received: ReceivedFactory, clock: MovableClock
) -> None:
    upload = received()
    reason = {"code": "too_short", "english": "Too short.", "chinese": "太短。"}
    storage.uploads.end(upload.id, Conclusion(UploadState.REJECTED, [reason], {"seconds": 1.5}))
    ended = storage.uploads.by_id(upload.id)
    assert (ended.state, ended.reasons, ended.ended_at) == (
        UploadState.REJECTED,
        [reason],
        clock(),
    )
    assert ended.outcome == {"seconds": 1.5}
    assert _keys(storage) == set()
    head = storage.ledger.head()
    storage.uploads.end(upload.id, Conclusion(UploadState.ADMITTED, [], {}))
    assert storage.uploads.by_id(upload.id) == ended
    assert storage.ledger.head() == head


def test_what_waits_for_identification_is_kept_seven_days(
    storage: Storage, received: ReceivedFactory, clock: MovableClock
) -> None:
    upload = received()
    with storage.catalogue.writing() as writing:
        conclusion = Conclusion(UploadState.NEEDS_IDENTIFICATION, [], {})
        storage.uploads.conclude(writing, upload.id, conclusion)
    waiting = storage.uploads.by_id(upload.id)
    assert waiting.expires_at == clock() + timedelta(days=7)
    assert waiting.expires_at == storage.uploads.identification_deadline()


def test_facts_are_noted_only_until_an_upload_has_ended(
    storage: Storage, received: ReceivedFactory
) -> None:
    upload = received()
    storage.uploads.note(upload.id, container="wav")
    storage.uploads.note(upload.id, seconds=3.0)
    storage.uploads.end(upload.id, Conclusion(UploadState.REJECTED, [], {"container": "wav"}))
    storage.uploads.note(upload.id, seconds=4.0)
    assert storage.uploads.by_id(upload.id).outcome == {"container": "wav"}


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "A" * 32, "0" * 31])
def test_what_is_not_an_id_is_bad_usage_and_is_not_repeated(storage: Storage, bad: str) -> None:
    with pytest.raises(BadUsage) as refused:
        storage.uploads.by_id(bad)
    assert not bad or bad not in str(refused.value)


def test_an_id_that_names_nothing_is_not_found(storage: Storage) -> None:
    with pytest.raises(NotFound):
        storage.uploads.by_id("0" * 32)
    with pytest.raises(NotFound):
        storage.uploads.note("0" * 32, seconds=1.0)


def test_uploads_are_listed_newest_first_and_by_person_oldest_first(
    storage: Storage, declare: DeclareFactory, clock: MovableClock
) -> None:
    made = []
    for subject in ("s-1", "s-2", "s-1"):
        made.append(declare(subject).id)
        clock.advance(MINUTE)
    assert [upload.id for upload in storage.uploads.newest()] == made[::-1]
    assert [upload.id for upload in storage.uploads.newest(limit=1)] == made[2:]
    person = storage.subjects.known("s-1")
    assert [upload.id for upload in storage.uploads.of_subject(person.id)] == [made[0], made[2]]


# --- duplicates -------------------------------------------------------------------------------


def test_the_same_bytes_of_the_same_person_are_recognised(
    storage: Storage, admitted: AdmittedFactory, received: ReceivedFactory
) -> None:
    first = admitted()
    again = received(content=[RECORDING[:7], RECORDING[7:]])
    assert storage.uploads.duplicate_of(again, BOTH) == first.upload.id
    other = received(content=[RECORDING + b"."])
    assert storage.uploads.duplicate_of(other, BOTH) is None


def test_the_same_bytes_of_two_people_are_not_told_to_anybody(
    storage: Storage, admitted: AdmittedFactory, received: ReceivedFactory
) -> None:
    first = admitted("s-1")
    second = received("s-2")
    assert storage.uploads.duplicate_of(second, BOTH) is None
    assert first.upload.digest != second.digest
    assert sha256(RECORDING).hexdigest() not in {first.upload.digest, second.digest}


def test_an_earlier_upload_serves_only_the_purposes_it_was_granted_for(
    storage: Storage, admitted: AdmittedFactory, received: ReceivedFactory
) -> None:
    first = admitted(purposes=frozenset({VOICE}))
    again = received()
    assert storage.uploads.duplicate_of(again, frozenset({VOICE})) == first.upload.id
    assert storage.uploads.duplicate_of(again, BOTH) is None


def test_an_upload_that_is_not_admitted_is_nobodys_original(
    storage: Storage, received: ReceivedFactory
) -> None:
    rejected = received()
    storage.uploads.end(rejected.id, Conclusion(UploadState.REJECTED, [], {}))
    assert storage.uploads.duplicate_of(received(), BOTH) is None


def test_an_earlier_upload_whose_consent_is_gone_is_no_substitute(
    storage: Storage,
    admitted: AdmittedFactory,
    received: ReceivedFactory,
    grant: GrantFactory,
    clock: MovableClock,
) -> None:
    """A new consent must not be answered with features that rest on the old one."""
    admitted()
    clock.advance(MINUTE)
    storage.consents.withdraw("s-1", VOICE)
    clock.advance(MINUTE)
    storage.consents.grant("s-1", frozenset({VOICE}), grant(b"a new signed form"))
    again = received()
    assert again.purposes == BOTH
    assert storage.uploads.duplicate_of(again, BOTH) is None


# --- what is usable, what is secret -----------------------------------------------------------


def test_a_stored_object_is_usable_for_what_is_allowed_now(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    done = admitted()
    rows = {row.kind: row for row in storage.uploads.objects_of(done.upload.id)}
    assert storage.uploads.usable_for(rows["voice_segment"]) == BOTH
    assert storage.uploads.usable_for(rows["face_segment"]) == {HUMAN}
    storage.consents.withdraw("s-1", VOICE)
    assert storage.uploads.usable_for(rows["voice_segment"]) == {HUMAN}
    storage.consents.withdraw("s-1", HUMAN)
    assert storage.uploads.usable_for(rows["face_segment"]) == frozenset()


@pytest.mark.parametrize("name", [FILE_NAME, "张伟的声音.wav", "caf\udce9.wav", "a\nb;rm -rf.wav"])
def test_file_name_and_transcript_come_back_to_the_person_as_they_were(
    storage: Storage, declare: DeclareFactory, name: str
) -> None:
    upload = declare(file_name=name, transcript="你好")
    assert storage.uploads.file_name(upload) == name
    assert storage.uploads.transcript(upload) == "你好"
    assert name.encode("utf-8", "surrogateescape") not in (upload.file_name_sealed or b"")


def test_an_upload_without_name_and_transcript_has_none(
    storage: Storage, declare: DeclareFactory
) -> None:
    upload = declare(file_name=None, transcript=None)
    assert storage.uploads.file_name(upload) is None
    assert storage.uploads.transcript(upload) is None


def test_a_sealed_name_moved_to_another_row_or_column_is_noticed(
    storage: Storage, declare: DeclareFactory
) -> None:
    first, second = declare(), declare()

    def put(**values: object) -> Upload:
        with storage.catalogue.writing() as writing:
            writing.connection.execute(
                update(UPLOADS).where(UPLOADS.c.id == second.id).values(**values)
            )
        return storage.uploads.by_id(second.id)

    with pytest.raises(Tampered):
        storage.uploads.file_name(put(file_name_sealed=first.file_name_sealed))
    with pytest.raises(Tampered):
        storage.uploads.file_name(put(file_name_sealed=second.transcript_sealed))


def test_nothing_a_person_gave_lies_anywhere_in_the_home_in_plain(
    storage: Storage,
    admitted: AdmittedFactory,
    received: ReceivedFactory,
    grant: GrantFactory,
    clock: MovableClock,
    plain_in_home: Callable[..., list[str]],
) -> None:
    """Ids of the caller, names, evidence, media and features; not hashed without a key either."""
    subject, account = "patient-4711-zhang-wei", "acme-telehealth-account-17"
    received(subject, account=account)
    admitted(subject)
    clock.advance(MINUTE)
    storage.consents.withdraw(subject, VOICE)
    clock.advance(MINUTE)
    storage.consents.grant(subject, frozenset({VOICE}), grant(b"a second signed paper form"))
    given = [
        subject.encode(),
        account.encode(),
        FILE_NAME.encode(),
        TRANSCRIPT.encode(),
        AGREED,
        b"a second signed paper form",
        RECORDING[:40],
        SEGMENT[:40],
    ]
    hashed = [sha256(secret).digest() for secret in (*given[:4], RECORDING, SEGMENT)]
    assert plain_in_home(*given, *hashed) == []
