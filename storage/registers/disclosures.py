"""Recipients and disclosures: the register of whatever leaves (Policy P08a-d, P13)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from models.consent.disclosure import Ground, HandoverDecision, Recipient, RecipientKind
from models.consent.facts import EvidenceLevel
from models.schema.errors import BadInput, NotFound
from models.schema.kinds import KINDS
from models.schema.purposes import Purpose
from storage.catalogue import disclosures, freezes
from storage.catalogue.disclosures import Disclosure
from storage.catalogue.freezes import Scope
from storage.foundation import Foundation
from storage.freezing import Stop, Stopped, freeze_within, lift_within
from storage.gate import handover_refusal
from storage.identifiers import random_id
from storage.registers.evidence import Evidence
from storage.registers.subjects import Subjects

TRANSFER: Final = "transfer"
_NAME_CHARACTERS_MOST: Final = 200


class Disclosures:
    """Registers recipients, decides and records what leaves to them."""

    def __init__(self, base: Foundation, *, subjects: Subjects) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._subjects = subjects
        self._retention = base.retention
        self._clock = base.clock

    # --- recipients ---------------------------------------------------------------------------

    def register(
        self,
        name: str,
        *,
        kind: RecipientKind,
        region: str,
        purposes: frozenset[Purpose],
        covers: frozenset[str],
        agreement: Evidence | None,
        expires_at: datetime | None,
    ) -> Recipient:
        """Register a recipient; raises BadInput for what is missing or taken."""
        if not name.strip() or len(name) > _NAME_CHARACTERS_MOST:
            raise BadInput(
                f"The recipient's name is empty or longer than {_NAME_CHARACTERS_MOST} characters."
            )
        if agreement is not None:
            _require_document(agreement, "The agreement")
        _require_kinds(covers)
        if expires_at is not None and expires_at <= self._clock():
            raise BadInput("The agreement would be over already; nothing was recorded.")
        recipient = Recipient(
            id=random_id(),
            kind=kind,
            region=region,
            purposes=purposes,
            covers=covers,
            agreement_digest=agreement.digest if agreement else None,
            expires_at=expires_at,
        )
        with self._gate.current(self._catalogue, self._keys) as writing:
            if disclosures.recipient_named(writing.connection, name) is not None:
                raise BadInput("A recipient of this name is registered already.")
            sequence = self._ledger.append(
                writing, "recipient_registered", _told(recipient), subject_id=None
            )
            disclosures.add_recipient(
                writing.connection,
                recipient,
                name=name,
                ledger_sequence=sequence,
                registered_at=self._clock(),
            )
        return recipient

    def bind(self, name: str, agreement: Evidence) -> int:
        """Record the agreement that binds a recipient.

        Ends the stop of a transfer to a new holder; returns how many people's use goes on by it.
        """
        _require_document(agreement, "The agreement")
        recipient = self.recipient(name)
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            disclosures.bind_recipient(writing.connection, recipient.id, agreement.digest)
            self._ledger.append(
                writing,
                "recipient_bound",
                {"recipient": recipient.id, "agreement_digest": agreement.digest},
                subject_id=None,
            )
            lifted = freezes.in_force(writing.connection, cause=TRANSFER, awaits=recipient.id)
            lift_within(writing, self._keys, self._ledger, lifted, now=now)
        return len(lifted)

    def end(self, name: str) -> None:
        """End a recipient's registration: from now on nothing leaves to it."""
        recipient = self.recipient(name)
        with self._catalogue.writing() as writing:
            if disclosures.end_recipient(writing.connection, recipient.id, at=self._clock()):
                self._ledger.append(
                    writing, "recipient_ended", {"recipient": recipient.id}, subject_id=None
                )

    def recipient(self, name: str) -> Recipient:
        """The registered recipient; raises NotFound."""
        with self._catalogue.reading() as connection:
            found = disclosures.recipient_named(connection, name)
        if found is None:
            raise NotFound(
                "No recipient of this name is registered.",
                remedy="`likeness disclose recipients` lists them; `disclose register` adds one.",
            )
        return found

    def recipients(self) -> list[tuple[str, Recipient]]:
        """Every recipient with its name."""
        with self._catalogue.reading() as connection:
            return disclosures.all_recipients(connection)

    # --- what leaves --------------------------------------------------------------------------

    def decide(
        self,
        external_subject: str,
        recipient: str,
        *,
        ground: Ground,
        purpose: Purpose,
        kinds: frozenset[str],
        document: Evidence | None,
    ) -> HandoverDecision:
        """Whether it may leave now; records nothing."""
        _require_kinds(kinds)
        subject = self._subjects.known(external_subject)
        known = self.recipient(recipient)
        with self._catalogue.reading() as connection:
            return self._gate.handover(
                connection,
                subject_id=subject.id,
                recipient_id=known.id,
                ground=ground,
                purpose=purpose,
                kinds=kinds,
                document_digest=document.digest if document else None,
            )

    def disclose(
        self,
        external_subject: str,
        recipient: str,
        *,
        ground: Ground,
        purpose: Purpose,
        kinds: frozenset[str],
        document: Evidence | None,
    ) -> Disclosure:
        """Decide and record a disclosure; what it names may then be opened under its id.

        Raises ConsentRefused with every reason; the refusal is on record too.
        """
        _require_kinds(kinds)
        if document is not None:
            _require_document(document, "The document")
        subject = self._subjects.known(external_subject)
        known = self.recipient(recipient)
        asked: dict[str, Any] = {
            "subject": subject.id,
            "recipient": known.id,
            "ground": ground.value,
            "purpose": purpose.value,
            "kinds": sorted(kinds),
        }
        if document is not None:
            asked["document_digest"] = document.digest
        with self._gate.current(self._catalogue, self._keys) as writing:
            decision = self._gate.handover(
                writing.connection,
                subject_id=subject.id,
                recipient_id=known.id,
                ground=ground,
                purpose=purpose,
                kinds=kinds,
                document_digest=document.digest if document else None,
            )
            sealed = (
                None
                if document is None
                else self._vault.seal_column(
                    subject.id, document.content, context=f"evidence:{document.digest}"
                )
            )
            event = "disclosure" if decision.allowed else "disclosure_refused"
            more = (
                {"basis": decision.basis}
                if decision.allowed
                else {"reasons": [reason.code for reason in decision.reasons]}
            )
            disclosure = Disclosure(
                id=random_id(),
                subject_id=subject.id,
                recipient_id=known.id,
                basis=ground,
                purpose=purpose,
                kinds=kinds,
                document_digest=document.digest if document else None,
                ledger_sequence=self._ledger.append(
                    writing, event, {**asked, **more}, subject_id=subject.id, sealed=sealed
                ),
                created_at=self._clock(),
            )
            if decision.allowed:
                disclosures.add_disclosure(writing.connection, disclosure)
        if not decision.allowed:
            raise handover_refusal(decision)
        return disclosure

    def of_subject(self, subject_id: str) -> list[tuple[str, Disclosure]]:
        """What of a person was disclosed, with each recipient's name (Policy P16)."""
        with self._catalogue.reading() as connection:
            return disclosures.disclosures_of(connection, subject_id)

    def begin_transfer(self, external_subject: str, recipient: str) -> Stopped:
        """Stop a person's use until the new holder is bound (Policy P08c).

        Raises BadInput for a recipient that is no holder, or is bound already.
        """
        known = self.recipient(recipient)
        if known.kind is not RecipientKind.HOLDER or known.agreement_digest is not None:
            raise BadInput(
                "A transfer goes to a registered holder that is not bound yet.",
                remedy="Register it with --kind holder and without --agreement.",
            )
        subject = self._subjects.known(external_subject)
        stop = Stop(
            scope=Scope.SUBJECT,
            scope_id=subject.id,
            purpose=None,
            cause=TRANSFER,
            ground=None,
            payload={"subject": subject.id, "recipient": known.id},
            awaits=known.id,
        )
        with self._gate.current(self._catalogue, self._keys) as writing:
            return freeze_within(
                writing,
                self._keys,
                self._ledger,
                stop,
                now=self._clock(),
                retention=self._retention,
            )


def _told(recipient: Recipient) -> dict[str, Any]:
    fields = recipient.model_dump(mode="json", exclude={"ended_at"}, exclude_none=True)
    fields["purposes"], fields["covers"] = sorted(fields["purposes"]), sorted(fields["covers"])
    return fields


def _require_document(evidence: Evidence, what: str) -> None:
    if evidence.level.rank < EvidenceLevel.DOCUMENT.rank or not evidence.content.strip():
        raise BadInput(f"{what} must be a document.", remedy="Name its file.")


def _require_kinds(kinds: frozenset[str]) -> None:
    if not kinds <= set(KINDS):
        raise BadInput(
            "A kind of object was named that does not exist.",
            remedy=f"The kinds are: {', '.join(KINDS)}.",
        )
