"""The gate: asks the decision and the freezes, inside the caller's transaction (invariant 3, 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from models.consent.decision import Decision, Question, decide
from models.schema.errors import ConsentRefused, DoorShut, Frozen, RoleRefused
from models.schema.purposes import Purpose
from storage.catalogue import freezes, people
from storage.catalogue.decisions import LEDGER_TIP
from storage.catalogue.people import Subject
from storage.catalogue.uploads import Upload
from storage.ledger import Ledger


class Gate:
    """Says yes or raises; it never remembers an answer."""

    def __init__(self, ledger: Ledger, *, region: str) -> None:
        self._ledger = ledger
        self._region = region

    def decisions(
        self,
        connection: Connection,
        subject: Subject,
        purposes: Iterable[Purpose],
        *,
        upload: Upload | None,
    ) -> list[Decision]:
        """The decision for each purpose, about one upload or (None) about the person alone."""
        facts = self._ledger.facts(connection, subject.id)
        in_force = freezes.freezes_over(
            connection,
            account_id=subject.account_id,
            subject_id=subject.id,
            upload_id=upload.id if upload else None,
        )
        return [
            decide(
                facts,
                in_force,
                Question(
                    purpose=purpose,
                    upload_purposes=upload.purposes if upload else None,
                    basis=upload.basis.get(purpose) if upload else None,
                ),
            )
            for purpose in sorted(purposes)
        ]

    def require(self, connection: Connection, upload: Upload, purposes: frozenset[Purpose]) -> None:
        """Pass when every purpose is allowed for this upload now.

        Takes the subject's and account's rows FOR SHARE, so that a freeze and this check, and what
        the caller writes with it, exclude each other. Raises ConsentRefused, Frozen, RoleRefused.
        """
        people.lock(connection, upload.subject_id, exclusively=False)
        subject = people.subject_by_id(connection, upload.subject_id)
        if subject is None:
            raise ConsentRefused("The person behind this upload is not known any more.")
        if subject.region != self._region:
            raise RoleRefused(
                f"The recording belongs to region '{subject.region}', this house is in "
                f"'{self._region}' (Policy P13).",
                remedy="Use the deployment of the recording's own region.",
            )
        refused = [
            decision
            for decision in self.decisions(connection, subject, purposes, upload=upload)
            if not decision.allowed
        ]
        if refused or not purposes:
            raise refusal(refused)

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
        for freeze in in_force:
            for purpose, sequence in basis.items():
                if freeze.purpose is None or (
                    freeze.purpose is purpose and sequence < freeze.sequence
                ):
                    raise Frozen(f"Use for {purpose.value} was stopped while it was running.")

    @staticmethod
    def require_current(connection: Connection, recorded_head: tuple[int, str]) -> None:
        """Refuse while the catalogue is older than what the key store recorded (invariant 5).

        `recorded_head` must have been read before the caller's transaction began.
        """
        tip = connection.execute(select(LEDGER_TIP.c.sequence)).scalar() or 0
        if tip < recorded_head[0]:
            raise DoorShut(
                f"The catalogue knows {tip} decisions, the key store recorded {recorded_head[0]}: "
                "the catalogue was restored from an older copy."
            )


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
