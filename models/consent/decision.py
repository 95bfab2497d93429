"""May this person's voice or face be used for this purpose now?

A pure function of recorded facts. There is no default of yes: what is not known is not allowed.
The laws it keeps, as property tests state them:

- a withdrawal or refusal is never outweighed by an earlier grant, nor by a grant that is recorded
  later but dated earlier;
- after one, only an explicit grant with evidence that was not used before counts (invariant 4);
- what rests on a grant from before the withdrawal stays refused, whatever is granted later;
- adding a refusal, a withdrawal, a freeze or a policy version never turns a no into a yes;
- a use that has expired stays expired;
- a minor's own word is not enough, and a guardian's is not enough for an adult (Policy P21).

A material change of policy and a minor's coming of age stop a use until the consent is renewed;
unlike a withdrawal they do not part a recording from its purpose for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from models.consent.ages import AgeBand, AgeStatement, band_at, day_of, newest
from models.consent.facts import (
    CLOCK_SKEW,
    NEGATIVE,
    POSITIVE,
    Event,
    EvidenceLevel,
    Fact,
    Freeze,
    Source,
)
from models.consent.policies import PolicyVersion, overtaken_by
from models.consent.reasons import REASONS, WARNINGS, Reason
from models.consent.rules import ConsentRules
from models.schema.purposes import Purpose


@dataclass(frozen=True)
class Record:
    """Everything on record that the decision about one person reads."""

    facts: Sequence[Fact]
    freezes: Sequence[Freeze] = ()
    ages: Sequence[AgeStatement] = ()
    policies: Sequence[PolicyVersion] = ()
    region: str | None = None
    """Where the person's data belongs; None where it does not matter."""
    rules: ConsentRules = field(default_factory=ConsentRules)


@dataclass(frozen=True)
class Question:
    """One use that is asked about."""

    purpose: Purpose
    at: datetime
    upload_purposes: frozenset[Purpose] | None = None
    """The purposes an upload was granted for; None when asking about the person alone."""
    basis: int | None = None
    """Ledger sequence of the grant that an upload or object rests on; None when asking about a
    use that would rest on the newest valid grant."""
    identified: bool = True
    """False while nobody has said whose voice or face an upload holds (invariant 11)."""
    region: str | None = None
    """Where the use would take place."""


class Decision(BaseModel):
    """The answer. `basis` is the ledger sequence of the grant that permits the use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: Purpose
    allowed: bool
    basis: int | None
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...] = ()
    """What is known to stop an allowed use later."""


def decide(record: Record, question: Question) -> Decision:
    """Answer one question; a refusal carries every reason that applies."""
    purpose = question.purpose
    acts = _acts(record.facts, purpose)
    valid = _valid(acts)
    current, lacking = _current(record, valid, question)
    basis = question.basis
    if basis is None and current:
        basis = current[-1].sequence

    codes: list[str] = []
    if question.region is not None and record.region not in {None, question.region}:
        codes.append("other_region")
    if question.upload_purposes is not None and purpose not in question.upload_purposes:
        codes.append("purpose_not_in_upload")
    if not question.identified:
        codes.append("not_identified")
    if not valid:
        codes.append(_never_or_stopped(acts))
    codes += lacking
    if valid and question.basis is not None and basis not in {fact.sequence for fact in valid}:
        codes.append("basis_outdated")
    if any(_covers(freeze, purpose, basis) for freeze in record.freezes):
        codes.append("frozen")

    return Decision(
        purpose=purpose,
        allowed=not codes,
        basis=basis if not codes else None,
        reasons=tuple(REASONS[code] for code in codes),
        warnings=() if codes else tuple(_warnings(record, current, question)),
    )


def valid_grants(facts: Sequence[Fact], purpose: Purpose) -> list[Fact]:
    """The grants for a purpose that no refusal or withdrawal outweighs, in ledger order."""
    return _valid(_acts(facts, purpose))


def _acts(facts: Sequence[Fact], purpose: Purpose) -> list[Fact]:
    """Acts about our own use, in ledger order; consent to a disclosure permits that alone."""
    return sorted(
        (
            fact
            for fact in facts
            if fact.purpose is purpose and (fact.recipient is None or fact.event in NEGATIVE)
        ),
        key=lambda fact: fact.sequence,
    )


def _valid(acts: Sequence[Fact]) -> list[Fact]:
    negatives = [fact for fact in acts if fact.event in NEGATIVE]
    grants = [fact for fact in acts if fact.event in POSITIVE]
    if not negatives:
        return grants
    newest_negative = negatives[-1].sequence
    acted = max(fact.acted_at for fact in negatives)
    used = {fact.evidence_digest for fact in grants if fact.sequence < newest_negative}
    renewed = [
        fact
        for fact in grants
        if fact.sequence > newest_negative
        and fact.acted_at > acted
        and fact.source is Source.EXPLICIT
        and fact.evidence_digest is not None
        and fact.evidence_digest not in used
    ]
    if not renewed:
        return []
    # Once renewed by an explicit grant, later uploads grant by themselves again.
    again = {fact.sequence for fact in renewed}
    return [
        fact
        for fact in grants
        if fact.sequence in again or (fact.sequence > renewed[0].sequence and fact.acted_at > acted)
    ]


def _current(
    record: Record, valid: Sequence[Fact], question: Question
) -> tuple[list[Fact], list[str]]:
    """The grants that permit the use at this moment; without any, what the newest one lacks."""
    if not valid:
        return [], []
    band = band_at(record.ages, question.at)
    own = [fact for fact in valid if fact.event is Event.GRANT]
    guardians = [fact for fact in valid if fact.event is Event.GUARDIAN_CONSENT]
    lacking: list[str] = []
    if band is not AgeBand.ADULT:
        written = [fact for fact in guardians if not list(_faults(record, fact, question))]
        if not written:
            found = list(_faults(record, guardians[-1], question)) if guardians else []
            lacking += ["guardian_consent_missing", *found]
        if band is AgeBand.FOURTEEN_OR_UNDER:
            return (written, []) if written else ([], lacking)
    if not own:
        return [], [*lacking, "own_consent_missing"]
    sound = [fact for fact in own if not list(_faults(record, fact, question))]
    if not sound:
        lacking += [code for code in _faults(record, own[-1], question) if code not in lacking]
    return ([], lacking) if lacking else (sound, [])


def _faults(record: Record, grant: Fact, question: Question) -> Iterator[str]:
    """Why a grant does not count at this moment."""
    at = question.at
    if grant.expires_at is not None and grant.expires_at <= at:
        yield "expired"
    overtaken = overtaken_by(record.policies, grant.purpose, grant.policy_version, grant.acted_at)
    if any(policy.effective_at <= at for policy in overtaken):
        yield "policy_changed"
    level = grant.evidence_level or EvidenceLevel.DECLARED
    least = record.rules.least_for(grant.purpose)
    if grant.event is Event.GUARDIAN_CONSENT:
        # Written consent (Policy VII); a guardian does not read out the minor's statement.
        least = EvidenceLevel.DOCUMENT
    if level.rank < least.rank:
        yield "evidence_too_weak"
    if grant.event is Event.GRANT and _given_as_minor(record, grant, at):
        yield "own_consent_needed_at_18"
    if grant.acted_at > at + CLOCK_SKEW:
        yield "never_granted"  # not yet


def _given_as_minor(record: Record, grant: Fact, at: datetime) -> bool:
    statement = newest(record.ages)
    if statement is None or statement.turns_18_on is None:
        return False
    return day_of(grant.acted_at) < statement.turns_18_on <= day_of(at)


def _never_or_stopped(acts: Sequence[Fact]) -> str:
    negatives = [fact for fact in acts if fact.event in NEGATIVE]
    if not negatives:
        return "never_granted"
    return "withdrawn" if negatives[-1].event is Event.WITHDRAWAL else "refused"


def _covers(freeze: Freeze, purpose: Purpose, basis: int | None) -> bool:
    """A freeze of everything always covers; one of a purpose covers what rests on older grants."""
    if freeze.purpose is None:
        return True
    return freeze.purpose is purpose and (basis is None or basis < freeze.sequence)


def _warnings(record: Record, current: Sequence[Fact], question: Question) -> Iterator[Reason]:
    """What will stop the use unless something is done: told only where every grant is concerned."""
    if all(
        overtaken_by(record.policies, fact.purpose, fact.policy_version, fact.acted_at)
        for fact in current
    ):
        yield WARNINGS["policy_change_ahead"]
    if all(fact.expires_at is not None for fact in current):
        yield WARNINGS["consent_expires"]
    if band_at(record.ages, question.at) is not AgeBand.ADULT:
        yield WARNINGS["turns_18_ahead"]
