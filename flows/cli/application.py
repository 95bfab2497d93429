"""The command's entry: nouns are put together here, and usage errors get the house's manners."""

from __future__ import annotations

import json
import sys

import typer
from typer.exceptions import Abort, TyperException

from flows.cli import consent, doctor, ingest, ledger, reconcile, subject, upload, weights

application = typer.Typer(
    name="likeness",
    help="Consented, encrypted, traceable voice and face features from uploaded recordings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
ingest.add_to(application)
reconcile.add_to(application)
doctor.add_to(application)
application.add_typer(upload.noun, name="upload")
application.add_typer(subject.noun, name="subject")
application.add_typer(consent.noun, name="consent")
application.add_typer(weights.noun, name="weights")
application.add_typer(ledger.noun, name="ledger")


def main() -> None:
    """Run the command; usage errors exit 2, as JSON where JSON was asked for."""
    try:
        code = application(standalone_mode=False)
    except (Abort, KeyboardInterrupt):
        code = 130
    except TyperException as error:
        code = _usage(error)
    sys.exit(code or 0)


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
