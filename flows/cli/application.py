"""The command's entry: nouns are put together here, and usage errors get the house's manners."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import typer
from typer.exceptions import Abort, TyperException

from flows.cli.leaving import Leaving

NOUNS: Final = (
    "upload",
    "subject",
    "consent",
    "avatar",
    "review",
    "policy",
    "minor",
    "basis",
    "disclose",
    "request",
    "erase",
    "receipt",
    "hold",
    "service",
    "weights",
    "ledger",
)
VERBS: Final = ("ingest", "export", "sweep", "reconcile", "doctor")


def application(arguments: Sequence[str]) -> typer.Typer:
    """The command with the noun or verb that the arguments begin with, or with all of them."""
    first = next(iter(arguments), "")
    chosen = {first} if first in {*NOUNS, *VERBS} else {*NOUNS, *VERBS}
    made = typer.Typer(
        name="likeness",
        help="Consented, encrypted, traceable voice and face features from uploaded recordings.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    made.callback()(_together)  # keeps the command's name in front of a single verb
    for verb in VERBS:
        if verb in chosen:
            import_module(f"flows.cli.{verb}").add_to(made)
    for noun in NOUNS:
        if noun in chosen:
            made.add_typer(import_module(f"flows.cli.{noun}").noun, name=noun)
    return made


def _together() -> None:
    """Consented, encrypted, traceable voice and face features from uploaded recordings."""


def main() -> None:
    """Run the command; usage errors exit 2, as JSON where JSON was asked for."""
    leaving = Leaving()  # first of all, so that it comes last
    try:
        command = application(sys.argv[1:])
        gc.freeze()
        gc.enable()
        code = command(standalone_mode=False)
    except (Abort, KeyboardInterrupt):
        code = 130
    except TyperException as error:
        code = _usage(error)
    except OSError as error:  # what a command does answers for itself; this is its answer
        code = 0 if isinstance(error, BrokenPipeError) else _unsaid(error)
    leaving.code = code or 0
    sys.exit(leaving.code)


def _unsaid(error: OSError) -> int:
    print(f"likeness: The answer cannot be written ({error.strerror}).", file=sys.stderr)
    return 1


def _usage(error: TyperException) -> int:
    message = str(error.format_message())
    if message.startswith("Usage:"):  # a noun without a verb: its help is the answer
        print(message)
        return 2
    remedy = "Run the command with --help."
    if "--json" in sys.argv:
        fields = {"code": "bad_usage", "message": message, "remedy": remedy}
        print(json.dumps({"error": fields}, ensure_ascii=False, indent=2))
    else:
        print(f"likeness: {message}", file=sys.stderr)
        print(f"What to do: {remedy}", file=sys.stderr)
    return 2
