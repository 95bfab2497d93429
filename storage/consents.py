"""Recording what a person decides: grants, refusals, withdrawals (Policy P03, P04, P07)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection

from models.consent.decision import Decision, valid_grants
from models.consent.facts import NEGATIVE, Event, EvidenceLevel, Fact, Source, Uploader
from models.schema.errors import BadInput, BadUsage, LimitExceeded, NotFound
from models.schema.purposes import Purpose
from models.schema.retention import Retention
from storage.access_log import Access, accesses_to
from storage.catalogue.freezes import Order, Scope, orders_of
from storage.catalogue.people import Subject
from storage.clock import Clock, utc_now
from storage.database import Database, Writing
from storage.freezing import Stop, Stopped, freeze_within
from storage.gate import Gate
from storage.key_store import KeyStore
from storage.ledger import Ledger
from storage.subjects import Subjects
from storage.vault import Vault

EVIDENCE_BYTES_MOST: Final = 4 * 1024 * 1024
_CLOCK_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Evidence:
    """What shows that the person agreed: their words, or a document."""

    content: bytes
    level: EvidenceLevel

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Grant:
    """One act of agreeing, for one or more purposes."""

    evidence: Evidence
    uploader: Uploader
    authorisation: Evidence | None
    """The data subject's express authorisation, where somebody else acts (Policy P03)."""
    source: Source
    acted_at: datetime

    def checked(self, now: datetime) -> Grant:
        """Itself; raises BadInput where it is incomplete or impossible."""
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
        if self.acted_at > now + _CLOCK_SKEW:
            raise BadInput("The consent is dated in the future; nothing was recorded.")
        return self


class Consents:
    """Writes and reads the decisions of people."""

    def __init__(
        self,
        *,
        catalogue: Database,
        keys: KeyStore,
        vault: Vault,
        ledger: Ledger,
        gate: Gate,
        subjects: Subjects,
        retention: Retention,
        clock: Clock = utc_now,
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._vault = vault
        self._ledger = ledger
        self._gate = gate
        self._subjects = subjects
        self._retention = retention
        self._clock = clock

    def grant(self, external_subject: str, purposes: frozenset[Purpose], grant: Grant) -> None:
        """Record an explicit grant; the only thing that reopens a purpose after a withdrawal.

        Raises BadInput when it could not count: evidence that was used before the withdrawal, or an
        act dated before it. Then nothing is changed.
        """
        grant.checked(self._clock())
        if not purposes:
            raise BadUsage("No purpose was named, so nothing is granted.")
        subject_id = self._subjects.ensure(external_subject, account=None)
        with self._catalogue.writing() as writing:
            facts = self._ledger.facts(writing.connection, subject_id)
            for purpose in sorted(purposes):
                _refuse_useless(facts, purpose, grant)
                self.append_grant(writing, subject_id, purpose, grant)

    def append_grant(
        self, writing: Writing, subject_id: str, purpose: Purpose, grant: Grant
    ) -> int:
        """Write one grant inside the caller's transaction; returns its ledger sequence."""
        payload: dict[str, Any] = {
            "subject": subject_id,
            "purpose": purpose.value,
            "acted_at": grant.acted_at.isoformat(),
            "source": grant.source.value,
            "uploader": grant.uploader.value,
            "evidence_level": grant.evidence.level.value,
            "evidence_digest": grant.evidence.digest,
        }
        documents = [grant.evidence.content]
        if grant.authorisation is not None:
            payload["authorisation_digest"] = grant.authorisation.digest
            documents.append(grant.authorisation.content)
        sealed = self._vault.seal_column(
            subject_id, _framed(documents), context=f"evidence:{grant.evidence.digest}"
        )
        return self._ledger.append(
            writing, Event.GRANT.value, payload, subject_id=subject_id, sealed=sealed
        )

    def refuse(self, external_subject: str, purpose: Purpose) -> Stopped:
        """Record a refusal (Policy P04): stops the purpose as a withdrawal does."""
        subject_id = self._subjects.ensure(external_subject, account=None)
        with self._catalogue.writing() as writing:
            granted = self._was_granted(writing.connection, subject_id, purpose)
            return self._stop(writing, subject_id, purpose, Event.REFUSAL, owes_erasure=granted)

    def withdraw(self, external_subject: str, purpose: Purpose) -> Stopped:
        """Withdraw a purpose: use stops with this commit, and an erasure is owed (Policy P07).

        Raises NotFound for an unknown person, BadUsage when the purpose was never granted.
        """
        subject = self._subjects.known(external_subject)
        with self._catalogue.writing() as writing:
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
            subject = Subject(id="", account_id=None, region="")
        with self._catalogue.reading() as connection:
            return self._gate.decisions(connection, subject, Purpose, upload=None)

    def history(self, subject_id: str) -> list[Fact]:
        """Every act of a person, in ledger order."""
        with self._catalogue.reading() as connection:
            return self._ledger.facts(connection, subject_id)

    def orders_of(self, subject_id: str) -> list[Order]:
        """The erasure orders about a person, oldest first."""
        with self._catalogue.reading() as connection:
            return orders_of(connection, Scope.SUBJECT, subject_id)

    def accesses_to(self, subject_id: str) -> list[Access]:
        """Everything of a person's that was opened, oldest first."""
        with self._catalogue.reading() as connection:
            return accesses_to(connection, subject_id)

    def _was_granted(self, connection: Connection, subject_id: str, purpose: Purpose) -> bool:
        facts = self._ledger.facts(connection, subject_id)
        return any(f.event is Event.GRANT and f.purpose is purpose for f in facts)

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
            ground="consent_withdrawn" if owes_erasure else None,
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


def _refuse_useless(facts: list[Fact], purpose: Purpose, grant: Grant) -> None:
    negatives = [f for f in facts if f.purpose is purpose and f.event in NEGATIVE]
    if not negatives:
        return
    probe = Fact(
        sequence=max(fact.sequence for fact in facts) + 1,
        event=Event.GRANT,
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


def _framed(documents: list[bytes]) -> bytes:
    """Documents one after another, each behind its length in 4 bytes, big-endian."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in documents)
