"""Likeness from Python: what notebooks and services may call, and nothing else.

    from likeness import Likeness

    house = Likeness()
    (upload,) = house.ingest(
        "talk.mp4", subject="s-17", purposes=["voice_cloning"], evidence="signed form"
    )
    house.consent("s-17")
    house.withdraw("s-17", "voice_cloning")

Where things are kept is read from the environment (LIKENESS_HOME and the others in
`flows/settings.py`), as for the command line. Every call meets the same gate, and raises the
exceptions of `models.schema.errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import ordering, statement
from flows.declaring import grant_from, purposes_from
from flows.exporting import export_person
from flows.opening import storage
from flows.report.serving import report_bytes
from flows.review import deciding
from flows.rights import records
from flows.settings import settings
from flows.uploading import Request, told, upload_and_process
from storage.registers.consents import Grant

__all__ = ["Likeness"]


class Likeness:
    """The house, as one object."""

    def ingest(
        self,
        *files: str | Path,
        subject: str,
        purposes: Sequence[str],
        evidence: str,
        authorised_by: str | Path | None = None,
        guardian: str | None = None,
        account: str | None = None,
        transcript: str | None = None,
    ) -> list[dict[str, Any]]:
        """Upload and process recordings; one result a file, with the command line's JSON fields.

        `evidence` is how the person agreed, in words, or a document's path. Without
        `authorised_by` (a document's path) or a minor's `guardian` (your own id of them), the
        person uploads their own recording.
        """
        grant = _act(evidence, authorised_by, guardian, explicit=False)
        requests = [
            Request(
                file=Path(file),
                subject=subject,
                account=account,
                purposes=purposes_from(list(purposes)),
                grant=grant,
                transcript=transcript,
            )
            for file in files
        ]
        return [result.fields for result in upload_and_process(requests, show_progress=False)]

    def upload(self, upload: str) -> dict[str, Any]:
        """What one upload became, with the ids and kinds of the objects made of it."""
        house = storage()
        fields = dict(told(house.uploads.by_id(upload)).fields)
        fields["objects"] = [
            {"object": row.id, "kind": row.kind, "bytes": row.plain_bytes}
            for row in house.uploads.objects_of(upload)
        ]
        return fields

    def report(self, upload: str) -> bytes:
        """An upload's report, an HTML page; the person's own access, on record."""
        return report_bytes(storage(), upload)

    def consent(self, subject: str) -> dict[str, dict[str, Any]]:
        """For each purpose whether it is allowed now, and why not."""
        return {
            decision.purpose.value: {
                "allowed": decision.allowed,
                "reasons": [reason.code for reason in decision.reasons],
            }
            for decision in storage().consents.decisions(subject)
        }

    def grant(
        self,
        subject: str,
        purpose: str,
        *,
        evidence: str,
        authorised_by: str | Path | None = None,
        guardian: str | None = None,
    ) -> None:
        """Record consent to a purpose; after a withdrawal the evidence must be new."""
        act = _act(evidence, authorised_by, guardian, explicit=True)
        storage().consents.grant(subject, purposes_from([purpose]), act)

    def refuse(self, subject: str, purpose: str) -> None:
        """Record a refusal; every use for the purpose stops with this call."""
        (each,) = purposes_from([purpose])
        storage().consents.refuse(subject, each)

    def withdraw(self, subject: str, purpose: str) -> str | None:
        """Withdraw consent; use stops with this call. Returns the erasure order that is owed."""
        (each,) = purposes_from([purpose])
        return storage().consents.withdraw(subject, each).order

    def close_account(self, account: str) -> dict[str, Any]:
        """Close an account for ever: every use stops with this call, and an erasure is owed.

        Needs no orchestrator. Returns the `order`, its `state` and `due_at`; asked again, the same
        (Policy P18). An account that was never seen is closed all the same.
        """
        return self.erase(account=account, ground="account_closed", carry_out=False)

    def erase(
        self,
        *,
        subject: str | None = None,
        account: str | None = None,
        avatar: str | None = None,
        upload: str | None = None,
        purpose: str | None = None,
        ground: str = "requested",
        keep_shared: bool = False,
        carry_out: bool = True,
    ) -> dict[str, Any]:
        """Erase everything that came of one of these; use stops before this returns.

        With `carry_out` the order is carried out to its receipt, else by the sweep or the event.
        """
        request = ordering.request_from(
            ordering.scope_from(subject=subject, account=account, avatar=avatar, upload=upload),
            purpose=purpose,
            ground=ground,
            keep_shared=keep_shared,
        )
        ordered = ordering.order_erasure(request, now=carry_out)
        if ordered.fault is not None:
            raise ordered.fault
        return ordering.order_fields(ordered.standing)

    def receipt(self, order: str) -> str:
        """The signed receipt of an order that is done, as JSON; anybody can verify it."""
        return ordering.receipt_file(order)

    def cost(self, subject: str, purpose: str) -> dict[str, Any]:
        """What refusing or withdrawing a purpose would stop and delete, and by when."""
        return records.cost(storage().costs.cost_of_stopping(subject, purposes_from([purpose])))

    def export(self, subject: str, *, authenticated_by: str, out: str | Path) -> dict[str, Any]:
        """Write everything held about a person, decrypted, to a new or empty folder.

        The person's own access, under a request of its own; returns the command line's fields.
        """
        return export_person(subject, authenticated_by, Path(out))

    def waiting(self) -> list[dict[str, Any]]:
        """Uploads that wait for somebody to say whose voice or face it is: counts and reasons."""
        return deciding.waiting()

    def approve(self, upload: str, *, by: str, reason: str) -> dict[str, Any]:
        """Say on record that the main person is the one it was uploaded for, and process it."""
        return deciding.approve(upload, by=by, reason=reason, show_progress=False).fields

    def reject(self, upload: str, *, by: str, reason: str) -> dict[str, Any]:
        """Say on record that it is somebody else; everything of the upload is erased."""
        return deciding.reject(upload, by=by, reason=reason).fields

    def challenge(
        self, subject: str, purpose: str, *, language: str = "en", link: bool = False
    ) -> dict[str, Any]:
        """A one-time sentence for the person to read aloud: `challenge`, `sentence`, `expires`;
        with `link` also a `token`, by which it can be answered without the person's id."""
        (each,) = purposes_from([purpose])
        issued = statement.challenge(storage(), subject, each, language, settings(), link=link)
        return statement.issued_fields(issued)

    def verify(
        self,
        recording: str | Path,
        *,
        subject: str | None = None,
        challenge: str | None = None,
        token: str | None = None,
    ) -> dict[str, Any]:
        """Whether a recording says the sentence in the person's voice: `accepted`, `reasons`.

        An accepted one is recorded as consent; nothing is kept of any other.
        """
        verified = statement.verify(
            storage(),
            Path(recording),
            settings(),
            subject=subject,
            challenge_id=challenge,
            token=token,
        )
        return statement.fields_of(verified)


def _act(
    evidence: str, authorised_by: str | Path | None, guardian: str | None, *, explicit: bool
) -> Grant:
    return grant_from(
        evidence,
        himself=authorised_by is None and guardian is None,
        authorised_by=None if authorised_by is None else Path(authorised_by),
        guardian=guardian,
        explicit=explicit,
    )
