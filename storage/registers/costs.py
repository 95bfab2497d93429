"""What a refusal or withdrawal would stop and delete, told before it is done (Policy P07)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.consent.decision import valid_grants
from models.consent.facts import POSITIVE, Fact
from models.schema import deadlines
from models.schema.errors import NotFound
from models.schema.kinds import KINDS
from models.schema.purposes import Purpose
from storage.catalogue import runs
from storage.catalogue.objects import StoredRow, all_objects_of_subject
from storage.catalogue.uploads import Upload, UploadState, uploads_of
from storage.foundation import Foundation
from storage.records import statements_of
from storage.registers.subjects import Subjects

_KEPT = frozenset(
    {
        UploadState.RECEIVING,
        UploadState.RECEIVED,
        UploadState.ADMITTED,
        UploadState.NEEDS_IDENTIFICATION,
    }
)
"""States of an upload of which something is held, or is about to be."""


@dataclass(frozen=True)
class Amount:
    """How many objects of one kind, and their plain bytes in all."""

    kind: str
    count: int
    bytes: int


@dataclass(frozen=True)
class Cost:
    """What stopping some purposes costs, at one moment."""

    purposes: frozenset[Purpose]
    granted: frozenset[Purpose]
    """Those of them that were ever agreed to; only for these an erasure is owed."""
    runs: int
    """Runs under way that stop at once."""
    deleted: Sequence[Amount]
    deleted_uploads: int
    narrowed: Sequence[Amount]
    """What stays, because another purpose that is still agreed to needs it."""
    narrowed_uploads: int
    kept_for: frozenset[Purpose]
    """The purposes that what is narrowed stays for."""
    due_at: datetime | None
    """By when the deletion must be done (Policy P19); None where nothing is owed."""


class Costs:
    """Reads what a switch would cost; changes nothing."""

    def __init__(self, base: Foundation, *, subjects: Subjects) -> None:
        self._catalogue = base.catalogue
        self._subjects = subjects
        self._retention = base.retention
        self._clock = base.clock

    def cost_of_stopping(self, external_subject: str, purposes: frozenset[Purpose]) -> Cost:
        """What refusing or withdrawing these purposes, all at once, would stop and delete.

        Nothing for a person who is not known. What an earlier withdrawal owes already is not
        counted again.
        """
        try:
            subject = self._subjects.known(external_subject)
        except NotFound:
            return cost([], [], [], 0, purposes, due_at=None)
        with self._catalogue.reading() as connection:
            facts = statements_of(connection, subject.id).facts
            open_runs = runs.open_runs_of_subject(connection, subject.id)
            return cost(
                facts,
                all_objects_of_subject(connection, subject.id),
                uploads_of(connection, subject.id),
                sum(1 for run in open_runs if run.purposes & purposes),
                purposes,
                due_at=deadlines.due_at(
                    self._clock(), account_closure=False, retention=self._retention
                ),
            )


def cost(
    facts: Sequence[Fact],
    rows: Iterable[StoredRow],
    uploads: Iterable[Upload],
    open_runs: int,
    purposes: frozenset[Purpose],
    *,
    due_at: datetime | None,
) -> Cost:
    """The same from what was read: withdrawing narrows a set of purposes; empty means erase
    (invariant 2)."""
    valid = {
        purpose: frozenset(fact.sequence for fact in valid_grants(facts, purpose))
        for purpose in Purpose
    }

    def standing(basis: Mapping[Purpose, int]) -> frozenset[Purpose]:
        return frozenset(p for p, sequence in basis.items() if sequence in valid[p])

    deleted: list[StoredRow] = []
    narrowed: list[StoredRow] = []
    kept_for: frozenset[Purpose] = frozenset()
    for row in rows:
        now = standing(row.basis)
        if not now & purposes:
            continue
        (narrowed if now - purposes else deleted).append(row)
        kept_for |= now - purposes
    touched = [
        now - purposes
        for upload in uploads
        if upload.state in _KEPT and (now := standing(upload.basis)) & purposes
    ]
    granted = frozenset(
        fact.purpose for fact in facts if fact.event in POSITIVE and fact.purpose in purposes
    )
    return Cost(
        purposes=purposes,
        granted=granted,
        runs=open_runs,
        deleted=_amounts(deleted),
        deleted_uploads=sum(1 for left in touched if not left),
        narrowed=_amounts(narrowed),
        narrowed_uploads=sum(1 for left in touched if left),
        kept_for=kept_for,
        due_at=due_at if granted else None,
    )


def _amounts(rows: Sequence[StoredRow]) -> list[Amount]:
    """By kind, in the order in which kinds are declared."""
    found = []
    for kind in KINDS:
        of_kind = [row.plain_bytes or 0 for row in rows if row.kind == kind]
        if of_kind:
            found.append(Amount(kind, len(of_kind), sum(of_kind)))
    return found
