"""The end of the service: announced in time, then everybody is owed an erasure (Policy P14).

The announcement is a ledger entry; nothing stops before the day it names. From then on every
account, and every person without one, gets an erasure order, each in a commit of its own, so that
whoever is interrupted goes on where they stopped. What stays is what every erasure leaves: the
chain of the ledger, and the access log for its time.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from models.consent.facts import EvidenceLevel
from models.schema.erasure import ErasureGround, Requester
from models.schema.errors import BadInput, NotFound
from storage.catalogue import orders, people
from storage.catalogue.decisions import LEDGER_ENTRIES, LEDGER_PAYLOADS
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import OrderState
from storage.catalogue.people import ACCOUNTS
from storage.foundation import Foundation
from storage.freezing import Stop, freeze
from storage.registers.evidence import Evidence

SERVICE_END_ANNOUNCED: Final = "service_end_announced"
SERVICE_END_CALLED_OFF: Final = "service_end_called_off"
SERVICE_ENDED: Final = "service_ended"


@dataclass(frozen=True)
class ServiceEnd:
    """The announced end of the service."""

    ends_at: datetime
    announced_at: datetime
    notice_digest: str
    """SHA-256 of the notice that everybody was given."""


@dataclass(frozen=True)
class Left:
    """Who has no erasure order by the end of the service yet: accounts, and people without one."""

    accounts: list[str]
    people: list[str]


class Termination:
    """Announces the end of the service, and orders what follows from it."""

    def __init__(self, base: Foundation) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._ledger = base.ledger
        self._gate = base.gate
        self._retention = base.retention
        self._clock = base.clock

    def announce(self, ends_at: datetime, notice: Evidence) -> ServiceEnd:
        """Record that the service ends then, and the notice that says so.

        A later announcement replaces an earlier one, and needs no new notice time where it puts
        the end off. Raises BadInput for less than the notice time, without a notice, and once the
        service has ended.
        """
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            self._check(writing.connection, ends_at, notice, now)
            end = ServiceEnd(ends_at, now, notice.digest)
            self._ledger.append(
                writing,
                SERVICE_END_ANNOUNCED,
                {
                    "ends_at": ends_at.isoformat(),
                    "announced_at": now.isoformat(),
                    "notice_digest": notice.digest,
                },
                subject_id=None,
            )
        return end

    def check(self, ends_at: datetime, notice: Evidence) -> None:
        """Raise what announcing this would; records nothing."""
        with self._catalogue.reading() as connection:
            self._check(connection, ends_at, notice, self._clock())

    def call_off(self) -> ServiceEnd:
        """Record that the service goes on; returns the announcement that no longer holds.

        Raises NotFound where none was made, BadInput once the service has ended.
        """
        with self._gate.current(self._catalogue, self._keys) as writing:
            before = self._newest(writing.connection)
            if before is None:
                raise NotFound("No end of the service was announced.", remedy="There is none.")
            self._check_still_open(before, self._clock())
            self._ledger.append(
                writing,
                SERVICE_END_CALLED_OFF,
                {"ends_at": before.ends_at.isoformat()},
                subject_id=None,
            )
        return before

    def announced(self) -> ServiceEnd | None:
        """The end that was announced and not called off."""
        with self._catalogue.reading() as connection:
            return self._newest(connection)

    def has_ended(self) -> bool:
        """Whether the announced end has come."""
        end = self.announced()
        return end is not None and end.ends_at <= self._clock()

    def left(self) -> Left:
        """Who has no order by the end of the service; before it, everybody."""
        with self._catalogue.reading() as connection:
            ordered = {
                (order.scope, order.scope_id)
                for order in orders.all_orders(connection)
                if order.ground is ErasureGround.SERVICE_ENDED
                and order.state is not OrderState.CANCELLED
            }
            known = ACCOUNTS.c.erased_at.is_(None)
            accounts = connection.scalars(select(ACCOUNTS.c.id).where(known))
            alone = (each.id for each in people.all_subjects(connection) if not each.account_id)
            return Left(
                sorted(each for each in accounts if (Scope.ACCOUNT, each) not in ordered),
                sorted(each for each in alone if (Scope.SUBJECT, each) not in ordered),
            )

    def order_all(self) -> list[str]:
        """Order the erasure of everybody, once the service has ended; returns the new orders.

        Does nothing before, and nothing twice.
        """
        if not self.has_ended():
            return []
        left = self.left()
        scopes = [(Scope.ACCOUNT, each) for each in left.accounts]
        scopes += [(Scope.SUBJECT, each) for each in left.people]
        placed = []
        for scope, scope_id in scopes:
            with suppress(NotFound):  # erased since it was listed
                placed.append(self._order(scope, scope_id))
        return placed

    def _order(self, scope: Scope, scope_id: str) -> str:
        stop = Stop(
            scope=scope,
            scope_id=scope_id,
            purpose=None,
            cause=SERVICE_ENDED,
            ground=ErasureGround.SERVICE_ENDED,
            payload={},
            requester=Requester.HOUSE,
        )
        stopped = freeze(
            self._catalogue,
            self._keys,
            self._ledger,
            stop,
            now=self._clock(),
            retention=self._retention,
        )
        return stopped.order or ""

    @staticmethod
    def _newest(connection: Connection) -> ServiceEnd | None:
        row = connection.execute(
            select(LEDGER_ENTRIES.c.event, LEDGER_PAYLOADS.c.payload)
            .join(LEDGER_PAYLOADS, LEDGER_PAYLOADS.c.sequence == LEDGER_ENTRIES.c.sequence)
            .where(LEDGER_ENTRIES.c.event.in_([SERVICE_END_ANNOUNCED, SERVICE_END_CALLED_OFF]))
            .order_by(LEDGER_ENTRIES.c.sequence.desc())
            .limit(1)
        ).first()
        if row is None or row.event == SERVICE_END_CALLED_OFF:
            return None
        said = json.loads(row.payload)
        return ServiceEnd(
            ends_at=datetime.fromisoformat(said["ends_at"]),
            announced_at=datetime.fromisoformat(said["announced_at"]),
            notice_digest=said["notice_digest"],
        )

    def _check(
        self, connection: Connection, ends_at: datetime, notice: Evidence, now: datetime
    ) -> None:
        if notice.level.rank < EvidenceLevel.DOCUMENT.rank or not notice.content.strip():
            raise BadInput(
                "The end of the service is announced by a notice.",
                remedy="Name its file with --notice.",
            )
        before = self._newest(connection)
        self._check_still_open(before, now)
        earliest = now + timedelta(days=self._retention.service_end_notice_days)
        if before is not None:
            earliest = min(earliest, before.ends_at)
        if ends_at < earliest:
            raise BadInput(
                "The end of the service must be announced at least "
                f"{self._retention.service_end_notice_days} days before; nothing was recorded.",
                remedy="Choose a later --on (Policy P14).",
            )

    @staticmethod
    def _check_still_open(before: ServiceEnd | None, now: datetime) -> None:
        if before is not None and before.ends_at <= now:
            raise BadInput("The service has ended already; nothing was recorded.")
