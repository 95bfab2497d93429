"""Everything that is on record about one person, for the person themselves (Policy P16, P28).

One look in one transaction, so that what is told fits together. Objects are named here and opened
at the door; the decrypted evidence of what somebody agreed to is read one entry at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from models.consent.ages import AgeStatement
from models.consent.decision import Decision
from models.consent.facts import Fact
from models.consent.policies import PolicyVersion
from models.schema.purposes import Purpose
from storage.access_log import Access, accesses_to
from storage.catalogue.artefacts import (
    Artefact,
    Generation,
    artefacts_of_subject,
    generations_of_subject,
)
from storage.catalogue.avatars import Avatar, avatars_of
from storage.catalogue.decisions import LEDGER_ENTRIES, LEDGER_PAYLOADS
from storage.catalogue.disclosures import Disclosure, disclosures_of
from storage.catalogue.freezes import FreezeRow, Scope, freezes_about
from storage.catalogue.holds import Hold, holds_over
from storage.catalogue.objects import StoredRow, all_objects_of_subject
from storage.catalogue.orders import Order, orders_about
from storage.catalogue.people import Subject
from storage.catalogue.policies import all_policies
from storage.catalogue.requests import Request, requests_of
from storage.catalogue.uploads import Upload, uploads_of
from storage.foundation import Foundation
from storage.records import statements_of
from storage.registers.artefacts import Artefacts
from storage.registers.avatars import Avatars
from storage.registers.consents import unframed
from storage.registers.requests import Handling, Requests
from storage.registers.subjects import Subjects
from storage.registers.uploads import Uploads


@dataclass(frozen=True)
class Entry:
    """One ledger entry about the person, as it was written."""

    sequence: int
    at: datetime
    event: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Held:
    """What is on record about a person at one moment; no biometrics."""

    subject: Subject
    at: datetime
    decisions: Sequence[Decision]
    facts: Sequence[Fact]
    entries: Sequence[Entry]
    ages: Sequence[AgeStatement]
    policies: Sequence[PolicyVersion]
    uploads: Sequence[Upload]
    avatars: Sequence[Avatar]
    artefacts: Sequence[Artefact]
    """What was trained of the person alone."""
    generations: Sequence[Generation]
    objects: Sequence[StoredRow]
    freezes: Sequence[FreezeRow]
    """Lifted ones included, oldest first."""
    orders: Sequence[Order]
    holds: Sequence[Hold]
    """Those in force over anything of theirs: orders wait for them (Policy P20)."""
    accesses: Sequence[Access]
    disclosures: Sequence[tuple[str, Disclosure]]
    """Each with the recipient's name."""
    requests: Sequence[Request]


class SubjectAccess:
    """Reads what a person may read about themselves; writes nothing."""

    def __init__(
        self,
        base: Foundation,
        *,
        subjects: Subjects,
        uploads: Uploads,
        avatars: Avatars,
        artefacts: Artefacts,
        requests: Requests,
    ) -> None:
        self._catalogue = base.catalogue
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._subjects = subjects
        self._uploads = uploads
        self._avatars = avatars
        self._artefacts = artefacts
        self._requests = requests
        self._clock = base.clock

    def held(self, external_subject: str) -> Held:
        """Everything on record about a person; raises NotFound where nothing is held."""
        subject = self._subjects.known(external_subject)
        with self._catalogue.reading() as connection:
            statements = statements_of(connection, subject.id)
            uploads = uploads_of(connection, subject.id)
            avatars = avatars_of(connection, subject.id)
            scopes = _scopes(subject, uploads, avatars)
            return Held(
                subject=subject,
                at=self._clock(),
                decisions=self._gate.decisions(connection, subject, Purpose, upload=None),
                facts=statements.facts,
                entries=_entries(connection, subject.id),
                ages=statements.ages,
                policies=all_policies(connection),
                uploads=uploads,
                avatars=avatars,
                artefacts=artefacts_of_subject(connection, subject.id),
                generations=generations_of_subject(connection, subject.id),
                objects=all_objects_of_subject(connection, subject.id),
                freezes=freezes_about(connection, scopes),
                orders=orders_about(connection, scopes),
                holds=holds_over(connection, [(Scope.SUBJECT, subject.id)], at=self._clock()),
                accesses=accesses_to(connection, subject.id),
                disclosures=disclosures_of(connection, subject.id),
                requests=requests_of(connection, subject.id),
            )

    def documents(self, entry: Entry) -> list[bytes]:
        """The words and documents that were handed in with an entry, decrypted.

        Empty where there are none. Raises KeyDestroyed once they are erased.
        """
        digest = entry.payload.get("evidence_digest") or entry.payload.get("document_digest")
        if digest is None:
            return []
        with self._catalogue.reading() as connection:
            sealed = self._ledger.sealed_part(connection, entry.sequence)
        if sealed is None:
            return []
        plain = self._vault.unseal_column(sealed, context=f"evidence:{digest}")
        match entry.event:
            case "grant" | "guardian_consent":
                return unframed(plain)
            case "legal_basis":
                # Behind the document stands who invoked it, which is another person's name.
                return [plain[4 : 4 + int.from_bytes(plain[:4], "big")]]
            case _:
                return [plain]

    def file_name(self, upload: Upload) -> str | None:
        """The name of the file as it was uploaded."""
        return self._uploads.file_name(upload)

    def transcript(self, upload: Upload) -> str | None:
        """The transcript that came with an upload."""
        return self._uploads.transcript(upload)

    def avatar_name(self, avatar: Avatar) -> str:
        """What the person calls an avatar."""
        return self._avatars.name(avatar)

    def generation_request(self, generation: Generation) -> str | None:
        """The words that a generation was asked for with."""
        return self._artefacts.request(generation)

    def handling(self, request: Request) -> Handling:
        """Who took a request and how the person was authenticated."""
        return self._requests.handling(request)


def _scopes(
    subject: Subject, uploads: Iterable[Upload], avatars: Iterable[Avatar]
) -> list[tuple[Scope, str]]:
    """What a freeze or an order about this person can be about."""
    scopes = [(Scope.SUBJECT, subject.id)]
    if subject.account_id is not None:
        scopes.append((Scope.ACCOUNT, subject.account_id))
    scopes += [(Scope.UPLOAD, upload.id) for upload in uploads]
    return scopes + [(Scope.AVATAR, avatar.id) for avatar in avatars]


def _entries(connection: Connection, subject_id: str) -> list[Entry]:
    rows = connection.execute(
        select(
            LEDGER_ENTRIES.c.sequence,
            LEDGER_ENTRIES.c.at,
            LEDGER_ENTRIES.c.event,
            LEDGER_PAYLOADS.c.payload,
        )
        .join(LEDGER_PAYLOADS, LEDGER_PAYLOADS.c.sequence == LEDGER_ENTRIES.c.sequence)
        .where(LEDGER_PAYLOADS.c.subject_id == subject_id)
        .order_by(LEDGER_ENTRIES.c.sequence)
    )
    return [
        Entry(row.sequence, datetime.fromisoformat(row.at), row.event, json.loads(row.payload))
        for row in rows
    ]
