"""Carrying an erasure order out, in whatever process: a command, a service, a worker.

Knows nothing of Prefect's library, so that `likeness erase` and the sweep need no orchestrator.
"""

from __future__ import annotations

import time
from typing import Final

from flows.opening import storage
from flows.prefect_server import PrefectServer
from flows.settings import Settings, settings
from flows.steward.orchestrator import OrchestratorRecords
from flows.steward.scratch import ScratchFolders
from models.schema.errors import FenceLost
from storage.assembly import Storage
from storage.erasure.elsewhere import Elsewhere
from storage.erasure.orders import Standing

WAIT_SECONDS: Final = 120.0
"""How long another worker that is at the same order is waited for: most orders take seconds."""
_ASKS_EVERY_SECONDS: Final = 1.0


def carry_out(
    order_id: str, *, wait_seconds: float = WAIT_SECONDS, house: Storage | None = None
) -> Standing:
    """Carry an order out to its receipt; returns how it stands then.

    Where another worker is at it, waits for that one, and takes over should it die. The order is
    done unless that took longer than `wait_seconds`; then it is running. `house` is the storage
    room of this process, unless another one is given.

    Raises NotFound, BadUsage for an order that was taken back, Refused while a hold or a day is
    waited for, ServiceUnavailable where a store or the configured Prefect server does not answer,
    CheckFailed where something cannot be removed. The order is still owed then, and is taken up
    where it stands by whoever tries next.
    """
    house = house or storage()
    elsewhere = places(settings())
    end = time.monotonic() + wait_seconds
    while True:
        try:
            house.carrying_out.run(order_id, elsewhere=elsewhere)
        except FenceLost:
            if time.monotonic() < end:
                time.sleep(_ASKS_EVERY_SECONDS)
                continue
        return house.orders.by_id(order_id)


def places(settings: Settings) -> list[Elsewhere]:
    """Where else than in the stores something of a person may lie, seen from this process."""
    found: list[Elsewhere] = [ScratchFolders(settings)]
    if (server := PrefectServer.configured()) is not None:
        found.append(OrchestratorRecords(server))
    return found
