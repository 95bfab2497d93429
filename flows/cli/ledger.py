"""`likeness ledger`: is the record of decisions as it was written?"""

from __future__ import annotations

import typer

from flows.cli.answers import Answer, Json, answering
from flows.opening import storage

noun = typer.Typer(help="The record of decisions.", no_args_is_help=True)


@noun.callback()
def about() -> None:
    """The hash-chained record of what people decided."""


@noun.command("verify")
@answering
def verify(json_output: Json = False) -> Answer:
    """Walk the whole chain; exits 5 and says which entry is not as it was written.

    Example: likeness ledger verify
    """
    house = storage()
    findings = [vars(finding) for finding in house.ledger.verify()]
    entries = house.ledger.head()[0]
    lines = [f"entry {finding['sequence']}: {finding['code']}" for finding in findings]
    return Answer(
        {"ok": not findings, "entries": entries, "findings": findings},
        lines=lines or [f"{entries} entries, all as they were written"],
        exit_code=5 if findings else 0,
    )
