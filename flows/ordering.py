"""From what a caller asks to an erasure order on record, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flows.declaring import purposes_from
from flows.erasing import carry_out
from flows.opening import storage
from flows.rights import records
from flows.times import stamp_or_none
from flows.waking import wake
from models.receipts.signing import written
from models.schema.erasure import ErasureGround, Requester
from models.schema.errors import BadUsage, LikenessError
from storage.catalogue.freezes import Scope
from storage.clock import utc_now
from storage.erasure.orders import Request, Standing, age

GROUNDS: Final = ", ".join(ground.value for ground in ErasureGround)
REQUESTERS: Final = ", ".join(requester.value for requester in Requester)


@dataclass(frozen=True)
class Ordered:
    """An order on record, as it stands, and what kept it from being carried out now."""

    standing: Standing
    fault: LikenessError | None = None


def scope_from(
    *, subject: str | None, account: str | None, avatar: str | None, upload: str | None
) -> tuple[Scope, str]:
    """The scope that was named; raises BadUsage for none or several."""
    given = {
        Scope.SUBJECT: subject,
        Scope.ACCOUNT: account,
        Scope.AVATAR: avatar,
        Scope.UPLOAD: upload,
    }
    named = [(scope, value) for scope, value in given.items() if value is not None]
    if len(named) != 1:
        raise BadUsage(
            "Say what it is about, and only one.",
            remedy="Give one of --subject, --account, --avatar and --upload.",
        )
    return named[0]


def request_from(
    scope: tuple[Scope, str],
    *,
    purpose: str | None = None,
    ground: str = ErasureGround.REQUESTED.value,
    requested_by: str | None = None,
    keep_shared: bool = False,
) -> Request:
    """What is to be erased, why, and who asked; raises BadUsage for a word that means nothing."""
    by_itself = Requester.ACCOUNT_SERVICE if scope[0] is Scope.ACCOUNT else Requester.PERSON
    try:
        why = ErasureGround(ground)
    except ValueError:
        raise BadUsage(
            "There is no such ground of an erasure.", remedy=f"The grounds are: {GROUNDS}."
        ) from None
    try:
        who = by_itself if requested_by is None else Requester(requested_by)
    except ValueError:
        raise BadUsage(
            "Nobody of that role asks for an erasure.", remedy=f"The roles are: {REQUESTERS}."
        ) from None
    only = None if purpose is None else next(iter(purposes_from([purpose])))
    return Request(scope[0], scope[1], only, why, who, keep_shared)


def order_erasure(request: Request, *, now: bool) -> Ordered:
    """Put the order on record, which stops all use; carry it out at once, or leave it to the event
    and the sweep.

    Raises what `Orders.place` raises. What stops the carrying out is told beside the order: it is
    on record, nothing of it is used any more, and it is tried again.
    """
    house = storage()
    order = house.orders.place(request)
    wake(order.id)
    if not now:
        return Ordered(house.orders.by_id(order.id))
    try:
        return Ordered(carry_out(order.id))
    except LikenessError as error:
        return Ordered(house.orders.by_id(order.id), error)


def state(standing: Standing) -> str:
    """The order's state in a word: `held` where a hold is in force."""
    return "held" if standing.held_by else standing.order.state.value


def order_fields(standing: Standing) -> dict[str, Any]:
    """Everything about an order, as JSON."""
    order = standing.order
    return {
        **records.order(order),
        "state": state(standing),
        "requested_by": order.requester.value,
        "done_at": stamp_or_none(order.done_at),
        "age_seconds": int(age(order, utc_now()).total_seconds()),
        "steps": standing.steps,
        "held_by": [hold.id for hold in standing.held_by],
        "late": standing.late,
        "alarm": standing.alarm,
        "receipt": receipt_fields(standing),
    }


def receipt_fields(standing: Standing) -> dict[str, Any] | None:
    """A receipt in short; None before the order is done."""
    if standing.order.done_at is None:
        return None
    signed = storage().receipts.of(standing.order.id)
    return {
        "order": standing.order.id,
        "key": signed.key,
        "signature": signed.signature,
        "removed": len(signed.receipt.removed),
        "narrowed": signed.receipt.narrowed,
        "unreadable_from": signed.receipt.unreadable_from.isoformat(),
    }


def receipt_file(order_id: str) -> str:
    """The signed receipt of an order as the file that is handed out; raises NotFound."""
    return written(storage().receipts.of(order_id))
