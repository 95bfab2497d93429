"""The sweep: every erasure order that is due is carried out, whether or not an event woke it.

It places the orders that fall due by themselves, resumes those whose worker died, and raises the
alarm for what is soon late (invariant 6, Policy P14, P19, P21). What one order fails with keeps no
other one from its turn, the nearest deadline first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from flows.erasing import carry_out
from flows.prefect_server import PrefectServer
from flows.shielding import shielded
from flows.waking import ERASURE_ALARM, send
from models.schema.errors import LikenessError, Refused, ServiceUnavailable
from storage.assembly import Storage
from storage.erasure.orders import Standing

_FAULT: Final = LikenessError.exit_code
_NO_ANSWER: Final = ServiceUnavailable.exit_code


@dataclass(frozen=True)
class Failed:
    """An order that could not be carried out now, or (None) a duty before any order."""

    standing: Standing | None
    error: LikenessError


@dataclass
class Swept:
    """What a sweep did and found."""

    placed: list[str] = field(default_factory=list)
    """Orders that fell due by themselves, such as by the end of the service."""
    orders: list[Standing] = field(default_factory=list)
    """Those that were due, as they stand now."""
    urgent: list[Standing] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    alarm_unheard: LikenessError | None = None
    """Why the Prefect server was not told of what is urgent."""


def exit_code_of(failed: Sequence[Failed]) -> int:
    """1 where anything failed by itself, 4 where all that failed was that a service does not
    answer, else 0: an order that waits for a hold has not failed."""
    codes = {
        _NO_ANSWER if isinstance(each.error, ServiceUnavailable) else _FAULT for each in failed
    }
    return min(codes, default=0)


def sweep_orders(house: Storage) -> Swept:
    """Place what fell due, carry out everything that is due, then raise the alarm.

    Raises nothing but what asking for the orders themselves raises: no list, no sweep.
    """
    swept = Swept()
    with _told(swept, None):
        swept.placed = _place(house)
    for standing in house.orders.due():
        with _told(swept, standing):
            _carry_out(house, standing)
        swept.orders.append(house.orders.by_id(standing.order.id))
    swept.urgent = house.orders.urgent()
    _raise_alarm(swept)
    return swept


@shielded
def _place(house: Storage) -> list[str]:
    """The orders that follow from the end of the service, once it has come."""
    return house.termination.order_all()


@shielded
def _carry_out(house: Storage, standing: Standing) -> None:
    with suppress(Refused):  # a hold was placed since the orders were asked for
        # Another worker's order is that worker's; nobody waits here.
        carry_out(standing.order.id, wait_seconds=0, house=house)


@contextmanager
def _told(swept: Swept, standing: Standing | None) -> Iterator[None]:
    """Whatever fails inside is told, and is nobody else's misfortune."""
    try:
        yield
    except LikenessError as error:
        swept.failed.append(Failed(standing, error))


def _raise_alarm(swept: Swept) -> None:
    server = PrefectServer.configured()
    if server is None:
        return
    try:
        for standing in swept.urgent:
            send(server, ERASURE_ALARM, standing.order)
    except ServiceUnavailable as error:
        swept.alarm_unheard = error


def warnings(swept: Swept) -> Iterator[str]:
    """What a person who watches is to be told of: late orders, and those that soon are."""
    for standing in swept.urgent:
        order = standing.order
        when = "was due" if standing.late else "is due"
        held = f", held by {len(standing.held_by)}" if standing.held_by else ""
        yield (
            f"ALARM: order {order.id} ({order.state.value}{held}) {when} "
            f"{order.due_at:%Y-%m-%d %H:%M} UTC"
        )
    if swept.alarm_unheard is not None:
        yield f"The alarm did not reach Prefect: {swept.alarm_unheard.message}"
