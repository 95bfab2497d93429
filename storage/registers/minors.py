"""People under 18: what is recorded of their age, and the stop until a guardian is found (P21).

A flag that somebody is a minor stops every use at once. The erasure it owes waits some days for a
guardian's written consent; where one comes, the stop is lifted and the order taken back, else the
order is carried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

from models.consent.ages import AgeBand, band_at, band_on, day_of
from models.consent.facts import EvidenceLevel
from models.schema.erasure import ErasureGround, Requester
from models.schema.errors import BadInput, BadUsage
from storage.catalogue import freezes, orders
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import OrderState
from storage.database import Writing
from storage.foundation import Foundation
from storage.freezing import Stop, Stopped, freeze_within, lift_within, stopping
from storage.recorded_erasures import RecordedErasures
from storage.records import AGE_STATED, statements_of
from storage.registers.evidence import Evidence
from storage.registers.subjects import Subjects

MINOR: Final = "minor_flagged"


@dataclass(frozen=True)
class Waiting:
    """One minor whose guardian has not consented yet."""

    subject_id: str
    flagged_at: datetime
    erased_after: datetime | None


class Minors:
    """Flags minors, records ages, lifts what a guardian's consent lifts."""

    def __init__(self, base: Foundation, *, subjects: Subjects) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._subjects = subjects
        self._retention = base.retention
        self._clock = base.clock

    def flag(
        self, external_subject: str, *, turns_18_on: date | None, fourteen_or_under: bool
    ) -> Stopped:
        """Record that a person is a minor; every use stops with this commit.

        Raises NotFound for an unknown person, BadInput for a day that says they are of age.
        """
        band = self._band(turns_18_on, fourteen_or_under=fourteen_or_under)
        subject = self._subjects.known(external_subject)
        now = self._clock()
        with stopping(self._catalogue, self._keys, self._ledger) as writing:
            self._state(writing, subject.id, band, turns_18_on)
            stop = Stop(
                scope=Scope.SUBJECT,
                scope_id=subject.id,
                purpose=None,
                cause=MINOR,
                ground=ErasureGround.NO_GUARDIAN_CONSENT,
                requester=Requester.HOUSE,
                payload={"subject": subject.id},
                erase_after=timedelta(days=self._retention.guardian_days),
            )
            return freeze_within(
                writing, self._keys, self._ledger, stop, now=now, retention=self._retention
            )

    def state_age(
        self,
        external_subject: str,
        *,
        turns_18_on: date | None,
        fourteen_or_under: bool,
        account: str | None = None,
    ) -> AgeBand:
        """Record a minor's age when they are first named: nothing of theirs is in use yet.

        Use waits for the guardian by the decision alone. Raises BadUsage where something was
        granted before: then a flag is right, which stops it.
        """
        band = self._band(turns_18_on, fourteen_or_under=fourteen_or_under)
        subject_id = self._subjects.ensure(external_subject, account=account)
        with self._catalogue.writing() as writing:
            if statements_of(writing.connection, subject_id).facts:
                raise BadUsage(
                    "Consents of this person are on record already.",
                    remedy="`likeness minor flag` records the age and stops every use at once.",
                )
            self._state(writing, subject_id, band, turns_18_on)
        return band

    def correct_to_adult(self, external_subject: str, evidence: Evidence) -> int:
        """Take a flag back, on a document that shows the person is of age; lifts the stop.

        Returns how many freezes were lifted. Raises BadInput for evidence that is no document.
        """
        if evidence.level.rank < EvidenceLevel.DOCUMENT.rank or not evidence.content.strip():
            raise BadInput(
                "That a flagged person is of age must be shown by a document.",
                remedy="Name the document with --evidence.",
            )
        subject = self._subjects.known(external_subject)
        with self._catalogue.writing() as writing:
            self._state(writing, subject.id, AgeBand.ADULT, None, evidence=evidence)
            return self._lift(writing, subject.id)

    def guardian_found(self, writing: Writing, subject_id: str) -> int:
        """A guardian has consented in writing: lift the stop inside the caller's transaction.

        Raises BadInput where the person is not known to be a minor.
        """
        ages = statements_of(writing.connection, subject_id).ages
        if band_at(ages, self._clock()) is AgeBand.ADULT:
            raise BadInput(
                "The person is not known to be under 18, so no guardian can consent for them.",
                remedy="`likeness minor flag` or `minor state` records the age first.",
            )
        return self._lift(writing, subject_id)

    def band(self, subject_id: str) -> AgeBand:
        """The person's age band today."""
        with self._catalogue.reading() as connection:
            return band_at(statements_of(connection, subject_id).ages, self._clock())

    def waiting(self) -> list[Waiting]:
        """Minors that are stopped until a guardian consents, the longest waiting first."""
        with self._catalogue.reading() as connection:
            found = []
            for freeze in freezes.in_force(connection, cause=MINOR):
                owed = orders.orders_of(connection, Scope.SUBJECT, freeze.scope_id)
                starts = [
                    o.starts_at for o in owed if o.ground is ErasureGround.NO_GUARDIAN_CONSENT
                ]
                found.append(
                    Waiting(freeze.scope_id, freeze.created_at, starts[-1] if starts else None)
                )
        return found

    def _band(self, turns_18_on: date | None, *, fourteen_or_under: bool) -> AgeBand:
        today = day_of(self._clock())
        if turns_18_on is None:
            return AgeBand.FOURTEEN_OR_UNDER if fourteen_or_under else AgeBand.UNDER_18
        band = band_on(turns_18_on, today)
        if band is AgeBand.ADULT:
            raise BadInput("By that day the person is of age already; nothing was recorded.")
        if turns_18_on.year - today.year > 18:
            raise BadInput("That day is more than 18 years ahead; nothing was recorded.")
        if fourteen_or_under and band is not AgeBand.FOURTEEN_OR_UNDER:
            raise BadInput("By that day the person is older than 14; nothing was recorded.")
        return band

    def _state(
        self,
        writing: Writing,
        subject_id: str,
        band: AgeBand,
        turns_18_on: date | None,
        *,
        evidence: Evidence | None = None,
    ) -> None:
        payload: dict[str, Any] = {"subject": subject_id, "band": band.value}
        if turns_18_on is not None:
            payload["turns_18_on"] = turns_18_on.isoformat()
        sealed = None
        if evidence is not None:
            payload["evidence_digest"] = evidence.digest
            sealed = self._vault.seal_column(
                subject_id, evidence.content, context=f"evidence:{evidence.digest}"
            )
        self._ledger.append(writing, AGE_STATED, payload, subject_id=subject_id, sealed=sealed)

    def _lift(self, writing: Writing, subject_id: str) -> int:
        rows = freezes.in_force(writing.connection, cause=MINOR, scope_id=subject_id)
        lift_within(writing, self._keys, self._ledger, rows, now=self._clock())
        cancelled = orders.cancel_waiting_orders(
            writing.connection,
            Scope.SUBJECT,
            subject_id,
            ground=ErasureGround.NO_GUARDIAN_CONSENT,
        )
        recorded = RecordedErasures(self._keys.database)
        for order_id in cancelled:
            writing.after_commit.append(
                partial(recorded.record_state, order_id, OrderState.CANCELLED)
            )
        return len(rows)
