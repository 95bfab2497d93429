"""`likeness ingest`: uploads and processes recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.answers import EXIT_BY_STATE, Answer, Json, answering, error_fields, say
from flows.declaring import grant_from, purposes_from
from models.schema.errors import BadUsage, LikenessError
from models.schema.purposes import Purpose

_ORDER = (1, 4, 3, 2)
"""Of several uploads the first of these that occurred is the exit code."""


def add_to(application: typer.Typer) -> None:
    """Register the command."""
    application.command("ingest")(ingest)


@answering
def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Recordings to upload.")],
    subject: Annotated[str, typer.Option(help="Whose voice and face it is: your own id of them.")],
    purpose: Annotated[
        list[str] | None,
        typer.Option(help=f"What it may be used for, once each: {', '.join(Purpose)}."),
    ] = None,
    evidence: Annotated[
        str, typer.Option(help="How the person agreed, in words, or a document's path.")
    ] = "",
    himself: Annotated[
        bool, typer.Option("--self", help="The person uploads their own recording.")
    ] = False,
    authorised_by: Annotated[
        Path | None, typer.Option(help="The document by which the person authorised you.")
    ] = None,
    guardian: Annotated[
        str | None,
        typer.Option(help="A minor's guardian uploads: your own id of the guardian."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="Your own id of the account.")] = None,
    transcript: Annotated[
        str | None, typer.Option(help="What is said, as text or a text file; else recognised.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be admitted; keep nothing.")
    ] = False,
    json_output: Json = False,
) -> Answer:
    """Upload recordings and turn them into consented features and a report.

    Example: likeness ingest talk.mp4 --subject s-17 --purpose voice_cloning
    --purpose digital_human --evidence "signed form of 2026-11-20" --self
    """
    purposes = purposes_from(purpose or [])
    grant = grant_from(
        evidence,
        himself=himself,
        authorised_by=authorised_by,
        guardian=guardian,
        explicit=False,
    )
    if not subject.strip():
        raise BadUsage("The subject is empty.", remedy="Give your own id of the person.")
    if dry_run:
        return _dry_run(paths, subject, purposes)

    from flows.uploading import Request, upload_and_process

    requests = [
        Request(
            file=path,
            subject=subject,
            account=account,
            purposes=purposes,
            grant=grant,
            transcript=_text(transcript),
        )
        for path in paths
    ]
    results = upload_and_process(requests, show_progress=not json_output)
    codes = [result.error.exit_code if result.error else _exit_code(result) for result in results]
    fields = {"uploads": [result.fields for result in results]}
    error = next((r.error for r in results if r.error is not None), None)
    alone = len(results) == 1
    if json_output:
        for line in (line for result in results for line in result.lines):
            say(line)
    return Answer(
        fields=fields,
        lines=[line for result in results for line in result.lines if not (error and alone)],
        exit_code=next((code for code in _ORDER if code in codes), 0),
        error=error if alone else None,
    )


def _exit_code(result: Any) -> int:
    return EXIT_BY_STATE.get(str(result.fields["state"]), 0)


def _text(transcript: str | None) -> str | None:
    if transcript is None:
        return None
    try:
        file = Path(transcript)
        return file.read_text(encoding="utf-8") if file.is_file() else transcript
    except (OSError, ValueError):
        return transcript


def _dry_run(paths: list[Path], subject: str, purposes: frozenset[Purpose]) -> Answer:
    from flows.opening import storage
    from flows.rehearsal import rehearse
    from flows.settings import settings

    house = storage()
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    codes: list[int] = []
    for path in paths:
        try:
            row = rehearse(house, path, subject, purposes, settings())
            codes.append(EXIT_BY_STATE.get(row["state"], 0))
        except LikenessError as error:
            row = {"upload": None, "state": "rejected", "reasons": [error_fields(error)]}
            codes.append(error.exit_code)
        rows.append(row)
        lines.append(f"would be {row['state']}")
        lines += [f"  {reason.get('english') or reason['message']}" for reason in row["reasons"]]
    return Answer(
        {"uploads": rows, "dry_run": True},
        lines=lines,
        exit_code=next((code for code in _ORDER if code in codes), 0),
    )
