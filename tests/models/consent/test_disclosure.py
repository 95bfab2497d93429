"""What may leave, to whom and why (models/consent/disclosure.py; Policy P08a-d, P13)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.consent.ages import AgeBand, AgeStatement
from models.consent.decision import Record
from models.consent.disclosure import (
    Ground,
    Handover,
    HandoverDecision,
    Recipient,
    RecipientKind,
    decide_handover,
)
from models.consent.facts import Event, EvidenceLevel, Fact, Freeze
from models.consent.legal_bases import LegalBasis, LegalUse
from models.schema.purposes import Purpose

LAW = settings(deadline=None, max_examples=60)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
VOICE = Purpose.VOICE_CLONING
REPORT, ORIGINAL = frozenset({"report"}), frozenset({"original"})


def _fact(sequence: int, event: Event = Event.GRANT, **details: Any) -> Fact:
    return Fact(
        sequence=sequence,
        event=event,
        purpose=VOICE,
        acted_at=NOW - timedelta(days=100 - sequence),
        evidence_level=EvidenceLevel.DOCUMENT,
        evidence_digest=f"d{sequence}",
        **details,
    )


def _recipient(kind: RecipientKind = RecipientKind.PROCESSOR, **details: Any) -> Recipient:
    given = {
        "id": "r1",
        "kind": kind,
        "region": "cn",
        "purposes": frozenset({VOICE}),
        "covers": REPORT,
        "agreement_digest": "a",
        "expires_at": None,
        **details,
    }
    return Recipient.model_validate(given)


def _ask(
    facts: Sequence[Fact],
    ground: Ground,
    *,
    recipient: Recipient | None = None,
    kinds: frozenset[str] = REPORT,
    document: str | None = None,
    bases: Sequence[LegalBasis] = (),
    **record: Any,
) -> HandoverDecision:
    handover = Handover(
        recipient=recipient or _recipient(),
        ground=ground,
        purpose=VOICE,
        kinds=kinds,
        at=NOW,
        house_region="cn",
        document_digest=document,
    )
    return decide_handover(Record(facts, **record), bases, handover)


def _codes(decision: HandoverDecision) -> set[str]:
    return {reason.code for reason in decision.reasons}


def _basis(**details: Any) -> LegalBasis:
    return LegalBasis.model_validate(
        {
            "sequence": 40,
            "case": "c",
            "document_digest": "summons",
            "permits": frozenset({LegalUse.DISCLOSE}),
            "covers": REPORT,
            "recorded_at": NOW - timedelta(days=1),
            "expires_at": NOW + timedelta(days=1),
            **details,
        }
    )


@LAW
@given(st.sampled_from(RecipientKind), st.sampled_from(Ground))
def test_without_anything_on_record_nothing_leaves(kind: RecipientKind, ground: Ground) -> None:
    decision = _ask([], ground, recipient=_recipient(kind))
    assert not decision.allowed
    assert all(reason.english and reason.chinese for reason in decision.reasons)


def test_consent_to_our_own_use_is_no_consent_to_hand_it_on() -> None:
    assert _codes(_ask([_fact(1)], Ground.CONSENT)) == {"recipient_not_agreed_to"}
    towards_another = _fact(2, recipient="r2")
    assert _codes(_ask([towards_another], Ground.CONSENT)) == {"recipient_not_agreed_to"}
    assert _ask([_fact(2, recipient="r1")], Ground.CONSENT).basis == 2


def test_a_processor_gets_what_its_agreement_covers_for_purposes_the_person_agreed_to() -> None:
    assert _ask([_fact(1)], Ground.AGREEMENT).basis == 1
    assert _codes(_ask([], Ground.AGREEMENT)) == {"never_granted"}
    assert _codes(_ask([_fact(1)], Ground.AGREEMENT, kinds=ORIGINAL)) == {"kinds_not_in_agreement"}
    unbound = _recipient(agreement_digest=None)
    assert _codes(_ask([_fact(1)], Ground.AGREEMENT, recipient=unbound)) == {"agreement_missing"}
    other = _recipient(purposes=frozenset({Purpose.DIGITAL_HUMAN}))
    assert _codes(_ask([_fact(1)], Ground.AGREEMENT, recipient=other)) == {
        "purpose_not_in_agreement"
    }


def test_an_agreement_that_is_over_lets_nothing_leave() -> None:
    over = _recipient(expires_at=NOW)
    ended = _recipient(ended_at=NOW - timedelta(days=1))
    for recipient in (over, ended):
        assert "recipient_ended" in _codes(_ask([_fact(1)], Ground.AGREEMENT, recipient=recipient))


def test_publication_needs_express_consent_or_the_document_of_the_law() -> None:
    public = _recipient(RecipientKind.PUBLIC)
    assert _codes(_ask([_fact(1)], Ground.AGREEMENT, recipient=public)) == {"agreement_not_enough"}
    assert _codes(_ask([_fact(1)], Ground.LAW, recipient=public)) == {
        "document_missing",
        "no_legal_basis",
    }
    assert _ask([_fact(2, recipient="r1")], Ground.CONSENT, recipient=public).allowed


def test_by_law_only_what_the_document_names_leaves_and_only_with_that_document() -> None:
    court = _recipient(RecipientKind.AUTHORITY, agreement_digest=None)

    def by_law(document: str | None, basis: LegalBasis, kinds: frozenset[str] = REPORT) -> set[str]:
        asked = _ask([], Ground.LAW, recipient=court, kinds=kinds, document=document, bases=[basis])
        return _codes(asked)

    assert by_law("summons", _basis()) == set()
    assert by_law("summons", _basis(), ORIGINAL) == {"not_named_in_document"}
    assert by_law("another", _basis()) == {"no_legal_basis"}
    assert by_law(None, _basis()) == {"document_missing", "no_legal_basis"}
    assert by_law("summons", _basis(permits=frozenset({LegalUse.KEEP}))) == {"no_legal_basis"}
    assert by_law("summons", _basis(expires_at=NOW)) == {"no_legal_basis"}
    assert by_law("summons", _basis(ended=True)) == {"no_legal_basis"}


def test_going_abroad_needs_a_separate_consent_that_names_recipient_and_region() -> None:
    abroad = _recipient(region="eu")
    assert _codes(_ask([_fact(1)], Ground.AGREEMENT, recipient=abroad)) == {
        "abroad_without_consent"
    }
    only_the_recipient = [_fact(1), _fact(2, recipient="r1")]
    assert not _ask(only_the_recipient, Ground.AGREEMENT, recipient=abroad).allowed
    both = [_fact(1), _fact(2, recipient="r1", region="eu")]
    assert _ask(both, Ground.AGREEMENT, recipient=abroad).allowed
    assert _ask(both, Ground.CONSENT, recipient=abroad).allowed
    elsewhere = [_fact(1), _fact(2, recipient="r1", region="us")]
    assert not _ask(elsewhere, Ground.CONSENT, recipient=abroad).allowed


def test_a_minors_data_leaves_only_with_the_guardians_consent_to_that_recipient() -> None:
    ages = [AgeStatement(sequence=9, band=AgeBand.FOURTEEN_OR_UNDER)]
    ours = [_fact(2, Event.GUARDIAN_CONSENT)]
    assert not _ask(ours, Ground.AGREEMENT, ages=ages).allowed
    towards = _fact(3, Event.GUARDIAN_CONSENT, recipient="r1")
    assert _ask([*ours, towards], Ground.AGREEMENT, ages=ages).allowed


@LAW
@given(
    st.sampled_from([Event.REFUSAL, Event.WITHDRAWAL]),
    st.sampled_from([Ground.CONSENT, Ground.AGREEMENT, Ground.LAW]),
)
def test_a_withdrawal_of_the_purpose_ends_consent_to_every_recipient(
    event: Event, ground: Ground
) -> None:
    facts = [_fact(1), _fact(2, recipient="r1", region="cn"), _fact(3, event)]
    assert not _ask(facts, ground, document="d").allowed


@LAW
@given(st.sampled_from(Ground), st.none() | st.just(VOICE))
def test_what_is_frozen_does_not_leave_on_any_ground(
    ground: Ground, purpose: Purpose | None
) -> None:
    facts = [_fact(1), _fact(2, recipient="r1")]
    stop = Freeze(sequence=5, purpose=purpose, cause="hold")
    asked = _ask(facts, ground, document="summons", bases=[_basis()], freezes=[stop])
    assert "frozen" in _codes(asked)


def test_the_persons_own_request_in_a_dispute_rests_on_its_document() -> None:
    facts = [_fact(1), _fact(2, recipient="r1")]
    assert _codes(_ask(facts, Ground.REQUEST)) == {"document_missing"}
    assert _ask(facts, Ground.REQUEST, document="letter").allowed
