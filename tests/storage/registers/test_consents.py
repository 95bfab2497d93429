"""What people decide is written once, counts at once, and is kept where only they can be found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from models.consent.facts import Event, EvidenceLevel, Source, Uploader
from models.consent.policies import BASELINE
from models.schema.deadlines import due_at
from models.schema.errors import BadInput, BadUsage, LikenessError, LimitExceeded, NotFound
from models.schema.purposes import Purpose
from models.schema.retention import Retention
from storage.assembly import Storage
from storage.catalogue.people import ACCOUNTS, SUBJECTS
from storage.registers.evidence import EVIDENCE_BYTES_MOST
from tests.storage.conftest import (
    AdmittedFactory,
    DeclareFactory,
    GrantFactory,
    MovableClock,
)

VOICE = Purpose.VOICE_CLONING
HUMAN = Purpose.DIGITAL_HUMAN
ONLY_VOICE = frozenset({VOICE})
BOTH = frozenset({VOICE, HUMAN})
MINUTE = timedelta(minutes=1)


def _allowed(storage: Storage, subject: str = "s-1") -> set[Purpose]:
    return {d.purpose for d in storage.consents.decisions(subject) if d.allowed}


def _codes(storage: Storage, purpose: Purpose, subject: str = "s-1") -> set[str]:
    (decision,) = (d for d in storage.consents.decisions(subject) if d.purpose is purpose)
    return {reason.code for reason in decision.reasons}


# --- granting ---------------------------------------------------------------------------------


def test_nothing_is_allowed_for_somebody_nobody_knows(storage: Storage) -> None:
    decisions = storage.consents.decisions("nobody")
    assert {decision.purpose for decision in decisions} == set(Purpose)
    assert not any(decision.allowed for decision in decisions)
    with pytest.raises(NotFound):
        storage.subjects.known("nobody")


def test_a_grant_allows_the_purposes_it_names_and_no_other(
    storage: Storage, grant: GrantFactory
) -> None:
    storage.consents.grant("s-1", ONLY_VOICE, grant())
    assert _allowed(storage) == {VOICE}
    assert _codes(storage, HUMAN) == {"never_granted"}


def test_a_grant_for_two_purposes_is_one_entry_for_each(
    storage: Storage, grant: GrantFactory
) -> None:
    storage.consents.grant("s-1", BOTH, grant())
    facts = storage.consents.history(storage.subjects.known("s-1").id)
    assert [(fact.event, fact.purpose) for fact in facts] == [
        (Event.GRANT, HUMAN),
        (Event.GRANT, VOICE),
    ]


def test_a_grant_records_who_acted_when_on_what_evidence(
    storage: Storage, grant: GrantFactory, clock: MovableClock
) -> None:
    given = grant(
        b"a signed form",
        level=EvidenceLevel.DOCUMENT,
        uploader=Uploader.AUTHORISED,
        authorisation=b"a power of attorney",
        acted_at=clock() - timedelta(days=3),
    )
    storage.consents.grant("s-1", ONLY_VOICE, given)
    (fact,) = storage.consents.history(storage.subjects.known("s-1").id)
    assert given.authorisation is not None
    assert fact.model_dump(exclude={"sequence"}) == {
        "event": Event.GRANT,
        "purpose": VOICE,
        "acted_at": clock() - timedelta(days=3),
        "source": Source.EXPLICIT,
        "uploader": Uploader.AUTHORISED,
        "evidence_level": EvidenceLevel.DOCUMENT,
        "evidence_digest": given.evidence.digest,
        "authorisation_digest": given.authorisation.digest,
        "policy_version": BASELINE,
        "expires_at": None,
        "recipient": None,
        "region": None,
    }


def test_evidence_is_kept_sealed_beside_the_entry_and_nowhere_in_plain(
    storage: Storage, grant: GrantFactory, plain_in_home: Callable[..., list[str]]
) -> None:
    papers = [b"a signed form, in ink", b"a power of attorney, sealed"]
    given = grant(papers[0], uploader=Uploader.AUTHORISED, authorisation=papers[1])
    storage.consents.grant("s-1", ONLY_VOICE, given)
    assert plain_in_home(*papers) == []
    (fact,) = storage.consents.history(storage.subjects.known("s-1").id)
    with storage.catalogue.reading() as connection:
        sealed = storage.ledger.sealed_part(connection, fact.sequence)
    assert sealed is not None
    plain = storage.vault.unseal_column(sealed, context=f"evidence:{given.evidence.digest}")
    assert plain == b"".join(len(paper).to_bytes(4, "big") + paper for paper in papers)


Bad = Callable[[GrantFactory, MovableClock], object]
BAD_GRANTS: dict[str, tuple[Bad, type[LikenessError], str]] = {
    "no evidence": (lambda grant, clock: grant(b""), BadInput, "evidence of consent is empty"),
    "blank evidence": (lambda grant, clock: grant(b" \n"), BadInput, "evidence of consent"),
    "dated in the future": (
        lambda grant, clock: grant(acted_at=clock() + timedelta(minutes=6)),
        BadInput,
        "dated in the future",
    ),
    "oversized evidence": (
        lambda grant, clock: grant(b"x" * (EVIDENCE_BYTES_MOST + 1)),
        LimitExceeded,
        "at most",
    ),
    "oversized authorisation": (
        lambda grant, clock: grant(
            uploader=Uploader.AUTHORISED, authorisation=b"x" * (EVIDENCE_BYTES_MOST + 1)
        ),
        LimitExceeded,
        "at most",
    ),
    "acting for another without a document": (
        lambda grant, clock: grant(uploader=Uploader.AUTHORISED),
        BadInput,
        "express authorisation",
    ),
    "acting for another with an empty document": (
        lambda grant, clock: grant(uploader=Uploader.AUTHORISED, authorisation=b" "),
        BadInput,
        "express authorisation",
    ),
}


@pytest.mark.parametrize(("make", "error", "says"), BAD_GRANTS.values(), ids=BAD_GRANTS)
def test_a_consent_that_cannot_be_is_refused_and_changes_nothing(
    storage: Storage,
    declare: DeclareFactory,
    grant: GrantFactory,
    clock: MovableClock,
    make: Callable[[GrantFactory, MovableClock], object],
    error: type[LikenessError],
    says: str,
) -> None:
    head = storage.ledger.head()
    with pytest.raises(error, match=says):
        storage.consents.grant("s-1", ONLY_VOICE, make(grant, clock))  # type: ignore[arg-type]
    with pytest.raises(error, match=says):
        declare(given=make(grant, clock))  # type: ignore[arg-type]
    assert storage.ledger.head() == head
    assert storage.uploads.newest() == []
    with pytest.raises(NotFound):
        storage.subjects.known("s-1")


def test_evidence_of_the_largest_size_and_a_clock_that_is_slightly_fast_are_accepted(
    storage: Storage, grant: GrantFactory, clock: MovableClock
) -> None:
    largest = grant(b"x" * EVIDENCE_BYTES_MOST, acted_at=clock() + timedelta(minutes=4))
    storage.consents.grant("s-1", ONLY_VOICE, largest)
    assert _allowed(storage) == {VOICE}


@pytest.mark.parametrize("subject", ["", "  ", "x" * 513])
def test_an_impossible_subject_id_is_refused_without_repeating_it(
    storage: Storage, grant: GrantFactory, subject: str
) -> None:
    with pytest.raises(BadUsage) as refused:
        storage.consents.grant(subject, ONLY_VOICE, grant())
    assert not subject.strip() or subject not in str(refused.value)
    assert storage.ledger.head()[0] == 0


# --- withdrawing and refusing -----------------------------------------------------------------


def test_a_withdrawal_counts_at_once_and_for_its_purpose_alone(
    storage: Storage, grant: GrantFactory
) -> None:
    storage.consents.grant("s-1", BOTH, grant())
    storage.consents.grant("s-2", BOTH, grant())
    storage.consents.withdraw("s-1", VOICE)
    assert _allowed(storage) == {HUMAN}
    assert "withdrawn" in _codes(storage, VOICE)
    assert _allowed(storage, "s-2") == {VOICE, HUMAN}


def test_a_withdrawal_owes_an_erasure_within_30_days(
    storage: Storage, grant: GrantFactory, clock: MovableClock
) -> None:
    storage.consents.grant("s-1", BOTH, grant())
    stopped = storage.consents.withdraw("s-1", VOICE)
    person = storage.subjects.known("s-1")
    (order,) = storage.consents.orders_of(person.id)
    assert order.id == stopped.order
    assert (order.purpose, order.state, order.ground) == (VOICE, "pending", "consent_withdrawn")
    assert order.due_at == due_at(clock(), account_closure=False, retention=Retention())
    (recorded,) = storage.keys.freezes()
    assert (recorded.id, recorded.purpose) == (stopped.freeze, VOICE)


def test_a_refusal_of_what_was_never_granted_owes_no_erasure(storage: Storage) -> None:
    stopped = storage.consents.refuse("s-1", VOICE)
    assert stopped.order is None
    assert "refused" in _codes(storage, VOICE)
    assert storage.consents.orders_of(storage.subjects.known("s-1").id) == []


def test_a_refusal_of_what_was_granted_stops_and_owes_like_a_withdrawal(
    storage: Storage, grant: GrantFactory
) -> None:
    storage.consents.grant("s-1", BOTH, grant())
    assert storage.consents.refuse("s-1", VOICE).order is not None
    assert _allowed(storage) == {HUMAN}


def test_somebody_unknown_cannot_withdraw_and_is_not_named_in_the_answer(
    storage: Storage,
) -> None:
    with pytest.raises(NotFound) as refused:
        storage.consents.withdraw("Zhang Wei", VOICE)
    assert "Zhang" not in str(refused.value) + refused.value.remedy
    assert storage.ledger.head()[0] == 0
    with pytest.raises(NotFound):
        storage.subjects.known("Zhang Wei")


def test_what_was_never_granted_cannot_be_withdrawn(storage: Storage, grant: GrantFactory) -> None:
    storage.consents.grant("s-1", ONLY_VOICE, grant())
    head = storage.ledger.head()
    with pytest.raises(BadUsage, match="never given"):
        storage.consents.withdraw("s-1", HUMAN)
    assert storage.ledger.head() == head
    assert _allowed(storage) == {VOICE}


def test_withdrawing_twice_is_recorded_twice_and_stays_withdrawn(
    storage: Storage, grant: GrantFactory
) -> None:
    storage.consents.grant("s-1", ONLY_VOICE, grant())
    storage.consents.withdraw("s-1", VOICE)
    storage.consents.withdraw("s-1", VOICE)
    assert _allowed(storage) == set()
    assert list(storage.verification.findings()) == []


# --- after a withdrawal -----------------------------------------------------------------------


@pytest.mark.parametrize("negative", ["withdraw", "refuse"])
def test_only_a_new_grant_with_new_evidence_reopens_a_purpose(
    storage: Storage, grant: GrantFactory, clock: MovableClock, negative: str
) -> None:
    storage.consents.grant("s-1", ONLY_VOICE, grant())
    clock.advance(MINUTE)
    getattr(storage.consents, negative)("s-1", VOICE)
    head = storage.ledger.head()
    stopped_at = clock()
    clock.advance(MINUTE)
    for useless in (
        grant(),
        grant(b"new evidence", acted_at=stopped_at),
        grant(b"new evidence", acted_at=stopped_at - timedelta(days=1)),
        grant(b"new evidence", source=Source.UPLOAD),
    ):
        with pytest.raises(BadInput, match="does not outweigh"):
            storage.consents.grant("s-1", ONLY_VOICE, useless)
        assert storage.ledger.head() == head
        assert _allowed(storage) == set()
    storage.consents.grant("s-1", ONLY_VOICE, grant(b"new evidence"))
    assert _allowed(storage) == {VOICE}


def test_a_grant_that_is_useless_for_one_of_its_purposes_records_none(
    storage: Storage, grant: GrantFactory, clock: MovableClock
) -> None:
    storage.consents.grant("s-1", BOTH, grant())
    clock.advance(MINUTE)
    storage.consents.withdraw("s-1", VOICE)
    head = storage.ledger.head()
    clock.advance(MINUTE)
    with pytest.raises(BadInput, match="voice_cloning"):
        storage.consents.grant("s-1", BOTH, grant())
    assert storage.ledger.head() == head


def test_what_was_uploaded_before_a_withdrawal_stays_shut_after_a_new_grant(
    storage: Storage, admitted: AdmittedFactory, grant: GrantFactory, clock: MovableClock
) -> None:
    before = admitted()
    clock.advance(MINUTE)
    storage.consents.withdraw("s-1", VOICE)
    clock.advance(MINUTE)
    storage.consents.grant("s-1", ONLY_VOICE, grant(b"new evidence"))
    assert _allowed(storage) == {VOICE, HUMAN}
    by_purpose = {d.purpose: d for d in storage.uploads.decisions(before.upload)}
    assert {r.code for r in by_purpose[VOICE].reasons} >= {"basis_outdated"}
    assert by_purpose[HUMAN].allowed


# --- who people are ---------------------------------------------------------------------------


def test_a_person_belongs_to_one_account(storage: Storage, declare: DeclareFactory) -> None:
    upload = declare("s-1", account="firm-a")
    head = storage.ledger.head()
    with pytest.raises(BadUsage, match="another account") as refused:
        declare("s-1", account="firm-b")
    assert "firm" not in str(refused.value) + refused.value.remedy
    assert storage.ledger.head() == head
    assert storage.subjects.known("s-1").account_id == upload.account_id is not None


def test_a_person_known_without_an_account_joins_the_first_that_uploads(
    storage: Storage, declare: DeclareFactory, grant: GrantFactory
) -> None:
    storage.consents.grant("s-1", ONLY_VOICE, grant())
    assert storage.subjects.known("s-1").account_id is None
    upload = declare("s-1", ONLY_VOICE, account="firm-a")
    assert storage.subjects.known("s-1").account_id == upload.account_id is not None


def test_an_account_holds_several_people(storage: Storage, declare: DeclareFactory) -> None:
    first, second = declare("s-1", account="firm"), declare("s-2", account="firm")
    assert first.account_id == second.account_id
    assert first.subject_id != second.subject_id


def test_an_account_and_a_person_with_the_same_id_are_told_apart(
    storage: Storage, declare: DeclareFactory
) -> None:
    declare("x", account="x")
    with storage.catalogue.reading() as connection:
        pseudonyms = [
            *connection.execute(select(SUBJECTS.c.pseudonym)).scalars(),
            *connection.execute(select(ACCOUNTS.c.pseudonym)).scalars(),
        ]
    assert len(set(pseudonyms)) == 2
