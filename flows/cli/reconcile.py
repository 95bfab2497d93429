"""`likeness reconcile`: put right what crashes and time leave behind."""

from __future__ import annotations

import typer

from flows.cli.answers import Answer, Json, answering


def add_to(application: typer.Typer) -> None:
    """Register the command."""
    application.command("reconcile")(reconcile)


@answering
def reconcile(json_output: Json = False) -> Answer:
    """Remove stale intents, strays, late writes, scratch, overdue uploads; safe at any time.

    Example: likeness reconcile --json
    """
    from flows.opening import storage
    from flows.settings import settings
    from flows.steward.reconcile import reconcile_all

    repairs = reconcile_all(storage(), settings())
    found = {name: count for name, count in vars(repairs).items() if count}
    return Answer(
        {"ok": True, "repairs": vars(repairs), "total": repairs.total},
        lines=[f"{name.replace('_', ' ')}: {count}" for name, count in found.items()]
        or ["nothing to put right"],
    )
