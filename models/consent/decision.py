"""May this person's voice or face be used for this purpose now?

A pure function of recorded facts. There is no default of yes: what is not known is not allowed.
The laws it keeps, as property tests state them:

- a withdrawal or refusal is never outweighed by an earlier grant, nor by a grant that is recorded
  later but dated earlier;
- after one, only an explicit grant with evidence that was not used before counts (invariant 4);
- what rests on a grant from before the withdrawal stays refused, whatever is granted later;
- adding a refusal, a withdrawal or a freeze never turns a no into a yes.

Policy versions, minors, legal bases and regions are further reasons of the same shape: each adds
codes to `reasons`, none removes any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from models.consent.facts import NEGATIVE, Event, Fact, Freeze, Source
from models.schema.purposes import Purpose


class Reason(BaseModel):
    """Why the answer is no."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    english: str
    chinese: str


@dataclass(frozen=True)
class Question:
    """One use that is asked about."""

    purpose: Purpose
    upload_purposes: frozenset[Purpose] | None = None
    """The purposes an upload was granted for; None when asking about the person alone."""
    basis: int | None = None
    """Ledger sequence of the grant that an upload or object rests on; None when asking about a
    use that would rest on the newest valid grant."""


class Decision(BaseModel):
    """The answer. `basis` is the ledger sequence of the grant that permits the use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: Purpose
    allowed: bool
    basis: int | None
    reasons: tuple[Reason, ...]


_REASONS = {
    "purpose_not_in_upload": Reason(
        code="purpose_not_in_upload",
        english="The recording was not uploaded for this purpose.",
        chinese="上传该录音或视频时没有包含这一用途。",
    ),
    "never_granted": Reason(
        code="never_granted",
        english="Consent for this purpose was never given.",
        chinese="从未就这一用途给出同意。",
    ),
    "refused": Reason(
        code="refused",
        english="The person refused this purpose.",
        chinese="本人拒绝了这一用途。",
    ),
    "withdrawn": Reason(
        code="withdrawn",
        english="The person withdrew consent for this purpose.",
        chinese="本人已撤回对这一用途的同意。",
    ),
    "basis_outdated": Reason(
        code="basis_outdated",
        english="The recording rests on a consent that was withdrawn since; "
        "a later consent does not bring it back.",
        chinese="该录音或视频所依据的同意已被撤回；之后的同意不能使其恢复使用。",
    ),
    "frozen": Reason(
        code="frozen",
        english="All use is stopped by a freeze.",
        chinese="已被冻结，停止一切使用。",
    ),
}


def valid_grants(facts: Sequence[Fact], purpose: Purpose) -> list[Fact]:
    """The grants for a purpose that count now, in ledger order."""
    acts = sorted((f for f in facts if f.purpose is purpose), key=lambda fact: fact.sequence)
    negatives = [fact for fact in acts if fact.event in NEGATIVE]
    grants = [fact for fact in acts if fact.event is Event.GRANT]
    if not negatives:
        return grants
    newest = negatives[-1].sequence
    acted = max(fact.acted_at for fact in negatives)
    used = {fact.evidence_digest for fact in grants if fact.sequence < newest}
    renewed = [
        fact
        for fact in grants
        if fact.sequence > newest
        and fact.acted_at > acted
        and fact.source is Source.EXPLICIT
        and fact.evidence_digest is not None
        and fact.evidence_digest not in used
    ]
    if not renewed:
        return []
    # Once renewed by an explicit grant, later uploads grant by themselves again.
    return [
        fact
        for fact in grants
        if fact in renewed or (fact.sequence > renewed[0].sequence and fact.acted_at > acted)
    ]


def decide(facts: Sequence[Fact], freezes: Sequence[Freeze], question: Question) -> Decision:
    """Answer one question; a refusal carries every reason that applies."""
    purpose = question.purpose
    codes: list[str] = []
    grants = valid_grants(facts, purpose)
    acts = [fact for fact in facts if fact.purpose is purpose]
    negatives = sorted(
        (fact for fact in acts if fact.event in NEGATIVE), key=lambda fact: fact.sequence
    )

    if question.upload_purposes is not None and purpose not in question.upload_purposes:
        codes.append("purpose_not_in_upload")
    if not grants:
        if negatives:
            codes.append("withdrawn" if negatives[-1].event is Event.WITHDRAWAL else "refused")
        else:
            codes.append("never_granted")
    basis = question.basis if question.basis is not None else _newest(grants)
    if grants and basis is not None and basis not in {fact.sequence for fact in grants}:
        codes.append("basis_outdated")
    if any(_covers(freeze, purpose, basis) for freeze in freezes):
        codes.append("frozen")

    return Decision(
        purpose=purpose,
        allowed=not codes,
        basis=basis if not codes else None,
        reasons=tuple(_REASONS[code] for code in codes),
    )


def _newest(grants: Sequence[Fact]) -> int | None:
    return grants[-1].sequence if grants else None


def _covers(freeze: Freeze, purpose: Purpose, basis: int | None) -> bool:
    """A freeze of everything always covers; one of a purpose covers what rests on older grants."""
    if freeze.purpose is None:
        return True
    return freeze.purpose is purpose and (basis is None or basis < freeze.sequence)
