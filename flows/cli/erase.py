"""`likeness erase`: everything that came of a person, an account, an avatar or an upload."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.confirming import confirm
from flows.cli.scopes import Account, Avatar, Subject, Upload
from flows.opening import storage
from flows.ordering import (
    GROUNDS,
    REQUESTERS,
    order_erasure,
    order_fields,
    receipt_fields,
    request_from,
    scope_from,
    state,
)
from flows.settings import settings
from flows.telling import plans
from flows.telling.words import telling_words
from flows.times import stamp
from models.schema.erasure import ErasureGround
from storage.erasure.orders import Request, Standing
from storage.erasure.plan import Plan

noun = typer.Typer(invoke_without_command=True)


@noun.callback()
def erase(
    context: typer.Context,
    subject: Subject = None,
    account: Account = None,
    avatar: Avatar = None,
    upload: Upload = None,
    purpose: Annotated[
        str | None, typer.Option(help="Only what was kept for this purpose.")
    ] = None,
    ground: Annotated[
        str, typer.Option(help=f"Why, as a code (PIPL art. 47): {GROUNDS}.")
    ] = ErasureGround.REQUESTED.value,
    requested_by: Annotated[
        str | None,
        typer.Option(help=f"Who asked: {REQUESTERS}; else the person, for an account its service."),
    ] = None,
    keep_shared: Annotated[
        bool,
        typer.Option(
            "--keep-shared",
            help="The person chose that uploads which other avatars need stay (with --avatar).",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    json_output: Json = False,
) -> None:
    """Erase everything that came of a person, an account, an avatar or an upload.

    Shows the plan first: every object, model, generation, run and shared base concerned, and other
    avatars that stop with it. Then all use stops with one commit, and the order is carried out to
    its signed receipt. Interrupted, give the same command again. `erase status` shows all orders.

    Example: likeness erase --subject s-17 --yes
    """
    if context.invoked_subcommand is None:
        _erase(
            subject=subject,
            account=account,
            avatar=avatar,
            upload=upload,
            purpose=purpose,
            ground=ground,
            requested_by=requested_by,
            keep_shared=keep_shared,
            yes=yes,
            dry_run=dry_run,
            json_output=json_output,
        )


@answering
def _erase(
    *,
    subject: str | None,
    account: str | None,
    avatar: str | None,
    upload: str | None,
    purpose: str | None,
    ground: str,
    requested_by: str | None,
    keep_shared: bool,
    yes: bool,
    dry_run: bool,
    json_output: bool,
) -> Answer:
    request = request_from(
        scope_from(subject=subject, account=account, avatar=avatar, upload=upload),
        purpose=purpose,
        ground=ground,
        requested_by=requested_by,
        keep_shared=keep_shared,
    )
    return erasure_of(request, yes=yes, dry_run=dry_run)


def erasure_of(request: Request, *, yes: bool, dry_run: bool) -> Answer:
    """Show the plan, ask, put the order on record and carry it out."""
    orders, words = storage().orders, telling_words(settings().language)
    earlier = orders.earlier(request)
    plan = orders.plan(request) if earlier is None else Plan()
    lines = plans.lines(plan, words) if earlier is None else []
    if dry_run:
        return Answer(
            {
                "order": earlier.id if earlier else None,
                "state": "planned",
                "plan": plans.fields(plan),
                "receipt": None,
            },
            lines=[*lines, "nothing was recorded"],
        )
    if earlier is None:
        confirm("\n".join(lines), yes=yes)
    ordered = order_erasure(request, now=True)
    standing = ordered.standing
    return Answer(
        {
            "order": standing.order.id,
            "state": state(standing),
            "plan": plans.fields(plan),
            "receipt": receipt_fields(standing),
            "due_at": stamp(standing.order.due_at),
        },
        lines=[*lines, *_told(standing)],
        exit_code=ordered.fault.exit_code if ordered.fault else 0,
        error=ordered.fault,
    )


@noun.command("status")
@answering
def status(
    order: Annotated[str | None, typer.Option("--order", help="One order alone.")] = None,
    json_output: Json = False,
) -> Answer:
    """Show the orders, the nearest deadline first: state, age, steps done, what is late or held.

    Example: likeness erase status
    """
    orders = storage().orders
    found = orders.all() if order is None else [orders.by_id(order)]
    return Answer(
        {"orders": [order_fields(each) for each in found]},
        lines=[line for each in found for line in _told(each)] or ["no orders"],
    )


def _told(standing: Standing) -> list[str]:
    order = standing.order
    marks = [
        *(["LATE"] if standing.late else ["urgent"] if standing.alarm else []),
        *(f"held by {hold.id} until {stamp(hold.expires_at)}" for hold in standing.held_by),
    ]
    when = f"done {stamp(order.done_at)}" if order.done_at else f"due {stamp(order.due_at)}"
    about = f"{state(standing):<9}  {order.scope.value:<7}  {order.ground.value}"
    told = [f"order {order.id}  {about}  {when}  {'; '.join(marks)}".rstrip()]
    if order.done_at is not None:
        told.append(f"  receipt: likeness receipt show --order {order.id} --out receipt.html")
    elif standing.steps:
        told.append(f"  done so far: {', '.join(standing.steps)}")
    return told
