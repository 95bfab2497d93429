"""The gate: asks the decision and the freezes, inside the caller's transaction (invariant 3, 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from models.consent.decision import Decision, Question, Record, decide, valid_grants
from models.consent.disclosure import Ground, Handover, HandoverDecision, decide_handover
from models.consent.facts import Freeze
from models.consent.legal_bases import LegalUse, basis_for
from models.consent.rules import ConsentRules
from models.schema.errors import ConsentRefused, Frozen, NotFound, RoleRefused
from models.schema.purposes import Purpose
from storage.catalogue import freezes, people
from storage.catalogue.artefacts import Artefact, ArtefactState, artefact_by_id
from storage.catalogue.disclosures import disclosure_by_id, recipient_by_id
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import StoredRow
from storage.catalogue.people import Subject
from storage.catalogue.snapshots import (
    Member,
    digest_of,
    frozen_uploads,
    lock_people,
    members_of,
    snapshot_by_id,
)
from storage.catalogue.uploads import Upload, UploadState, upload_by_id
from storage.clock import Clock, utc_now
from storage.database import Database, Writing
from storage.key_store import KeyStore
from storage.recorded_head import require_held
from storage.records import record_of, statements_of

_IN_SERVICE: Final = frozenset({ArtefactState.REGISTERED, ArtefactState.TAINTED})


class Gate:
    """Says yes or raises; it never remembers an answer."""

    def __init__(
        self, *, region: str, rules: ConsentRules | None = None, clock: Clock = utc_now
    ) -> None:
        self.region = region
        self.rules = rules or ConsentRules()
        self._clock = clock

    def record(self, connection: Connection, subject: Subject, *, upload: Upload | None) -> Record:
        """Everything the decision reads about a person, or about one of their uploads."""
        return record_of(
            connection, subject, upload_id=upload.id if upload else None, rules=self.rules
        )

    def question(self, purpose: Purpose, *, upload: Upload | None) -> Question:
        """The use of an upload, or (None) of what rests on the newest consent, here and now."""
        return Question(
            purpose=purpose,
            at=self._clock(),
            upload_purposes=upload.purposes if upload else None,
            basis=upload.basis.get(purpose) if upload else None,
            identified=upload is None or upload.state is not UploadState.NEEDS_IDENTIFICATION,
            region=self.region,
        )

    def decisions(
        self,
        connection: Connection,
        subject: Subject,
        purposes: Iterable[Purpose],
        *,
        upload: Upload | None,
    ) -> list[Decision]:
        """The decision for each purpose, about one upload or (None) about the person alone."""
        record = self.record(connection, subject, upload=upload)
        return [
            decide(record, self.question(purpose, upload=upload)) for purpose in sorted(purposes)
        ]

    def require(self, connection: Connection, upload: Upload, purposes: frozenset[Purpose]) -> None:
        """Pass when every purpose is allowed for this upload now.

        Takes the subject's and account's rows FOR SHARE, so that a freeze and this check, and what
        the caller writes with it, exclude each other. Raises ConsentRefused.
        """
        people.lock(connection, upload.subject_id, exclusively=False)
        subject = people.subject_by_id(connection, upload.subject_id)
        if subject is None:
            raise ConsentRefused("The person behind this upload is not known any more.")
        refused = [
            decision
            for decision in self.decisions(connection, subject, purposes, upload=upload)
            if not decision.allowed
        ]
        if refused or not purposes:
            raise refusal(refused)

    def require_members(
        self,
        connection: Connection,
        members: Iterable[Member],
        purpose: Purpose,
        *,
        avatar_id: str | None,
    ) -> None:
        """Pass when the purpose is allowed now for everything that a training reads.

        Asks for each upload, under the consent that the snapshot rests on: what was withdrawn and
        granted again since stays refused. Takes everybody's rows FOR SHARE, as `require` does.
        Raises ConsentRefused.
        """
        of_people: dict[str, set[tuple[str, int]]] = {}
        for member in members:
            rests = of_people.setdefault(member.subject_id, set())
            rests.add((member.upload_id, member.grant_sequence))
        if not of_people:
            raise ConsentRefused("Nothing is left of what this was made of.")
        lock_people(connection, of_people)
        refused: list[Decision] = []
        for subject_id, rests in sorted(of_people.items()):
            subject = people.subject_by_id(connection, subject_id)
            if subject is None:
                raise ConsentRefused("A person behind this is not known any more.")
            record = self.record(connection, subject, upload=None)
            for upload_id, sequence in sorted(rests):
                upload = upload_by_id(connection, upload_id)
                if upload is None or upload.state is not UploadState.ADMITTED:
                    raise RoleRefused("What has not been admitted is not trained on.")
                over = freezes.freezes_over(
                    connection,
                    account_id=subject.account_id,
                    subject_id=subject_id,
                    upload_id=upload_id,
                    avatar_id=avatar_id,
                )
                question = replace(self.question(purpose, upload=upload), basis=sequence)
                decision = decide(replace(record, freezes=over), question)
                if not decision.allowed:
                    refused.append(decision)
        if refused:
            raise refusal(refused)

    def require_artefact(self, connection: Connection, artefact_id: str) -> Artefact:
        """The artefact, if it may be read or generated with now (invariant 8).

        One of one person: while its purpose is allowed for all that it was made of, under the
        consent it was made under, and nothing of that was erased. A shared base: also once a person
        was taken out of it, until the day by which it is retrained without them. Raises
        ConsentRefused, Frozen.
        """
        artefact = self._in_service(connection, artefact_id)
        if artefact.subject_id is not None:
            self.require_snapshot(connection, artefact)
        return artefact

    def require_snapshot(self, connection: Connection, artefact: Artefact) -> list[Member]:
        """What an artefact is made of, if that is whole and may be used for it now.

        Raises ConsentRefused, Frozen.
        """
        snapshot = snapshot_by_id(connection, artefact.snapshot_id or "")
        members = members_of(connection, artefact.snapshot_id or "")
        if snapshot is None or digest_of(members) != snapshot.digest:
            raise Frozen("Something that this was made of was erased.")
        self.require_members(connection, members, artefact.purpose, avatar_id=artefact.avatar_id)
        return members

    def _in_service(self, connection: Connection, artefact_id: str) -> Artefact:
        artefact = artefact_by_id(connection, artefact_id)
        if artefact is None or artefact.state not in _IN_SERVICE:
            raise Frozen(
                "This model is not in use: its training has not ended, or it was erased.",
                remedy="`likeness avatar show` lists what an avatar has.",
            )
        if artefact.state is ArtefactState.TAINTED and (
            artefact.retrain_by is None or artefact.retrain_by <= self._clock()
        ):
            raise Frozen(
                "Somebody was taken out of this shared base, and the day by which it was to be "
                "retrained without them is over.",
                remedy="Train a base anew; what was erased is not in it.",
            )
        return artefact

    def require_standing(self, connection: Connection, row: StoredRow) -> None:
        """Pass while at least one purpose of the object was neither withdrawn nor stopped.

        For asking whose voice or face it is, which needs no purpose. Raises ConsentRefused, Frozen.
        """
        people.lock(connection, row.subject_id or "", exclusively=False)
        subject = people.subject_by_id(connection, row.subject_id or "")
        if subject is None:
            raise ConsentRefused("The person behind this object is not known any more.")
        record = record_of(connection, subject, upload_id=row.upload_id, rules=self.rules)
        standing = {
            purpose: sequence
            for purpose, sequence in row.basis.items()
            if any(fact.sequence == sequence for fact in valid_grants(record.facts, purpose))
        }
        if not standing:
            raise ConsentRefused("Every consent that this object rests on was withdrawn.")
        self.require_unfrozen(
            connection, subject_id=subject.id, upload_id=row.upload_id, basis=standing
        )

    def require_legal_basis(self, connection: Connection, row: StoredRow, use: LegalUse) -> None:
        """Pass under a recorded legal basis that names this use and this kind (Policy P06)."""
        people.lock(connection, row.subject_id or "", exclusively=False)
        bases = statements_of(connection, row.subject_id or "").legal_bases
        basis = basis_for(bases, use, self._clock())
        if basis is None or row.kind not in basis.covers:
            raise ConsentRefused(f"No recorded legal basis permits to {use} this object.")

    def require_disclosure(
        self, connection: Connection, row: StoredRow, disclosure_id: str
    ) -> None:
        """Pass for what a recorded disclosure names, if it is still allowed now (Policy P08a)."""
        people.lock(connection, row.subject_id or "", exclusively=False)
        disclosure = disclosure_by_id(connection, disclosure_id)
        if (
            disclosure is None
            or disclosure.subject_id != row.subject_id
            or row.kind not in disclosure.kinds
        ):
            raise ConsentRefused("No recorded disclosure names this object.")
        decision = self.handover(
            connection,
            subject_id=disclosure.subject_id,
            recipient_id=disclosure.recipient_id,
            ground=disclosure.basis,
            purpose=disclosure.purpose,
            kinds=disclosure.kinds,
            document_digest=disclosure.document_digest,
        )
        if not decision.allowed:
            raise handover_refusal(decision)

    def handover(
        self,
        connection: Connection,
        *,
        subject_id: str,
        recipient_id: str,
        ground: Ground,
        purpose: Purpose,
        kinds: frozenset[str],
        document_digest: str | None,
    ) -> HandoverDecision:
        """Decide whether something of a person may leave now; raises NotFound."""
        subject = people.subject_by_id(connection, subject_id)
        recipient = recipient_by_id(connection, recipient_id)
        if subject is None or recipient is None:
            raise NotFound("The person or the recipient is not known here.")
        return decide_handover(
            self.record(connection, subject, upload=None),
            statements_of(connection, subject_id).legal_bases,
            Handover(
                recipient=recipient,
                ground=ground,
                purpose=purpose,
                kinds=kinds,
                at=self._clock(),
                house_region=self.region,
                document_digest=document_digest,
            ),
        )

    def require_unfrozen(
        self,
        connection: Connection,
        *,
        subject_id: str,
        upload_id: str | None,
        basis: Mapping[Purpose, int],
    ) -> None:
        """The fence that every further piece asks: no freeze covers what is being read.

        `basis` maps the purposes in use to the grants they rest on. Raises Frozen.
        """
        subject = people.subject_by_id(connection, subject_id)
        if subject is None:
            raise Frozen("The person behind this object is not known any more.")
        in_force = freezes.freezes_over(
            connection,
            account_id=subject.account_id,
            subject_id=subject_id,
            upload_id=upload_id,
        )
        _refuse_covered(in_force, basis)

    def require_artefact_unfrozen(
        self, connection: Connection, artefact_id: str, basis: Mapping[Purpose, int]
    ) -> None:
        """The same fence for what is of an artefact: over its person, avatar and uploads.

        Raises Frozen.
        """
        artefact = self._in_service(connection, artefact_id)
        if artefact.subject_id is not None:
            self.require_maker_unfrozen(connection, artefact, basis)

    def require_maker_unfrozen(
        self, connection: Connection, artefact: Artefact, basis: Mapping[Purpose, int]
    ) -> None:
        """Pass while no freeze covers the person, the avatar or an upload behind an artefact."""
        subject = people.subject_by_id(connection, artefact.subject_id or "")
        if subject is None:
            raise Frozen("The person behind this object is not known any more.")
        scopes = [(Scope.SUBJECT, subject.id)]
        if subject.account_id is not None:
            scopes.append((Scope.ACCOUNT, subject.account_id))
        if artefact.avatar_id is not None:
            scopes.append((Scope.AVATAR, artefact.avatar_id))
        frozen = frozen_uploads(connection, artefact.snapshot_id or "")
        scopes += [(Scope.UPLOAD, upload_id) for upload_id in sorted(frozen)]
        _refuse_covered(freezes.freezes_in(connection, scopes), basis)

    @contextmanager
    def current(self, catalogue: Database, keys: KeyStore) -> Iterator[Writing]:
        """A writing transaction that begins by refusing a catalogue older than the key store."""
        recorded = keys.ledger_head()
        with catalogue.writing() as writing:
            require_held(writing.connection, recorded)
            yield writing


def _refuse_covered(in_force: Sequence[Freeze], basis: Mapping[Purpose, int]) -> None:
    if any(freeze.purpose is None for freeze in in_force):
        raise Frozen("All use was stopped while it was running.")
    for freeze in in_force:
        for purpose, sequence in basis.items():
            if freeze.purpose is purpose and sequence < freeze.sequence:
                raise Frozen(f"Use for {purpose.value} was stopped while it was running.")


def refusal(refused: Iterable[Decision]) -> ConsentRefused:
    """The error that tells every reason."""
    reasons = [
        {"purpose": decision.purpose.value, **reason.model_dump()}
        for decision in refused
        for reason in decision.reasons
    ]
    if not reasons:
        return ConsentRefused("No purpose was named, so nothing is allowed.")
    told = " ".join(f"{reason['purpose']}: {reason['english']}" for reason in reasons)
    return ConsentRefused(f"Consent does not allow this. {told}", reasons=reasons)


def handover_refusal(decision: HandoverDecision) -> ConsentRefused:
    """The error that tells why something may not leave."""
    told = " ".join(reason.english for reason in decision.reasons)
    return ConsentRefused(
        f"This may not leave. {told}",
        reasons=[reason.model_dump() for reason in decision.reasons],
    )
