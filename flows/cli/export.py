"""`likeness export`: everything held about a person, readable without our software (Policy P16)."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.answers import Answer, Json, answering


def add_to(application: typer.Typer) -> None:
    """Put the verb into the command."""
    application.command("export")(export)


@answering
def export(
    subject: Annotated[str, typer.Option("--subject", help="Your own id of the person.")],
    out: Annotated[Path, typer.Option(help="A new or an empty folder.")],
    authenticated_by: Annotated[
        str, typer.Option(help="How you made sure that it is the person; kept encrypted.")
    ] = "",
    json_output: Json = False,
) -> Answer:
    """Write everything that is held about a person, decrypted, to a folder of yours.

    Opens and answers a request of its own; works while the person's data is frozen, until its
    erasure begins. The folder appears complete or not at all.

    Example: likeness export --subject s-17 --authenticated-by "identity card shown at the desk"
    --out for-the-person
    """
    from flows.exporting import export_person

    # Asked to end, it removes the plain copies it has begun, as when it is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    fields = export_person(subject, authenticated_by, out)
    lines = [
        f"{len(fields['files'])} files written: {out / 'index.html'} is the first page",
        "They are plain copies of personal data: give them to the person, then delete them.",
    ]
    if fields["not_given"]:
        lines.append(f"{len(fields['not_given'])} objects are not in it; README.txt says why.")
    return Answer(fields, lines=lines)
