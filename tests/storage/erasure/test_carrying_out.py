"""Carrying an order out: gone three ways, verified, one receipt, nobody else touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.consent.disclosure import Ground, RecipientKind
from models.consent.facts import EvidenceLevel
from models.receipts.reference import reference_of
from models.schema.erasure import ErasureGround, Requester, Step
from models.schema.errors import BadUsage, KeyDestroyed, NotFound, Refused
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import OBJECTS
from storage.catalogue.orders import OrderState
from storage.catalogue.uploads import UploadState
from storage.erasure.orders import Request
from storage.handles import Operation, Use
from storage.registers.evidence import Evidence
from tests.storage.conftest import (
    AGREED,
    BOTH,
    FILE_NAME,
    SEGMENT,
    TRANSCRIPT,
    AdmittedFactory,
    GrantFactory,
    MovableClock,
    ReceivedFactory,
)

SUBJECT = Request(Scope.SUBJECT, "s-1")


def _bytes_of(storage: Storage, subject: str) -> dict[str, bytes]:
    """Every object of a person, decrypted as the person themselves may."""
    person = storage.subjects.known(subject)
    read = {}
    for upload in storage.uploads.of_subject(person.id):
        for row in storage.uploads.objects_of(upload.id):
            use = Use(Role.PERSON, Operation.ACCESS, frozenset(), "test")
            try:
                with storage.door.open(row.id, use) as reader:
                    read[row.id] = reader.read()
            except Exception as error:  # a kind that a person does not read
                read[row.id] = type(error).__name__.encode()
    return read


def _stored(storage: Storage) -> set[str]:
    return {entry.key for entry in storage.store.list_keys()}


@pytest.mark.parametrize(
    "storage", ["embedded", pytest.param("served", marks=pytest.mark.services)], indirect=True
)
def test_a_person_is_gone_three_ways_and_others_are_untouched(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    gone = admitted("s-1")
    admitted("s-2")
    before = _bytes_of(storage, "s-2")
    theirs = {
        row.store_key
        for row in storage.uploads.objects_of(admitted("s-2", content=[b"more"]).upload.id)
    }
    subject_id = storage.subjects.known("s-1").id
    order = storage.orders.place(SUBJECT)
    done = storage.carrying_out.run(order.id)
    assert done.state is OrderState.DONE
    # bytes
    receipt = storage.receipts.of(order.id).receipt
    assert {each.kind for each in receipt.removed} == set(gone.features)
    for each in receipt.removed:
        assert storage.store.traces(each.store_key) == []
        with pytest.raises(KeyDestroyed):
            storage.vault.object_key(each.object)
    # keys
    assert storage.vault.living_keys(owners=[subject_id]) == 0
    # rows
    with pytest.raises(NotFound):
        storage.subjects.known("s-1")
    assert storage.uploads.by_id(gone.upload.id).state is UploadState.ERASED
    # others
    assert {k: v for k, v in _bytes_of(storage, "s-2").items() if k in before} == before
    assert theirs <= _stored(storage)
    # proof
    assert set(receipt.steps) == set(Step)
    assert storage.receipts.findings(storage.receipts.of(order.id)) == []
    assert list(storage.verification.findings()) == []


def test_nothing_personal_is_left_in_the_home(
    storage: Storage, admitted: AdmittedFactory, plain_in_home: Callable[..., list[str]]
) -> None:
    upload = admitted("s-1").upload
    subject_id = storage.subjects.known("s-1").id
    pseudonym = storage.vault.pseudonym("subject", "s-1")
    digest = storage.uploads.by_id(upload.id).digest or ""
    order = storage.orders.place(SUBJECT)
    storage.carrying_out.run(order.id)
    secrets = [
        *(secret.encode() for secret in (FILE_NAME, TRANSCRIPT, pseudonym, digest)),
        AGREED,
        SEGMENT[:64],
    ]
    assert plain_in_home(*secrets) == []
    assert storage.uploads.of_subject(subject_id) == []


def test_a_repeated_request_answers_the_same_order_before_and_after(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    order = storage.orders.place(SUBJECT)
    assert storage.orders.place(SUBJECT).id == order.id
    storage.carrying_out.run(order.id)
    again = storage.orders.place(SUBJECT)
    assert (again.id, again.state) == (order.id, OrderState.DONE)
    assert storage.carrying_out.run(order.id).id == order.id


def test_somebody_unknown_cannot_be_erased(storage: Storage) -> None:
    with pytest.raises(NotFound):
        storage.orders.place(SUBJECT)
    with pytest.raises(NotFound):
        storage.orders.plan(Request(Scope.UPLOAD, "0" * 32))


def test_a_closed_account_takes_all_its_people_and_nothing_is_let_in_again(
    storage: Storage, received: ReceivedFactory, admitted: AdmittedFactory
) -> None:
    received("s-1", account="firm")
    received("s-2", account="firm", content=[b"another"])
    admitted("s-3")
    closing = Request(
        Scope.ACCOUNT,
        "firm",
        ground=ErasureGround.ACCOUNT_CLOSED,
        requester=Requester.ACCOUNT_SERVICE,
    )
    order = storage.orders.place(closing)
    with pytest.raises(Refused) as refused:
        received("s-4", account="firm")
    assert refused.value.reason == "account_closed"
    storage.carrying_out.run(order.id)
    for subject in ("s-1", "s-2"):
        with pytest.raises(NotFound):
            storage.subjects.known(subject)
    assert storage.subjects.known("s-3")
    with pytest.raises(Refused):
        received("s-1", account="firm")
    assert storage.orders.place(closing).id == order.id
    receipt = storage.receipts.of(order.id).receipt
    assert receipt.removed_rows["subjects"] == 2
    assert storage.receipts.findings(storage.receipts.of(order.id)) == []


def test_an_unknown_account_is_closed_all_the_same(storage: Storage) -> None:
    order = storage.orders.place(Request(Scope.ACCOUNT, "never-seen"))
    storage.carrying_out.run(order.id)
    assert storage.receipts.of(order.id).receipt.removed == ()
    with pytest.raises(Refused):
        storage.subjects.ensure("s-1", account="never-seen")


def test_who_was_erased_comes_back_only_by_agreeing_explicitly(
    storage: Storage,
    admitted: AdmittedFactory,
    received: ReceivedFactory,
    grant: GrantFactory,
    clock: MovableClock,
) -> None:
    admitted("s-1")
    order = storage.orders.place(SUBJECT)
    storage.carrying_out.run(order.id)
    clock.advance(timedelta(days=1))
    with pytest.raises(Refused):
        received("s-1")
    clock.advance(timedelta(seconds=1))
    storage.consents.grant("s-1", BOTH, grant(b"a new form, signed today"))
    assert admitted("s-1").upload.state is UploadState.ADMITTED


def test_a_withdrawn_purpose_narrows_what_another_needs_and_erases_the_rest(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    both = admitted("s-1")
    alone = admitted("s-1", frozenset({Purpose.DIGITAL_HUMAN}), content=[b"a face"])
    order = storage.orders.place(Request(Scope.SUBJECT, "s-1", Purpose.DIGITAL_HUMAN))
    storage.carrying_out.run(order.id)
    receipt = storage.receipts.of(order.id).receipt
    kept = storage.uploads.objects_of(both.upload.id)
    assert {row.kind for row in kept} == {"voice_segment", "report"}
    assert all(set(row.basis) == {Purpose.VOICE_CLONING} for row in kept)
    assert receipt.narrowed == len(kept)
    assert storage.uploads.by_id(alone.upload.id).state is UploadState.ERASED
    assert storage.uploads.by_id(both.upload.id).purposes == {Purpose.VOICE_CLONING}
    use = Use(Role.TRAINING, Operation.PROCESS, frozenset({Purpose.VOICE_CLONING}), "test")
    with storage.door.open(both.features["voice_segment"], use) as reader:
        assert reader.read() == SEGMENT
    assert storage.receipts.findings(storage.receipts.of(order.id)) == []


def test_two_purposes_withdrawn_one_after_the_other_leave_nothing(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    upload = admitted("s-1").upload
    first = storage.orders.place(Request(Scope.SUBJECT, "s-1", Purpose.DIGITAL_HUMAN))
    second = storage.orders.place(Request(Scope.SUBJECT, "s-1", Purpose.VOICE_CLONING))
    storage.carrying_out.run(second.id)
    storage.carrying_out.run(first.id)
    assert storage.uploads.by_id(upload.id).state is UploadState.ERASED
    assert _stored(storage) == set()


def test_what_was_agreed_to_again_since_the_withdrawal_stays(
    storage: Storage, admitted: AdmittedFactory, grant: GrantFactory, clock: MovableClock
) -> None:
    admitted("s-1")
    stop = storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN)
    clock.advance(timedelta(hours=1))
    storage.consents.grant("s-1", BOTH, grant(b"agreed again, on a new form"))
    newer = admitted("s-1", content=[b"a newer recording"])
    storage.carrying_out.run(stop.order or "")
    assert len(storage.uploads.objects_of(newer.upload.id)) == len(newer.features)


def test_an_upload_goes_alone(storage: Storage, admitted: AdmittedFactory) -> None:
    one, other = admitted("s-1"), admitted("s-1", content=[b"another"])
    order = storage.orders.place(Request(Scope.UPLOAD, one.upload.id))
    storage.carrying_out.run(order.id)
    assert storage.uploads.by_id(one.upload.id).state is UploadState.ERASED
    assert len(storage.uploads.objects_of(other.upload.id)) == len(other.features)
    with storage.catalogue.reading() as connection:
        assert connection.execute(OBJECTS.select()).first() is not None
    assert storage.orders.place(Request(Scope.UPLOAD, one.upload.id)).id == order.id


def test_an_order_that_was_taken_back_is_not_carried_out(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    with pytest.raises(BadUsage):
        storage.orders.place(Request(Scope.SUBJECT, "s-1", keep_shared=True))
    with pytest.raises(NotFound):
        storage.carrying_out.run("0" * 32)


def test_the_persons_copy_alone_tells_whom_a_receipt_is_about(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    order = storage.orders.place(SUBJECT)
    storage.carrying_out.run(order.id)
    signed = storage.receipts.for_person(order.id)
    assert signed.salt is not None
    assert reference_of(bytes.fromhex(signed.salt), "s-1") == signed.receipt.reference
    with pytest.raises(Refused):
        storage.receipts.for_person(order.id)
    assert storage.receipts.of(order.id).salt is None


def test_recipients_of_earlier_disclosures_are_to_be_told_and_it_is_recorded(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    recipient = storage.disclosures.register(
        "Cloud Ltd",
        kind=RecipientKind.PROCESSOR,
        region="local",
        purposes=BOTH,
        covers=frozenset({"report"}),
        agreement=Evidence(b"an agreement", EvidenceLevel.DOCUMENT),
        expires_at=None,
    )
    storage.disclosures.disclose(
        "s-1",
        "Cloud Ltd",
        ground=Ground.AGREEMENT,
        purpose=Purpose.VOICE_CLONING,
        kinds=frozenset({"report"}),
        document=None,
    )
    order = storage.orders.place(SUBJECT)
    storage.carrying_out.run(order.id)
    (informed,) = storage.receipts.of(order.id).receipt.informed
    assert (informed.recipient, informed.disclosures, informed.told_at) == (recipient.id, 1, None)
    (notice,) = storage.notices.all()
    assert (notice.order, notice.recipient, notice.told_at) == (order.id, "Cloud Ltd", None)
    told = storage.notices.told(order.id, "Cloud Ltd")
    assert storage.notices.all() == [told]
    assert storage.notices.told(order.id, "Cloud Ltd") == told
    with pytest.raises(NotFound):
        storage.notices.told("0" * 32, "Cloud Ltd")
