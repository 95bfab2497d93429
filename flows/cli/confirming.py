"""Asking before something is destroyed."""

from __future__ import annotations

import sys

import typer

from flows.cli.answers import say
from models.schema.errors import BadUsage


def confirm(what: str, *, yes: bool) -> None:
    """Show what a destructive command will do and ask; raises BadUsage where nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadUsage(
            "This needs a confirmation, and there is no terminal to ask on.",
            remedy="Give --yes once you are sure.",
        )
    say(what)
    if not typer.confirm("Go on?", err=True):
        raise typer.Abort
