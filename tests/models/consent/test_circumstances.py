"""What the decision asks beside a person's acts: time, policy versions, age, evidence, region."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.consent.ages import AgeBand, AgeStatement, band_at, band_on
from models.consent.decision import Decision, Question, Record, decide
from models.consent.facts import Event, EvidenceLevel, Fact, Source, Uploader
from models.consent.legal_bases import LegalBasis, LegalUse, basis_for
from models.consent.policies import BASELINE, Change, ChangeReason, PolicyVersion, in_force
from models.consent.rules import ConsentRules
from models.schema.purposes import Purpose

LAW = settings(deadline=None, max_examples=60)
DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
VOICE, HUMAN = Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN
TURNS_18 = date(2026, 4, 1)


def _day(number: float) -> datetime:
    return DAY_ONE + timedelta(days=number)


def _grant(sequence: int = 1, *, day: float | None = None, **details: Any) -> Fact:
    event = details.pop("event", Event.GRANT)
    return Fact(
        sequence=sequence,
        event=event,
        purpose=details.pop("purpose", VOICE),
        acted_at=_day(sequence if day is None else day),
        source=Source.EXPLICIT,
        uploader=Uploader.SELF,
        evidence_level=details.pop("level", EvidenceLevel.DECLARED),
        evidence_digest=f"d{sequence}",
        **details,
    )


def _guardian(sequence: int, *, level: EvidenceLevel = EvidenceLevel.DOCUMENT, **more: Any) -> Fact:
    return _grant(sequence, event=Event.GUARDIAN_CONSENT, level=level, **more)


def _version(
    sequence: int, *, effective: float, purposes: frozenset[Purpose], name: str = ""
) -> PolicyVersion:
    return PolicyVersion(
        sequence=sequence,
        version=name or f"v{sequence}",
        published_at=_day(effective - 7),
        effective_at=_day(effective),
        changes=(Change(reason=ChangeReason.SERVICE, purposes=purposes),),
    )


def _ask(facts: Sequence[Fact], *, day: float, purpose: Purpose = VOICE, **record: Any) -> Decision:
    return decide(Record(facts, **record), Question(purpose, _day(day)))


def _codes(decision: Decision) -> set[str]:
    return {reason.code for reason in decision.reasons}


# --- time -----------------------------------------------------------------------------------------


@LAW
@given(st.integers(2, 50), st.lists(st.integers(0, 100), min_size=2, max_size=2).map(sorted))
def test_expiry_is_monotone_once_over_a_consent_never_counts_again(
    ends: int, days: list[int]
) -> None:
    facts = [_grant(expires_at=_day(ends))]
    earlier, later = (_ask(facts, day=1 + day) for day in days)
    if not earlier.allowed:
        assert not later.allowed
    assert later.allowed == (1 + days[1] < ends)
    if not later.allowed:
        assert _codes(later) == {"expired"}


def test_a_consent_for_a_time_says_so_while_it_lasts() -> None:
    (warning,) = _ask([_grant(expires_at=_day(9))], day=5).warnings
    assert warning.code == "consent_expires"
    assert _ask([_grant(expires_at=_day(9)), _grant(2)], day=5).warnings == ()


def test_an_act_that_is_dated_beyond_any_clock_skew_does_not_count_yet() -> None:
    assert not _ask([_grant(day=20)], day=10).allowed
    assert _ask([_grant(day=10 + 4 / 24 / 60)], day=10).allowed


# --- policy versions (Policy P22) -----------------------------------------------------------------


@LAW
@given(
    st.integers(0, 60),
    st.integers(1, 60),
    st.integers(0, 70),
    st.frozensets(st.sampled_from(Purpose)),
)
def test_a_version_stops_older_consents_to_its_purposes_from_its_day_and_no_others(
    acted: int, effective: int, asked: int, purposes: frozenset[Purpose]
) -> None:
    asked = max(asked, acted)
    decision = _ask(
        [_grant(day=acted)],
        day=asked,
        policies=[_version(5, effective=effective, purposes=purposes)],
    )
    stale = VOICE in purposes and acted < effective <= asked
    assert _codes(decision) == ({"policy_changed"} if stale else set())
    if decision.allowed:
        ahead = VOICE in purposes and acted < effective
        assert {warning.code for warning in decision.warnings} == (
            {"policy_change_ahead"} if ahead else set()
        )


def test_a_consent_given_to_the_coming_version_covers_it_and_all_before() -> None:
    both = frozenset({VOICE})
    versions = [_version(5, effective=30, purposes=both), _version(6, effective=60, purposes=both)]
    agreed = [_grant(policy_version="v5")]
    assert _ask(agreed, day=40, policies=versions).allowed
    assert not _ask(agreed, day=61, policies=versions).allowed
    assert not _ask([_grant(policy_version=BASELINE)], day=40, policies=versions).allowed


def test_renewing_brings_older_recordings_back_into_use_unlike_after_a_withdrawal() -> None:
    versions = [_version(5, effective=30, purposes=frozenset({VOICE}))]
    record = Record([_grant(1), _grant(8, day=31)], policies=versions)
    assert decide(record, Question(VOICE, _day(32), basis=1)).allowed


@LAW
@given(st.lists(st.integers(0, 100), max_size=4), st.integers(0, 100))
def test_the_version_in_force_is_the_last_that_has_taken_effect(
    effective: list[int], day: int
) -> None:
    versions = [
        _version(n, effective=each, purposes=frozenset()) for n, each in enumerate(effective)
    ]
    passed = [v for v in versions if v.effective_at <= _day(day)]
    found = in_force(versions, _day(day))
    if not passed:
        assert found == BASELINE
    else:
        (named,) = (v for v in passed if v.version == found)
        assert named.effective_at == max(v.effective_at for v in passed)


# --- minors (Policy P21) --------------------------------------------------------------------------

bands = st.sampled_from([AgeBand.UNDER_18, AgeBand.FOURTEEN_OR_UNDER])
own_grants = st.lists(st.integers(1, 9), unique=True, max_size=4)


@LAW
@given(bands, own_grants)
def test_no_number_of_a_minors_own_grants_is_enough(band: AgeBand, days: list[int]) -> None:
    ages = [AgeStatement(sequence=20, band=band)]
    decision = _ask([_grant(day) for day in days], day=30, ages=ages)
    assert not decision.allowed
    if days:
        assert "guardian_consent_missing" in _codes(decision)


@LAW
@given(own_grants)
def test_an_unknown_age_is_presumed_adult_and_a_guardian_speaks_for_no_adult(
    days: list[int],
) -> None:
    assert _ask([_grant(day) for day in days], day=30).allowed == bool(days)
    decision = _ask([_guardian(day) for day in days], day=30)
    assert _codes(decision) == ({"own_consent_missing"} if days else {"never_granted"})


def test_from_15_both_agree_and_up_to_14_the_guardian_does() -> None:
    teenager = [AgeStatement(sequence=9, band=AgeBand.UNDER_18)]
    child = [AgeStatement(sequence=9, band=AgeBand.FOURTEEN_OR_UNDER)]
    both, alone = [_grant(1), _guardian(2)], [_guardian(2)]
    assert _ask(both, day=10, ages=teenager).basis == 1
    assert _codes(_ask(alone, day=10, ages=teenager)) == {"own_consent_missing"}
    assert _ask(both, day=10, ages=child).basis == 2
    assert _ask(alone, day=10, ages=child).basis == 2


def test_a_guardians_consent_is_written() -> None:
    ages = [AgeStatement(sequence=9, band=AgeBand.FOURTEEN_OR_UNDER)]
    said = [_guardian(1, level=EvidenceLevel.DECLARED)]
    assert _codes(_ask(said, day=10, ages=ages)) == {
        "guardian_consent_missing",
        "evidence_too_weak",
    }


@LAW
@given(st.integers(0, 180))
def test_on_the_day_they_turn_18_consent_is_needed_again_and_not_a_day_earlier(day: int) -> None:
    ages = [AgeStatement(sequence=9, band=AgeBand.UNDER_18, turns_18_on=TURNS_18)]
    at = datetime(2026, 1, 15, 15, 59, tzinfo=UTC) + timedelta(days=day)  # 23:59 in China
    facts = [_grant(1), _guardian(2)]
    decision = decide(Record(facts, ages=ages), Question(VOICE, at))
    assert decision.allowed == (at.date() < TURNS_18)
    if not decision.allowed:
        assert _codes(decision) == {"own_consent_needed_at_18"}
        renewed = _grant(30, day=(at - DAY_ONE) / timedelta(days=1))
        again = Record([*facts, renewed], ages=ages)
        assert decide(again, Question(VOICE, at, basis=1)).allowed


@LAW
@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.integers(-1500, 50))
def test_bands_only_grow_older(turns: date, days: int) -> None:
    order = [AgeBand.FOURTEEN_OR_UNDER, AgeBand.UNDER_18, AgeBand.ADULT]
    one, next_one = (band_on(turns, turns + timedelta(days=n)) for n in (days, days + 1))
    assert order.index(one) <= order.index(next_one)
    assert (band_on(turns, turns + timedelta(days=days)) is AgeBand.ADULT) == (days >= 0)


def test_the_newest_statement_about_an_age_counts() -> None:
    minor = AgeStatement(sequence=1, band=AgeBand.UNDER_18)
    adult = AgeStatement(sequence=2, band=AgeBand.ADULT)
    assert band_at([adult, minor], DAY_ONE) is AgeBand.ADULT
    assert band_at([minor], DAY_ONE) is AgeBand.UNDER_18


# --- evidence, identification, region -------------------------------------------------------------


@LAW
@given(st.sampled_from(EvidenceLevel), st.sampled_from(EvidenceLevel))
def test_only_evidence_as_strong_as_the_purpose_asks_for_counts(
    given_level: EvidenceLevel, least: EvidenceLevel
) -> None:
    rules = ConsentRules(least_evidence={VOICE: least})
    decision = _ask([_grant(level=given_level)], day=5, rules=rules)
    assert decision.allowed == (given_level.rank >= least.rank)
    other = _ask([_grant(level=given_level, purpose=HUMAN)], day=5, purpose=HUMAN, rules=rules)
    assert other.allowed


def test_what_nobody_has_identified_and_what_belongs_elsewhere_is_refused() -> None:
    record = Record([_grant()], region="cn")
    unknown = decide(record, Question(VOICE, _day(2), identified=False))
    abroad = decide(record, Question(VOICE, _day(2), region="eu"))
    assert (_codes(unknown), _codes(abroad)) == ({"not_identified"}, {"other_region"})
    assert decide(record, Question(VOICE, _day(2), region="cn")).allowed


def test_consent_to_a_disclosure_is_no_consent_to_our_own_use() -> None:
    assert _codes(_ask([_grant(recipient="r1")], day=5)) == {"never_granted"}


# --- legal bases (Policy P06) ---------------------------------------------------------------------


@LAW
@given(
    st.frozensets(st.sampled_from(LegalUse), min_size=1),
    st.sampled_from(LegalUse),
    st.integers(0, 20),
    st.integers(0, 20),
    st.booleans(),
)
def test_a_legal_basis_permits_what_it_names_until_it_ends(
    permits: frozenset[LegalUse], use: LegalUse, ends: int, asked: int, ended: bool
) -> None:
    basis = LegalBasis(
        sequence=1,
        case="c",
        document_digest="0" * 64,
        permits=permits,
        recorded_at=DAY_ONE,
        expires_at=_day(ends),
        ended=ended,
    )
    found = basis_for([basis], use, _day(asked))
    assert (found is not None) == (use in permits and asked < ends and not ended)


@pytest.mark.parametrize("use", ["train", "training", "process", *Purpose])
def test_no_legal_basis_can_name_training_or_any_purpose(use: str) -> None:
    with pytest.raises(ValidationError):
        LegalBasis.model_validate(
            {
                "sequence": 1,
                "case": "a",
                "document_digest": "0",
                "permits": [use],
                "recorded_at": DAY_ONE,
                "expires_at": _day(9),
            }
        )


# --- laws over everything together ----------------------------------------------------------------

_any_act = st.builds(
    _grant,
    st.just(0),
    day=st.integers(0, 40),
    event=st.sampled_from(Event),
    purpose=st.sampled_from([VOICE, HUMAN]),
    level=st.sampled_from(EvidenceLevel),
    policy_version=st.sampled_from([None, BASELINE, "v100", "v101"]),
    expires_at=st.none() | st.integers(0, 60).map(_day),
)
histories = st.lists(_any_act, max_size=7).map(
    lambda acts: [
        act.model_copy(update={"sequence": n, "evidence_digest": f"e{n}"})
        for n, act in enumerate(acts, 1)
    ]
)
age_lists = st.lists(
    st.builds(
        AgeStatement,
        sequence=st.integers(50, 60),
        band=st.sampled_from(AgeBand),
        turns_18_on=st.none() | st.dates(date(2025, 1, 1), date(2028, 1, 1)),
    ),
    max_size=2,
    unique_by=lambda statement: statement.sequence,
)
version_lists = st.lists(
    st.builds(
        _version,
        st.integers(100, 101),
        effective=st.integers(0, 50),
        purposes=st.frozensets(st.sampled_from([VOICE, HUMAN])),
    ),
    max_size=2,
    unique_by=lambda version: version.sequence,
)


@LAW
@given(histories, age_lists, version_lists, st.integers(0, 60))
def test_publishing_a_version_never_turns_a_no_into_a_yes(
    facts: list[Fact], ages: list[AgeStatement], versions: list[PolicyVersion], day: int
) -> None:
    # A consent that names a version agreed to what was published then; nobody can name a later one.
    unnamed = [fact.model_copy(update={"policy_version": None}) for fact in facts]
    question = Question(VOICE, _day(day))
    if decide(Record(unnamed, ages=ages, policies=versions), question).allowed:
        assert decide(Record(unnamed, ages=ages), question).allowed


@LAW
@given(histories, age_lists, version_lists, st.integers(0, 60), st.randoms())
def test_the_order_in_which_entries_are_read_does_not_matter(
    facts: list[Fact],
    ages: list[AgeStatement],
    versions: list[PolicyVersion],
    day: int,
    shuffled: Random,
) -> None:
    question = Question(VOICE, _day(day))
    straight = decide(Record(facts, ages=ages, policies=versions), question)
    mixed = [list(part) for part in (facts, ages, versions)]
    for part in mixed:
        shuffled.shuffle(part)
    assert decide(Record(mixed[0], ages=mixed[1], policies=mixed[2]), question) == straight  # type: ignore[arg-type]


@LAW
@given(histories, age_lists, version_lists, st.integers(0, 60))
def test_acts_about_another_purpose_change_nothing(
    facts: list[Fact], ages: list[AgeStatement], versions: list[PolicyVersion], day: int
) -> None:
    alone = [fact for fact in facts if fact.purpose is VOICE]
    question = Question(VOICE, _day(day))
    assert decide(Record(facts, ages=ages, policies=versions), question) == decide(
        Record(alone, ages=ages, policies=versions), question
    )


@LAW
@given(histories, age_lists, version_lists, st.integers(0, 60))
def test_raising_what_the_house_asks_for_never_turns_a_no_into_a_yes(
    facts: list[Fact], ages: list[AgeStatement], versions: list[PolicyVersion], day: int
) -> None:
    question = Question(VOICE, _day(day))
    lenient, strict = (
        decide(
            Record(
                facts,
                ages=ages,
                policies=versions,
                rules=ConsentRules(least_evidence={VOICE: least}),
            ),
            question,
        )
        for least in (EvidenceLevel.DECLARED, EvidenceLevel.SPOKEN)
    )
    assert lenient.allowed or not strict.allowed
