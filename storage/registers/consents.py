"""Recording what a person decides: grants, refusals, withdrawals (Policy P03, P04, P07)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from models.consent.ages import AgeBand, band_at
from models.consent.decision import Decision, valid_grants
from models.consent.facts import (
    CLOCK_SKEW,
    NEGATIVE,
    POSITIVE,
    Event,
    EvidenceLevel,
    Fact,
    Source,
    Uploader,
)
from models.consent.policies import BASELINE, in_force
from models.schema.erasure import ErasureGround
from models.schema.errors import BadInput, BadUsage, LimitExceeded, NotFound
from models.schema.purposes import Purpose
from storage.access_log import Access, accesses_to
from storage.catalogue import freezes, people
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import Order, orders_of
from storage.catalogue.people import Subject
from storage.catalogue.policies import all_policies
from storage.database import Writing
from storage.foundation import Foundation
from storage.freezing import Stop, Stopped, freeze_within, lift_within, stopping
from storage.records import statements_of
from storage.registers.disclosures import TRANSFER
from storage.registers.evidence import EVIDENCE_BYTES_MOST, Evidence
from storage.registers.minors import Minors
from storage.registers.subjects import Subjects


@dataclass(frozen=True)
class Grant:
    """One act of agreeing, for one or more purposes."""

    evidence: Evidence
    uploader: Uploader
    authorisation: Evidence | None
    """The data subject's express authorisation, where somebody else acts (Policy P03)."""
    source: Source
    acted_at: datetime
    guardian: str | None = None
    """The caller's own id of the guardian who acts for a minor (Policy P21)."""
    policy_version: str | None = None
    """The version of the privacy policy agreed to; None: the one in force when the person acted."""
    expires_at: datetime | None = None
    recipient: str | None = None
    """Random id of the recipient, where this consents to a disclosure and to nothing else."""
    region: str | None = None

    @property
    def event(self) -> Event:
        """The ledger's word for the act."""
        return Event.GUARDIAN_CONSENT if self.uploader is Uploader.GUARDIAN else Event.GRANT

    def checked(self, now: datetime) -> Grant:
        """Itself, dated now at the latest; raises BadInput where it is incomplete or impossible."""
        if not self.evidence.content.strip():
            raise BadInput(
                "The evidence of consent is empty.",
                remedy="Say in --evidence how the person agreed, or name the document.",
            )
        if self.uploader is Uploader.AUTHORISED and (
            self.authorisation is None or not self.authorisation.content.strip()
        ):
            raise BadInput(
                "Whoever acts for another person must hold their express authorisation.",
                remedy="Name the document with --authorised-by (Policy P03).",
            )
        for part in filter(None, (self.evidence, self.authorisation)):
            if len(part.content) > EVIDENCE_BYTES_MOST:
                raise LimitExceeded(
                    f"A document of evidence may hold at most {EVIDENCE_BYTES_MOST} bytes."
                )
        if (self.uploader is Uploader.GUARDIAN) != (self.guardian is not None):
            raise BadInput("A guardian's consent must say who the guardian is.")
        if self.uploader is Uploader.GUARDIAN and (
            self.evidence.level.rank < EvidenceLevel.DOCUMENT.rank
        ):
            raise BadInput(
                "A guardian's consent must be in writing.",
                remedy="Name the document with --evidence (Policy P21).",
            )
        if self.acted_at > now + CLOCK_SKEW:
            raise BadInput("The consent is dated in the future; nothing was recorded.")
        if self.expires_at is not None and self.expires_at <= now:
            raise BadInput("The consent would be over already; nothing was recorded.")
        return replace(self, acted_at=min(self.acted_at, now))


class Consents:
    """Writes and reads the decisions of people."""

    def __init__(self, base: Foundation, *, subjects: Subjects, minors: Minors) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._subjects = subjects
        self._minors = minors
        self._retention = base.retention
        self._clock = base.clock

    def grant(self, external_subject: str, purposes: frozenset[Purpose], grant: Grant) -> None:
        """Record an explicit grant; the only thing that reopens a purpose after a withdrawal.

        Raises BadInput when it could not count: evidence that was used before the withdrawal, or an
        act dated before it. Then nothing is changed.
        """
        if not purposes:
            raise BadUsage("No purpose was named, so nothing is granted.")
        grant = grant.checked(self._clock())
        # What a new person's grant can fail for is asked before the person is recorded.
        with self._catalogue.reading() as connection:
            _agreed_version(connection, grant)
        if grant.uploader is Uploader.GUARDIAN:
            self._subjects.known(external_subject)
        subject_id = self._subjects.ensure(external_subject, account=None)
        with self._gate.current(self._catalogue, self._keys) as writing:
            self.grant_within(writing, subject_id, purposes, grant)

    def grant_within(
        self, writing: Writing, subject_id: str, purposes: frozenset[Purpose], grant: Grant
    ) -> dict[Purpose, int]:
        """The same inside the caller's transaction; returns the ledger sequence for each purpose.

        A guardian's consent lifts the freeze that waited for it.
        """
        people.lock(writing.connection, subject_id, exclusively=True)
        written: dict[Purpose, int] = {}
        for purpose in sorted(purposes):
            facts = statements_of(writing.connection, subject_id).facts
            _refuse_replayed(facts, purpose, grant)
            _refuse_useless(facts, purpose, grant)
            written[purpose] = self.append_grant(writing, subject_id, purpose, grant)
        if grant.uploader is Uploader.GUARDIAN:
            self._minors.guardian_found(writing, subject_id)
        if grant.recipient is not None:
            # Whoever agrees to the new holder of a transfer need not wait for its agreement.
            waiting = freezes.in_force(
                writing.connection, cause=TRANSFER, scope_id=subject_id, awaits=grant.recipient
            )
            lift_within(writing, self._keys, self._ledger, waiting, now=self._clock())
        return written

    def append_grant(
        self, writing: Writing, subject_id: str, purpose: Purpose, grant: Grant
    ) -> int:
        """Write one grant inside the caller's transaction; returns its ledger sequence.

        Raises BadInput for a guardian who cannot be one, and for an unpublished policy version.
        """
        payload: dict[str, Any] = {
            "subject": subject_id,
            "purpose": purpose.value,
            "acted_at": grant.acted_at.isoformat(),
            "source": grant.source.value,
            "uploader": grant.uploader.value,
            "evidence_level": grant.evidence.level.value,
            "evidence_digest": grant.evidence.digest,
            "policy_version": _agreed_version(writing.connection, grant),
        }
        if grant.expires_at is not None:
            payload["expires_at"] = grant.expires_at.isoformat()
        if grant.recipient is not None:
            payload["recipient"] = grant.recipient
        if grant.region is not None:
            payload["region"] = grant.region
        if grant.guardian is not None:
            payload["guardian"] = self._guardian(writing.connection, subject_id, grant.guardian)
        documents = [grant.evidence.content]
        if grant.authorisation is not None:
            payload["authorisation_digest"] = grant.authorisation.digest
            documents.append(grant.authorisation.content)
        sealed = self._vault.seal_column(
            subject_id, framed(documents), context=f"evidence:{grant.evidence.digest}"
        )
        return self._ledger.append(
            writing, grant.event.value, payload, subject_id=subject_id, sealed=sealed
        )

    def refuse(self, external_subject: str, purpose: Purpose) -> Stopped:
        """Record a refusal (Policy P04): stops the purpose as a withdrawal does."""
        subject_id = self._subjects.ensure(external_subject, account=None)
        with stopping(self._catalogue, self._keys, self._ledger) as writing:
            granted = self._was_granted(writing.connection, subject_id, purpose)
            return self._stop(writing, subject_id, purpose, Event.REFUSAL, owes_erasure=granted)

    def withdraw(self, external_subject: str, purpose: Purpose) -> Stopped:
        """Withdraw a purpose: use stops with this commit, and an erasure is owed (Policy P07).

        Raises NotFound for an unknown person, BadUsage when the purpose was never granted.
        """
        subject = self._subjects.known(external_subject)
        with stopping(self._catalogue, self._keys, self._ledger) as writing:
            if not self._was_granted(writing.connection, subject.id, purpose):
                raise BadUsage(
                    f"Consent for {purpose.value} was never given, so it cannot be withdrawn.",
                    remedy="`likeness consent refuse` records a refusal.",
                )
            return self._stop(writing, subject.id, purpose, Event.WITHDRAWAL, owes_erasure=True)

    def decisions(self, external_subject: str) -> list[Decision]:
        """The decision for every purpose, as it stands now; all refused for an unknown person."""
        try:
            subject = self._subjects.known(external_subject)
        except NotFound:
            subject = Subject(id="", account_id=None, region=self._gate.region)
        with self._catalogue.reading() as connection:
            return self._gate.decisions(connection, subject, Purpose, upload=None)

    def history(self, subject_id: str) -> list[Fact]:
        """Every act of a person, in ledger order."""
        with self._catalogue.reading() as connection:
            return statements_of(connection, subject_id).facts

    def orders_of(self, subject_id: str) -> list[Order]:
        """The erasure orders about a person, oldest first."""
        with self._catalogue.reading() as connection:
            return orders_of(connection, Scope.SUBJECT, subject_id)

    def accesses_to(self, subject_id: str) -> list[Access]:
        """Everything of a person's that was opened, oldest first."""
        with self._catalogue.reading() as connection:
            return accesses_to(connection, subject_id)

    def _was_granted(self, connection: Connection, subject_id: str, purpose: Purpose) -> bool:
        facts = statements_of(connection, subject_id).facts
        return any(f.event in POSITIVE and f.purpose is purpose for f in facts)

    def _guardian(self, connection: Connection, subject_id: str, external_id: str) -> str:
        """The guardian's pseudonym; raises BadInput for the minor themselves or another minor."""
        pseudonym = self._vault.pseudonym("subject", external_id)
        guardian = people.subject_by_pseudonym(connection, pseudonym)
        if guardian is None:
            return pseudonym
        ages = statements_of(connection, guardian.id).ages
        if guardian.id == subject_id:
            raise BadInput(
                "The guardian is the minor themselves; nothing was recorded.",
                remedy="Name the parent or other guardian who signed.",
            )
        if band_at(ages, self._clock()) is not AgeBand.ADULT:
            raise BadInput("The guardian named is under 18 themselves; nothing was recorded.")
        return pseudonym

    def _stop(
        self,
        writing: Writing,
        subject_id: str,
        purpose: Purpose,
        event: Event,
        *,
        owes_erasure: bool,
    ) -> Stopped:
        stop = Stop(
            scope=Scope.SUBJECT,
            scope_id=subject_id,
            purpose=purpose,
            cause=event.value,
            ground=ErasureGround.CONSENT_WITHDRAWN if owes_erasure else None,
            payload={"subject": subject_id},
        )
        return freeze_within(
            writing,
            self._keys,
            self._ledger,
            stop,
            now=self._clock(),
            retention=self._retention,
        )


def _refuse_replayed(facts: list[Fact], purpose: Purpose, grant: Grant) -> None:
    for fact in facts:
        if (
            fact.purpose is purpose
            and fact.event is grant.event
            and fact.evidence_digest == grant.evidence.digest
            and fact.acted_at == grant.acted_at
            and fact.recipient == grant.recipient
        ):
            raise BadInput(
                f"This same act about {purpose.value} is on record already; nothing was recorded.",
                remedy="A new consent is a new act, with its own date.",
            )


def _agreed_version(connection: Connection, grant: Grant) -> str:
    published = all_policies(connection)
    if grant.policy_version is None:
        return in_force(published, grant.acted_at)
    known = {policy.version for policy in published if policy.published_at <= grant.acted_at} | {
        BASELINE
    }
    if grant.policy_version not in known:
        raise BadInput(
            "The version of the privacy policy that was agreed to was not published by then.",
            remedy="`likeness policy list` names the versions.",
        )
    return grant.policy_version


def _refuse_useless(facts: list[Fact], purpose: Purpose, grant: Grant) -> None:
    negatives = [f for f in facts if f.purpose is purpose and f.event in NEGATIVE]
    if not negatives:
        return
    probe = Fact(
        sequence=max(fact.sequence for fact in facts) + 1,
        event=grant.event,
        purpose=purpose,
        acted_at=grant.acted_at,
        source=grant.source,
        evidence_digest=grant.evidence.digest,
    )
    if probe not in valid_grants([*facts, probe], purpose):
        raise BadInput(
            f"This consent for {purpose.value} does not outweigh the refusal or withdrawal on "
            "record: it is older, or its evidence was used before.",
            remedy="Ask the person again and record the new evidence.",
        )


def framed(documents: list[bytes]) -> bytes:
    """Documents one after another, each behind its length in 4 bytes, big-endian."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in documents)


def unframed(content: bytes) -> list[bytes]:
    """The documents that `framed` put together."""
    documents = []
    while content:
        end = 4 + int.from_bytes(content[:4], "big")
        documents.append(content[4:end])
        content = content[end:]
    return documents
