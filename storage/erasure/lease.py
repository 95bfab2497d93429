"""Who carries an order out: one worker at a time, and the next one when that one is dead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from models.schema.errors import BadUsage, FenceLost, NotFound, Refused
from storage.catalogue import erasures, holds, orders, people
from storage.catalogue.erasures import Erasure
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import ORDERS, Order, OrderState
from storage.clock import Clock
from storage.database import Database, Writing
from storage.identifiers import random_id
from storage.worker import is_dead, this_worker

LEASE: Final = timedelta(minutes=15)
"""An erasure that is not renewed for this long counts as given up; each page of 1,000 objects
renews it."""
_NOBODY: Final = ""
"""Who holds an order that was given up, whatever the clock says."""


class Lease:
    """Takes an order on for one worker, and lets nobody else change its progress meanwhile."""

    def __init__(self, catalogue: Database, *, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        # A process may try twice at once; its name comes first, so that its death frees the order.
        self.holder = f"{this_worker()}#{random_id()}"

    def take(self, order_id: str) -> Order:
        """Take the order on, or take it over from a worker that is gone.

        Raises NotFound, BadUsage for an order that was taken back, Refused while it waits for a
        day or a hold, FenceLost while another worker is at it. A done order is given as it is.
        """
        with self._catalogue.writing() as writing:
            connection = writing.connection
            order = _locked(connection, order_id)
            if order.state is OrderState.DONE:
                return order
            self._require_due(connection, order)
            erasure = erasures.erasure_of(connection, order.id)
            until = self._clock() + LEASE
            if erasure is None:
                erasures.add_erasure(
                    connection, Erasure(order.id, self.holder, until, {}, {}, {}, {})
                )
            else:
                if self._is_held(erasure):
                    raise FenceLost(
                        "Another worker is carrying this order out.",
                        remedy="Wait for it; `likeness erase status` shows how far it is.",
                    )
                erasures.change_erasure(
                    connection,
                    order.id,
                    held_by=erasure.worker,
                    worker=self.holder,
                    lease_until=until,
                )
            orders.change_order(
                connection,
                order.id,
                expected=[OrderState.PENDING, OrderState.RUNNING],
                state=OrderState.RUNNING,
            )
        return order

    def keep(self, writing: Writing, order_id: str, **values: Any) -> None:
        """Renew the lease and record progress in the caller's transaction; raises FenceLost."""
        until = self._clock() + LEASE
        if not erasures.change_erasure(
            writing.connection, order_id, held_by=self.holder, lease_until=until, **values
        ):
            raise FenceLost("Another worker has taken this order over.")

    def give_up(self, order_id: str) -> None:
        """Let the next worker take the order on at once; nothing where it is another's already."""
        with self._catalogue.writing() as writing:
            erasures.change_erasure(
                writing.connection,
                order_id,
                held_by=self.holder,
                worker=_NOBODY,
                lease_until=self._clock(),
            )

    def _is_held(self, erasure: Erasure) -> bool:
        """Whether its worker may still be alive; a lease that ends later than any could was dated
        by a clock that was wrong."""
        return (
            erasure.worker != _NOBODY
            and self._clock() < erasure.lease_until <= self._clock() + 2 * LEASE
            and not is_dead(_process(erasure.worker))
        )

    def _require_due(self, connection: Connection, order: Order) -> None:
        if order.state is OrderState.CANCELLED:
            raise BadUsage("This order was taken back; there is nothing to carry out.")
        now = self._clock()
        if order.state is OrderState.PENDING and order.starts_at and order.starts_at > now:
            raise Refused(
                f"This order waits until {order.starts_at:%Y-%m-%d %H:%M} UTC; until then what is "
                "missing may still be brought.",
                code="waiting",
            )
        over = holds.holds_over(connection, [(order.scope, order.scope_id)], at=now)
        if order.state is OrderState.PENDING and over:
            raise Refused(
                f"A hold (case {over[0].case}) is in force until "
                f"{over[-1].expires_at:%Y-%m-%d}; the data is frozen and the order waits.",
                remedy="It is carried out by itself once the hold is lifted or over.",
                code="held",
            )


def _locked(connection: Connection, order_id: str) -> Order:
    """The order, with the rows of its scope, so that a hold is either seen or placed too late."""
    row = connection.execute(
        select(ORDERS).where(ORDERS.c.id == order_id).with_for_update()
    ).first()
    if row is None:
        raise NotFound(
            "There is no order with this id.", remedy="`likeness erase status` shows the orders."
        )
    order = orders.order_from(row._mapping)
    if order.scope is Scope.ACCOUNT:
        people.lock_account(connection, order.scope_id)
    else:
        subject = holds.subject_of(connection, order.scope, order.scope_id)
        if subject is not None:
            people.lock(connection, subject.id, exclusively=True)
    return order


def _process(worker: str) -> str:
    return worker.partition("#")[0]
