"""Recording cases in which the law allows something without consent (Policy P06)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from models.consent.facts import EvidenceLevel
from models.consent.legal_bases import CASES, LegalBasis, LegalUse
from models.schema.errors import BadInput, NotFound
from models.schema.kinds import KINDS
from storage.catalogue import people
from storage.foundation import Foundation
from storage.records import LEGAL_BASIS, LEGAL_BASIS_ENDED, statements_of
from storage.registers.evidence import Evidence
from storage.registers.subjects import Subjects

LONGEST: Final = timedelta(days=3 * 366)
"""A basis that is still needed after this is recorded anew; none is for ever."""


class LegalBases:
    """Records, ends and lists legal bases."""

    def __init__(self, base: Foundation, *, subjects: Subjects) -> None:
        self._catalogue = base.catalogue
        self._vault = base.vault
        self._ledger = base.ledger
        self._subjects = subjects
        self._clock = base.clock

    def record(
        self,
        external_subject: str,
        *,
        case: str,
        invoked_by: str,
        document: Evidence,
        permits: frozenset[LegalUse],
        covers: frozenset[str],
        expires_at: datetime,
    ) -> LegalBasis:
        """Record a basis: who invoked it, the document, what it permits, until when.

        `invoked_by` is kept sealed. Raises BadInput for whatever is missing: a basis is never a
        default and never silent.
        """
        now = self._clock()
        if case not in CASES:
            raise BadInput(
                "There is no such case.", remedy="The cases of article I.3 are a to l (Policy P06)."
            )
        if not invoked_by.strip():
            raise BadInput("Who invokes the legal basis was not said.")
        if document.level.rank < EvidenceLevel.DOCUMENT.rank or not document.content.strip():
            raise BadInput(
                "A legal basis rests on a document.", remedy="Name the file with --document."
            )
        if not permits:
            raise BadInput("A legal basis must name what it permits.")
        if not covers <= set(KINDS):
            raise BadInput(
                "A kind of object was named that does not exist.",
                remedy=f"The kinds are: {', '.join(KINDS)}.",
            )
        if not now < expires_at <= now + LONGEST:
            raise BadInput(
                f"A legal basis ends by itself, within {LONGEST.days} days; nothing was recorded."
            )
        subject = self._subjects.known(external_subject)
        payload = {
            "subject": subject.id,
            "case": case,
            "document_digest": document.digest,
            "permits": sorted(use.value for use in permits),
            "covers": sorted(covers),
            "recorded_at": now.isoformat(),
            "expires_at": expires_at.isoformat(),
        }
        sealed = self._vault.seal_column(
            subject.id,
            len(document.content).to_bytes(4, "big") + document.content + invoked_by.encode(),
            context=f"evidence:{document.digest}",
        )
        with self._catalogue.writing() as writing:
            sequence = self._ledger.append(
                writing, LEGAL_BASIS, payload, subject_id=subject.id, sealed=sealed
            )
        return LegalBasis.model_validate(
            {
                **{name: payload[name] for name in LegalBasis.model_fields if name in payload},
                "sequence": sequence,
            }
        )

    def end(self, external_subject: str, sequence: int) -> None:
        """End a basis before its time; raises NotFound where the person has none of this number."""
        subject = self._subjects.known(external_subject)
        with self._catalogue.writing() as writing:
            people.lock(writing.connection, subject.id, exclusively=True)
            bases = statements_of(writing.connection, subject.id).legal_bases
            if not any(basis.sequence == sequence and not basis.ended for basis in bases):
                raise NotFound("The person has no such legal basis that still runs.")
            self._ledger.append(
                writing,
                LEGAL_BASIS_ENDED,
                {"subject": subject.id, "basis": sequence},
                subject_id=subject.id,
            )

    def of(self, external_subject: str) -> list[LegalBasis]:
        """Every basis recorded about a person, ended ones included."""
        subject = self._subjects.known(external_subject)
        with self._catalogue.reading() as connection:
            return statements_of(connection, subject.id).legal_bases
