"""The laws of the decision (models/consent/decision.py), for any history of acts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from models.consent.decision import Decision, Question, Record, decide, valid_grants
from models.consent.facts import NEGATIVE, Event, Fact, Freeze, Source
from models.schema.purposes import Purpose

LAW = settings(deadline=None, max_examples=60)
DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
LATER = DAY_ONE + timedelta(days=400)
VOICE = Purpose.VOICE_CLONING
HUMAN = Purpose.DIGITAL_HUMAN


def _day(number: int) -> datetime:
    return DAY_ONE + timedelta(days=number)


def _act(
    sequence: int,
    event: Event,
    *,
    purpose: Purpose = VOICE,
    day: int | None = None,
    source: Source = Source.EXPLICIT,
    evidence: str | None = None,
) -> Fact:
    return Fact(
        sequence=sequence,
        event=event,
        purpose=purpose,
        acted_at=_day(sequence if day is None else day),
        source=source,
        evidence_digest=evidence,
    )


def _grant(sequence: int, evidence: str, **details: object) -> Fact:
    return _act(sequence, Event.GRANT, evidence=evidence, **details)  # type: ignore[arg-type]


def _ask(facts: Sequence[Fact], *freezes: Freeze, purpose: Purpose = VOICE) -> Decision:
    return decide(Record(facts, freezes), _question(purpose))


def _question(
    purpose: Purpose = VOICE,
    upload_purposes: frozenset[Purpose] | None = None,
    basis: int | None = None,
) -> Question:
    return Question(purpose, LATER, upload_purposes, basis)


def _codes(decision: Decision) -> set[str]:
    return {reason.code for reason in decision.reasons}


# Few days, few documents: so that dates tie, and evidence is used again, in most histories.
_acts = st.builds(
    _act,
    st.just(0),
    st.sampled_from([Event.GRANT, Event.REFUSAL, Event.WITHDRAWAL]),
    purpose=st.sampled_from(Purpose),
    day=st.integers(0, 6),
    source=st.sampled_from(Source),
    evidence=st.sampled_from([None, "a", "b", "c", "d"]),
)


def _numbered(acts: Sequence[Fact], start: int = 1) -> list[Fact]:
    return [act.model_copy(update={"sequence": n}) for n, act in enumerate(acts, start)]


histories = st.lists(_acts, max_size=9).map(_numbered)
freezes = st.lists(
    st.builds(
        Freeze,
        sequence=st.integers(0, 12),
        purpose=st.none() | st.sampled_from(Purpose),
        cause=st.just("hold"),
    ),
    max_size=2,
)
questions = st.builds(
    _question,
    purpose=st.sampled_from(Purpose),
    upload_purposes=st.none() | st.frozensets(st.sampled_from(Purpose)),
    basis=st.none() | st.integers(0, 10),
)
negatives = st.sampled_from(sorted(NEGATIVE))


@LAW
@given(freezes, questions)
def test_a_person_who_never_said_anything_has_allowed_nothing(
    stops: list[Freeze], question: Question
) -> None:
    decision = decide(Record([], stops), question)
    assert not decision.allowed
    assert "never_granted" in _codes(decision)


@LAW
@given(histories, freezes, questions)
def test_yes_rests_on_one_valid_grant_and_no_says_why_in_both_languages(
    facts: list[Fact], stops: list[Freeze], question: Question
) -> None:
    decision = decide(Record(facts, stops), question)
    if decision.allowed:
        assert decision.reasons == ()
        (rests_on,) = (fact for fact in facts if fact.sequence == decision.basis)
        assert (rests_on.event, rests_on.purpose) == (Event.GRANT, question.purpose)
        assert question.basis in {None, decision.basis}
        assert question.upload_purposes is None or question.purpose in question.upload_purposes
    else:
        assert decision.basis is None
        assert decision.reasons
        assert all(reason.english and reason.chinese for reason in decision.reasons)


@LAW
@given(histories, negatives, st.integers(0, 6), st.sampled_from(Purpose))
def test_a_withdrawal_or_refusal_outweighs_every_grant_before_it(
    facts: list[Fact], event: Event, day: int, purpose: Purpose
) -> None:
    last = _act(len(facts) + 1, event, purpose=purpose, day=day)
    decision = _ask([*facts, last], purpose=purpose)
    assert not decision.allowed
    assert _codes(decision) == {"withdrawn" if event is Event.WITHDRAWAL else "refused"}


@LAW
@given(histories, negatives, st.lists(st.tuples(_acts, st.integers(0, 6)), max_size=5))
def test_a_grant_recorded_later_but_dated_earlier_does_not_outweigh_it(
    facts: list[Fact], event: Event, late: list[tuple[Fact, int]]
) -> None:
    negative = _act(len(facts) + 1, event, day=6)
    backdated = _numbered(
        [_grant(0, f"new{n}", day=day, source=a.source) for n, (a, day) in enumerate(late)],
        start=negative.sequence + 1,
    )
    assert not _ask([*facts, negative, *backdated]).allowed


@LAW
@given(histories, negatives)
def test_the_date_that_counts_is_the_latest_of_all_withdrawals_and_refusals(
    facts: list[Fact], event: Event
) -> None:
    """A withdrawal that is entered late must not shorten the reach of one dated after it."""
    facts = [*facts, _act(len(facts) + 1, Event.WITHDRAWAL, day=9)]
    facts.append(_act(len(facts) + 1, event, day=1))
    facts.append(_grant(len(facts) + 1, "new", day=8))
    assert not _ask(facts).allowed


@LAW
@given(histories, negatives, st.lists(_acts, max_size=6))
def test_after_it_uploads_and_evidence_that_was_used_before_grant_nothing(
    facts: list[Fact], event: Event, attempts: list[Fact]
) -> None:
    negative = _act(len(facts) + 1, event, day=6)
    used = {
        fact.evidence_digest
        for fact in facts
        if fact.event is Event.GRANT and fact.purpose is VOICE and fact.evidence_digest
    }
    useless = [
        act.model_copy(update={"purpose": VOICE, "event": Event.GRANT, "acted_at": _day(10)})
        for act in attempts
        if act.source is Source.UPLOAD or act.evidence_digest in used | {None}
    ]
    later = _numbered(useless, start=negative.sequence + 1)
    assert not _ask([*facts, negative, *later]).allowed


@LAW
@given(histories, negatives)
def test_an_explicit_grant_with_new_evidence_reopens_and_uploads_grant_again_after_it(
    facts: list[Fact], event: Event
) -> None:
    negative = _act(len(facts) + 1, event, day=7)
    renewal = _grant(len(facts) + 2, "never used", day=8)
    upload = _grant(len(facts) + 3, "a", day=9, source=Source.UPLOAD)
    assert _ask([*facts, negative, renewal]).basis == renewal.sequence
    assert _ask([*facts, negative, renewal, upload]).basis == upload.sequence
    assert not _ask([*facts, negative, upload]).allowed


@LAW
@given(histories, negatives, st.lists(_acts, max_size=6), st.data())
def test_what_rests_on_a_grant_from_before_stays_refused_whatever_is_granted_later(
    facts: list[Fact], event: Event, later: list[Fact], data: st.DataObject
) -> None:
    negative = _act(len(facts) + 1, event, day=3)
    facts = [*facts, negative, *_numbered(later, start=negative.sequence + 1)]
    basis = data.draw(st.integers(0, negative.sequence))
    assert not decide(Record(facts), _question(VOICE, basis=basis)).allowed


@LAW
@given(histories, freezes, questions, _acts, st.integers(0, 9), negatives)
def test_adding_a_refusal_or_withdrawal_never_turns_a_no_into_a_yes(
    facts: list[Fact],
    stops: list[Freeze],
    question: Question,
    act: Fact,
    place: int,
    event: Event,
) -> None:
    """Wherever it falls in the ledger: the entries behind it keep their order."""
    spread = [fact.model_copy(update={"sequence": fact.sequence * 2}) for fact in facts]
    stops = [stop.model_copy(update={"sequence": stop.sequence * 2}) for stop in stops]
    basis = None if question.basis is None else question.basis * 2
    question = _question(question.purpose, question.upload_purposes, basis)
    added = act.model_copy(update={"event": event, "sequence": place * 2 + 1})
    if decide(Record([*spread, added], stops), question).allowed:
        assert decide(Record(spread, stops), question).allowed


@LAW
@given(histories, freezes, questions, freezes)
def test_adding_a_freeze_never_turns_a_no_into_a_yes(
    facts: list[Fact], stops: list[Freeze], question: Question, added: list[Freeze]
) -> None:
    if decide(Record(facts, [*stops, *added]), question).allowed:
        assert decide(Record(facts, stops), question).allowed


@LAW
@given(histories, questions)
def test_a_freeze_of_everything_stops_everything(facts: list[Fact], question: Question) -> None:
    stop = Freeze(sequence=1, purpose=None, cause="hold")
    assert "frozen" in _codes(decide(Record(facts, [stop]), question))


@LAW
@given(st.lists(_acts, min_size=3, max_size=9), st.none() | st.integers(1, 9), freezes, st.data())
def test_the_order_in_which_facts_are_handed_over_does_not_matter(
    acts: list[Fact], basis: int | None, stops: list[Freeze], data: st.DataObject
) -> None:
    facts = _numbered([act.model_copy(update={"purpose": VOICE}) for act in acts])
    shuffled = data.draw(st.permutations(facts))
    question = _question(VOICE, basis=basis)
    assert valid_grants(shuffled, VOICE) == valid_grants(facts, VOICE)
    assert decide(Record(shuffled, stops), question) == decide(Record(facts, stops), question)


@LAW
@given(histories, st.lists(_acts, max_size=6), st.sampled_from(Purpose), st.data())
def test_acts_about_other_purposes_change_nothing_wherever_they_stand(
    facts: list[Fact], others: list[Fact], purpose: Purpose, data: st.DataObject
) -> None:
    spread = [fact.model_copy(update={"sequence": fact.sequence * 10}) for fact in facts]
    places = data.draw(
        st.lists(
            st.integers(0, 99).filter(lambda n: n % 10 != 0),
            min_size=len(others),
            max_size=len(others),
            unique=True,
        )
    )
    unrelated = [
        act.model_copy(update={"sequence": place})
        for act, place in zip(others, places, strict=True)
        if act.purpose is not purpose
    ]
    assert _ask([*spread, *unrelated], purpose=purpose) == _ask(spread, purpose=purpose)


@LAW
@given(histories, st.sampled_from(Purpose))
def test_one_purpose_never_implies_another(facts: list[Fact], purpose: Purpose) -> None:
    others = [fact for fact in facts if fact.purpose is not purpose]
    assert _codes(_ask(others, purpose=purpose)) == {"never_granted"}


@LAW
@given(histories, st.sampled_from(Purpose))
def test_the_newest_valid_grant_is_what_a_new_use_rests_on(
    facts: list[Fact], purpose: Purpose
) -> None:
    grants = valid_grants(facts, purpose)
    assert grants == sorted(grants, key=lambda fact: fact.sequence)
    assert _ask(facts, purpose=purpose).basis == (grants[-1].sequence if grants else None)


def test_a_recording_is_used_only_for_what_it_was_uploaded_for() -> None:
    facts = [_grant(1, "a"), _grant(2, "a", purpose=HUMAN)]
    question = _question(HUMAN, upload_purposes=frozenset({VOICE}), basis=2)
    assert _codes(decide(Record(facts), question)) == {"purpose_not_in_upload"}


def test_a_refusal_carries_every_reason_that_applies() -> None:
    facts = [_grant(1, "a"), _act(2, Event.WITHDRAWAL)]
    stop = Freeze(sequence=2, purpose=VOICE, cause="withdrawal")
    question = _question(VOICE, upload_purposes=frozenset({HUMAN}), basis=1)
    assert _codes(decide(Record(facts, [stop]), question)) == {
        "purpose_not_in_upload",
        "withdrawn",
        "frozen",
    }


def test_the_freeze_of_a_withdrawal_covers_what_is_older_and_not_what_was_granted_since() -> None:
    facts = [_grant(1, "a"), _act(2, Event.WITHDRAWAL), _grant(3, "b")]
    stop = Freeze(sequence=2, purpose=VOICE, cause="withdrawal")
    assert _ask(facts, stop).basis == 3
    old = decide(Record(facts, [stop]), _question(VOICE, basis=1))
    assert _codes(old) == {"basis_outdated", "frozen"}


def test_the_freeze_of_one_purpose_leaves_another_in_use() -> None:
    facts = [_grant(1, "a"), _grant(2, "a", purpose=HUMAN)]
    stop = Freeze(sequence=3, purpose=HUMAN, cause="hold")
    assert _ask(facts, stop).allowed
    assert not _ask(facts, stop, purpose=HUMAN).allowed
