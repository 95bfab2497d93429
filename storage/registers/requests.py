"""Requests of people, each with its deadline (Policy P16, P19)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from models.schema import deadlines
from models.schema.errors import BadUsage, LimitExceeded, NotFound
from storage.catalogue import people, requests
from storage.catalogue.requests import Request, RequestKind, RequestState
from storage.foundation import Foundation
from storage.identifiers import checked_id, random_id
from storage.registers.subjects import Subjects

AUTHENTICATION_CHARACTERS_MOST: Final = 1000


@dataclass(frozen=True)
class Handling:
    """Who took the request and how they made sure that it is the person; kept sealed."""

    operating_system_user: str
    authenticated_by: str

    def checked(self) -> Handling:
        """Itself; raises BadUsage or LimitExceeded where nothing says who the person is."""
        if not self.authenticated_by.strip():
            raise BadUsage(
                "How the person was authenticated was not said; nothing was recorded.",
                remedy="Say it with --authenticated-by, such as the document that was shown.",
            )
        if len(self.authenticated_by) > AUTHENTICATION_CHARACTERS_MOST:
            raise LimitExceeded(
                "--authenticated-by is longer than "
                f"{AUTHENTICATION_CHARACTERS_MOST} characters; nothing was recorded.",
                remedy="Keep it to a few sentences.",
            )
        return self


class Requests:
    """Opens, answers and lists requests; works while a person's data is frozen."""

    def __init__(self, base: Foundation, *, subjects: Subjects) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._subjects = subjects
        self._retention = base.retention
        self._clock = base.clock

    def open(self, external_subject: str, kind: RequestKind, handling: Handling) -> Request:
        """Put a request on record, due within the legal time (Policy P19: 30 days).

        Raises NotFound for an unknown person, BadUsage without authentication.
        """
        handling = handling.checked()
        subject = self._subjects.known(external_subject)
        now, request_id = self._clock(), random_id()
        due_at = deadlines.due_at(now, account_closure=False, retention=self._retention)
        words = json.dumps(vars(handling), ensure_ascii=False).encode("utf-8", "surrogateescape")
        sealed = self._vault.seal_column(subject.id, words, context=_context(request_id))
        with self._gate.current(self._catalogue, self._keys) as writing:
            sequence = self._ledger.append(
                writing,
                "request_opened",
                {
                    "request": request_id,
                    "subject": subject.id,
                    "kind": kind.value,
                    "due_at": due_at.isoformat(),
                },
                subject_id=subject.id,
                sealed=sealed,
            )
            request = Request(
                id=request_id,
                subject_id=subject.id,
                kind=kind,
                state=RequestState.OPEN,
                handling_sealed=sealed,
                ledger_sequence=sequence,
                created_at=now,
                due_at=due_at,
            )
            requests.add_request(writing.connection, request)
        return request

    def answer(self, request: Request) -> list[str]:
        """Record that a request is answered; returns the ids of all that are answered by it.

        An answer holds everything, so it answers the person's older open requests of the same kind
        too, such as those of an export that was interrupted.
        """
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            people.lock(connection, request.subject_id, exclusively=True)
            answered = [
                each.id
                for each in requests.requests_of(connection, request.subject_id)
                if each.kind is request.kind
                and each.state is RequestState.OPEN
                and each.ledger_sequence <= request.ledger_sequence
            ]
            requests.mark_answered(connection, answered, at=now)
            for request_id in answered:
                self._ledger.append(
                    writing,
                    "request_answered",
                    {"request": request_id, "subject": request.subject_id, "by": request.id},
                    subject_id=request.subject_id,
                )
        return answered

    def waiting(self) -> list[Request]:
        """What is not answered, the nearest deadline first."""
        with self._catalogue.reading() as connection:
            return requests.open_requests(connection)

    def by_id(self, request_id: str) -> Request:
        """The request; raises NotFound or BadUsage."""
        with self._catalogue.reading() as connection:
            request = requests.request_by_id(connection, checked_id(request_id, what="request"))
        if request is None:
            raise NotFound(
                "There is no request with this id.", remedy="`likeness request list` shows them."
            )
        return request

    def handling(self, request: Request) -> Handling:
        """Who took it and how the person was authenticated; raises KeyDestroyed once erased."""
        plain = self._vault.unseal_column(request.handling_sealed, context=_context(request.id))
        return Handling(**json.loads(plain.decode("utf-8", "surrogateescape")))


def _context(request_id: str) -> str:
    return f"request:{request_id}:handling"
