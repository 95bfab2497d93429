"""`likeness hold`: legal stops on erasure (Policy P20)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.confirming import confirm
from flows.cli.moments import moment_from
from flows.cli.scopes import Account, Avatar, Subject, Upload
from flows.declaring import evidence_from
from flows.opening import storage
from flows.ordering import scope_from
from flows.times import stamp, stamp_or_none
from storage.catalogue.holds import Hold
from storage.catalogue.orders import Order
from storage.registers.holds import PlacedHold

noun = typer.Typer(
    help="Holds: what the law says must not be erased yet, and until when.", no_args_is_help=True
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it concerns.")]


@noun.command("place")
@answering
def place(
    case: Annotated[str, typer.Option(help="The case of article VI.4: a to h.")],
    document: Annotated[
        str, typer.Option(help="The document it rests on: a file, of which the digest is kept.")
    ],
    until: Annotated[
        str, typer.Option(help="Until when: a day (its beginning in China), or a time.")
    ],
    subject: Subject = None,
    account: Account = None,
    avatar: Avatar = None,
    upload: Upload = None,
    dry_run: DryRun = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Changes nothing: what deletes nothing asks nothing.")
    ] = False,
    json_output: Json = False,
) -> Answer:
    """Place a hold: nothing of it is erased or expires until the hold is lifted or over.

    Orders wait meanwhile and run by themselves afterwards. Use goes on where nothing is to be
    erased.

    Example: likeness hold place --subject s-17 --case d --document warrant.pdf --until 2027-06-30
    """
    scope, named = scope_from(subject=subject, account=account, avatar=avatar, upload=upload)
    if dry_run:
        waiting = storage().holds.would_stop(scope, named)
        return Answer(
            {"ok": True, "holds": [], "waiting": _orders(waiting)},
            lines=[*_lines("would wait", waiting), "nothing was recorded"],
        )
    placed = storage().holds.place(
        scope,
        named,
        case=case,
        document=evidence_from(document),
        expires_at=moment_from(until),
    )
    return Answer({"ok": True, "holds": [_fields(placed)]}, lines=_told(placed))


@noun.command("lift")
@answering
def lift(
    hold: Annotated[str, typer.Option("--hold", help="The hold's id.")],
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json_output: Json = False,
) -> Answer:
    """Lift a hold before its time; the orders that waited for it alone are carried out.

    Shows them first, and asks where there are any: what they erase is gone.

    Example: likeness hold lift --hold 4f0c... --yes
    """
    house = storage()
    released = house.holds.would_release(hold)
    if dry_run:
        return Answer(
            {
                "ok": True,
                "holds": [_fields(house.holds.by_id(hold))],
                "released": _orders(released),
            },
            lines=[*_lines("would be carried out", released), "nothing was lifted"],
        )
    if released:
        confirm("\n".join(_lines("will be carried out", released)), yes=yes)
    lifted = house.holds.lift(hold)
    return Answer(
        {
            "ok": True,
            "holds": [_fields(PlacedHold(lifted.hold, in_force=False))],
            "released": _orders(lifted.released),
        },
        lines=[f"hold {hold} is lifted", *_lines("will be carried out", lifted.released)],
    )


@noun.command("list")
@answering
def list_holds(
    subject: Subject = None,
    account: Account = None,
    avatar: Avatar = None,
    upload: Upload = None,
    json_output: Json = False,
) -> Answer:
    """List the holds, oldest first; those of one scope also where they are about a part of it.

    Example: likeness hold list --subject s-17
    """
    holds = storage().holds
    if any(given is not None for given in (subject, account, avatar, upload)):
        found = holds.about(
            *scope_from(subject=subject, account=account, avatar=avatar, upload=upload)
        )
    else:
        found = holds.all()
    return Answer(
        {"ok": True, "holds": [_fields(each) for each in found]},
        lines=[line for each in found for line in _told(each)] or ["no holds"],
    )


def _fields(placed: PlacedHold) -> dict[str, Any]:
    hold = placed.hold
    return {
        "hold": hold.id,
        "scope": hold.scope.value,
        "case": hold.case,
        "document_digest": hold.document_digest,
        "placed_at": stamp(hold.placed_at),
        "expires_at": stamp(hold.expires_at),
        "lifted_at": stamp_or_none(hold.lifted_at),
        "in_force": placed.in_force,
        "waiting": _orders(placed.waiting),
        "begun": _orders(placed.begun),
    }


def _orders(orders: Sequence[Order]) -> list[dict[str, str]]:
    return [
        {"order": order.id, "ground": order.ground.value, "due_at": stamp(order.due_at)}
        for order in orders
    ]


def _told(placed: PlacedHold) -> list[str]:
    hold = placed.hold
    return [
        f"{hold.id}  {hold.scope.value}  case {hold.case}  {_state(hold, placed.in_force)}",
        *_lines("waits", placed.waiting),
        *_lines("had begun before; what it erased cannot be held", placed.begun),
    ]


def _state(hold: Hold, in_force: bool) -> str:
    if hold.lifted_at is not None:
        return f"lifted {stamp(hold.lifted_at)}"
    return f"until {stamp(hold.expires_at)}" if in_force else f"over since {stamp(hold.expires_at)}"


def _lines(what: str, orders: Sequence[Order]) -> list[str]:
    return [
        f"  order {order.id} ({order.ground.value}, due {stamp(order.due_at)}) {what}"
        for order in orders
    ]
