"""May something of a person leave, to this recipient, for this reason? (Policy P08a-d, P13)

A disclosure is the only way out, and a decision of its own: consent to our use of a voice is no
consent to hand it on. Pure, like `decision`; unknown means no.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from models.consent.ages import AgeBand, band_at
from models.consent.decision import Question, Record, decide
from models.consent.facts import NEGATIVE, Event
from models.consent.legal_bases import LegalBasis, LegalUse
from models.consent.reasons import DISCLOSURE_REASONS, REASONS, Reason
from models.schema.purposes import Purpose


class RecipientKind(StrEnum):
    """Who receives."""

    AFFILIATE = "affiliate"
    PROCESSOR = "processor"
    """Works for us under an agreement that binds it to the policy (Policy P08b)."""
    COUNTERPARTY = "counterparty"
    """The other side of a transaction, within its contract."""
    HOLDER = "holder"
    """Who takes the service over (Policy P08c)."""
    AUTHORITY = "authority"
    """A court or authority with a document."""
    PUBLIC = "public"
    """Everybody: publication (Policy P08d)."""


class Ground(StrEnum):
    """Why it may leave (Policy P08a)."""

    CONSENT = "consent"
    """The person's express consent to this recipient."""
    AGREEMENT = "agreement"
    """For the purposes that the person agreed to, within what an agreement covers."""
    LAW = "law"
    """A recorded legal basis with its document."""
    REQUEST = "request"
    """The person asked for it, in a dispute."""


_BY_AGREEMENT: Final = frozenset(
    {RecipientKind.AFFILIATE, RecipientKind.PROCESSOR, RecipientKind.COUNTERPARTY}
)


class Recipient(BaseModel):
    """One registered recipient."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: RecipientKind
    region: str
    purposes: frozenset[Purpose]
    """What the agreement allows it to do with what it receives."""
    covers: frozenset[str]
    """The kinds of object that the agreement covers."""
    agreement_digest: str | None
    expires_at: datetime | None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Handover:
    """What is to leave: to whom, why, for what, which kinds of object."""

    recipient: Recipient
    ground: Ground
    purpose: Purpose
    kinds: frozenset[str]
    at: datetime
    house_region: str
    document_digest: str | None = None


class HandoverDecision(BaseModel):
    """The answer. `basis` is the ledger sequence of the consent or legal basis it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed: bool
    basis: int | None
    reasons: tuple[Reason, ...]


def decide_handover(
    record: Record, legal_bases: Sequence[LegalBasis], handover: Handover
) -> HandoverDecision:
    """Answer one request; a refusal carries every reason that applies."""
    codes = list(_about_recipient(handover))
    if any(freeze.purpose in {None, handover.purpose} for freeze in record.freezes):
        codes.append("frozen")
    basis: int | None = None
    if handover.ground is Ground.LAW:
        found = _by_law(legal_bases, handover)
        codes += found if isinstance(found, list) else []
        basis = found if isinstance(found, int) else None
    else:
        basis, lacking = _by_the_person(record, handover)
        codes += [code for code in lacking if code not in codes]
    known = {**REASONS, **DISCLOSURE_REASONS}
    return HandoverDecision(
        allowed=not codes,
        basis=None if codes else basis,
        reasons=tuple(known[code] for code in codes),
    )


def _about_recipient(handover: Handover) -> Iterator[str]:
    recipient, at = handover.recipient, handover.at
    over = recipient.expires_at is not None and recipient.expires_at <= at
    if over or recipient.ended_at is not None:
        yield "recipient_ended"
    if not handover.kinds:
        yield "nothing_named"
    if handover.ground is Ground.AGREEMENT:
        if recipient.kind not in _BY_AGREEMENT:
            yield "agreement_not_enough"
        if recipient.agreement_digest is None:
            yield "agreement_missing"
        if handover.purpose not in recipient.purposes:
            yield "purpose_not_in_agreement"
        if not handover.kinds <= recipient.covers:
            yield "kinds_not_in_agreement"
    if handover.ground in {Ground.LAW, Ground.REQUEST} and handover.document_digest is None:
        yield "document_missing"


def _by_law(bases: Sequence[LegalBasis], handover: Handover) -> int | list[str]:
    """The basis that permits it, or why none does; only what its document names leaves."""
    fitting = [
        basis
        for basis in bases
        if LegalUse.DISCLOSE in basis.permits
        and not basis.ended
        and handover.at < basis.expires_at
        and basis.document_digest == handover.document_digest
    ]
    if not fitting:
        return ["no_legal_basis"]
    newest = max(fitting, key=lambda basis: basis.sequence)
    return newest.sequence if handover.kinds <= newest.covers else ["not_named_in_document"]


def _by_the_person(record: Record, handover: Handover) -> tuple[int | None, list[str]]:
    """The consent it rests on, and what is missing."""
    abroad = handover.recipient.region != handover.house_region
    minor = band_at(record.ages, handover.at) is not AgeBand.ADULT
    codes: list[str] = []
    basis: int | None = None
    if handover.ground is Ground.AGREEMENT:
        ours = decide(record, Question(handover.purpose, handover.at))
        basis = ours.basis
        codes += [reason.code for reason in ours.reasons]
    if handover.ground is Ground.CONSENT or abroad or minor:
        specific = decide(_towards(record, handover), Question(handover.purpose, handover.at))
        lacking = [reason.code for reason in specific.reasons]
        if "never_granted" in lacking:
            lacking.remove("never_granted")
            lacking.append("abroad_without_consent" if abroad else "recipient_not_agreed_to")
        codes += [code for code in lacking if code not in codes]
        basis = specific.basis if basis is None else basis
    return basis, codes


def _towards(record: Record, handover: Handover) -> Record:
    """The record as the decision about this one recipient reads it: only acts that name them.

    A consent that names no region abroad does not let anything go there (Policy P13).
    """
    abroad = handover.recipient.region != handover.house_region
    wanted = handover.recipient.region if abroad else None
    facts = [
        fact.model_copy(update={"recipient": None})
        for fact in record.facts
        if fact.event in NEGATIVE
        or (
            fact.recipient == handover.recipient.id
            and (wanted is None or fact.region == wanted)
            and fact.event in {Event.GRANT, Event.GUARDIAN_CONSENT}
        )
    ]
    return replace(record, facts=facts)
