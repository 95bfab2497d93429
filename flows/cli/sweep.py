"""`likeness sweep`: all that is due is done; a cron line where there is no Prefect server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from flows.cli.answers import Answer, Json, answering, error_fields, say

if TYPE_CHECKING:
    from flows.steward.sweep import Failed
    from flows.steward.upkeep import Kept
    from storage.erasure.orders import Standing


def add_to(application: typer.Typer) -> None:
    """Register the command."""
    application.command("sweep")(sweep)


@answering
def sweep(json_output: Json = False) -> Answer:
    """Carry out every order that is due, let expire what is over, put right what crashes left.

    Warns of orders that are soon late. Safe at any time and as often as one likes; without a
    Prefect server call it every hour, as cron does with

        17 * * * *  likeness sweep --json >> /var/log/likeness-sweep.json

    Example: likeness sweep
    """
    from flows.opening import storage
    from flows.settings import settings
    from flows.steward.sweep import warnings
    from flows.steward.upkeep import keep_up

    kept = keep_up(storage(), settings())
    for warning in warnings(kept.swept):
        say(warning)
    return Answer(_fields(kept), lines=_lines(kept), exit_code=kept.exit_code)


def _fields(kept: Kept) -> dict[str, Any]:
    return {
        "ok": not kept.failed,
        "orders": [_order(each) for each in kept.swept.orders],
        "placed": kept.swept.placed,
        "urgent": [_order(each) for each in kept.swept.urgent],
        "failed": [_failure(each) for each in kept.failed],
        "expired": vars(kept.expired),
        "repairs": vars(kept.repairs),
    }


def _order(standing: Standing) -> dict[str, Any]:
    from flows.rights import records

    return {
        **records.order(standing.order),
        "held_by": [hold.id for hold in standing.held_by],
        "late": standing.late,
    }


def _failure(failed: Failed) -> dict[str, Any]:
    order = failed.standing.order.id if failed.standing else None
    return {"order": order, **error_fields(failed.error)}


def _lines(kept: Kept) -> list[str]:
    told = [f"order {each.order.id}: {each.order.state.value}" for each in kept.swept.orders]
    for counts in (kept.expired, kept.repairs):
        told += [f"{name.replace('_', ' ')}: {n}" for name, n in vars(counts).items() if n]
    told += [
        f"{f'order {each.standing.order.id}' if each.standing else 'upkeep'} failed: "
        f"{each.error.message} {each.error.remedy}"
        for each in kept.failed
    ]
    return told or ["nothing was due"]
