"""Telling the Prefect server that an order is on record, so that it is carried out at once.

An event only wakes a flow: nothing waits for it, and the sweep starts every order whose event was
lost (invariant 6). It holds the order's random id and nothing else (invariant 9).
"""

from __future__ import annotations

import atexit
import logging
import threading
from typing import Final
from uuid import uuid4

from flows.opening import storage
from flows.prefect_server import PrefectServer
from flows.times import stamp
from models.schema.errors import LikenessError
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import Order
from storage.clock import utc_now

ACCOUNT_CLOSED: Final = "account.closed"
AVATAR_DELETED: Final = "avatar.deleted"
CONSENT_WITHDRAWN: Final = "consent.withdrawn"
ERASURE_ORDERED: Final = "erasure.ordered"
"""Every other order: for a person, an upload, on whatever ground."""
ERASURE_ALARM: Final = "erasure.alarm"
"""An order that is soon late, or is late already (Policy P19)."""

_SENDING_SECONDS: Final = 5.0
_LEAVING_SECONDS: Final = 0.5
"""How long a process that ends lets an event finish; a server at hand takes some milliseconds."""

_log = logging.getLogger("likeness.waking")


def wake(order_id: str) -> None:
    """Tell the Prefect server of an order, in the background; without a server do nothing.

    Raises nothing: whatever fails is logged, and the order is on record all the same.
    """
    server = PrefectServer.configured()
    if server is None:
        return
    sending = threading.Thread(target=_wake, args=(server, order_id), name="waking", daemon=True)
    sending.start()
    atexit.register(sending.join, _LEAVING_SECONDS)


def event_of(order: Order) -> str:
    """The name of the event that tells of an order."""
    if order.purpose is not None:
        return CONSENT_WITHDRAWN
    return {Scope.ACCOUNT: ACCOUNT_CLOSED, Scope.AVATAR: AVATAR_DELETED}.get(
        order.scope, ERASURE_ORDERED
    )


def send(server: PrefectServer, name: str, order: Order) -> None:
    """Send one event about an order; raises ServiceUnavailable."""
    event = {
        "id": str(uuid4()),
        "event": name,
        "occurred": utc_now().isoformat(),
        "resource": {"prefect.resource.id": f"likeness.order.{order.id}"},
        "payload": {"order": order.id, "due_at": stamp(order.due_at)},
    }
    server.post("/events", [event], seconds=_SENDING_SECONDS)


def _wake(server: PrefectServer, order_id: str) -> None:
    try:
        order = storage().orders.by_id(order_id).order
        send(server, event_of(order), order)
    except LikenessError as error:
        _log.warning("Order %s was not told to the Prefect server: %s", order_id, error.message)
