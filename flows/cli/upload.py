"""`likeness upload`: what an upload became, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering, say
from flows.cli.writing import write_out
from flows.opening import storage
from flows.report.serving import report_bytes, serve_report
from flows.times import stamp
from flows.uploading import sentences
from storage.catalogue.objects import StoredRow
from storage.catalogue.uploads import Upload

noun = typer.Typer(help="Uploads: what each became, and its report.", no_args_is_help=True)

UploadId = Annotated[str, typer.Option("--upload", help="The upload's id.")]


@noun.command("list")
@answering
def list_uploads(
    limit: Annotated[int, typer.Option(help="How many, newest first.")] = 100,
    json_output: Json = False,
) -> Answer:
    """List the newest uploads.

    Example: likeness upload list
    """
    found = storage().uploads.newest(limit=limit)
    return Answer(
        {"uploads": [summary(upload) for upload in found]},
        lines=[
            f"{upload.id}  {upload.state.value:<20}  {stamp(upload.created_at)}  "
            f"{', '.join(sorted(upload.purposes))}"
            for upload in found
        ]
        or ["no uploads"],
    )


@noun.command("show")
@answering
def show(upload: UploadId, json_output: Json = False) -> Answer:
    """Show one upload: its state, verdicts, and every object that was made of it.

    Example: likeness upload show --upload 4f0c...
    """
    house = storage()
    row = house.uploads.by_id(upload)
    objects = house.uploads.objects_of(upload)
    lines = [f"{row.state.value}  upload {row.id}  received {stamp(row.created_at)}"]
    lines += sentences(row)
    lines += [
        f"  {each.kind:<18} {each.id}  {each.plain_bytes or 0:>12} bytes  "
        f"{'until ' + stamp(each.expires_at) if each.expires_at else 'lives with the consent'}"
        for each in objects
    ]
    fields = {**summary(row), "objects": [_object(each) for each in objects]}
    return Answer(fields, lines=lines)


@noun.command("report")
@answering
def report(
    upload: UploadId,
    out: Annotated[
        Path | None, typer.Option(help="Write the page here; else it is served on loopback.")
    ] = None,
    json_output: Json = False,
) -> Answer:
    """Write an upload's report to a file of yours, or show it from memory until you close it.

    Example: likeness upload report --upload 4f0c... --out report.html
    """
    page = report_bytes(storage(), upload)
    if out is None:
        serve_report(page, announce=say)
        return Answer({"upload": upload, "bytes": len(page)})
    write_out(out, page, what="report")
    return Answer(
        {"upload": upload, "out": str(out), "bytes": len(page)},
        lines=[f"written: {out}  (a plain copy of personal data; delete it when you are done)"],
    )


def summary(upload: Upload) -> dict[str, Any]:
    """One upload's fields, as every command gives them."""
    return {
        "upload": upload.id,
        "state": upload.state.value,
        "purposes": sorted(upload.purposes),
        "reasons": upload.reasons,
        "verdicts": upload.outcome.get("verdicts", []),
        "report": upload.outcome.get("report"),
        "received_at": stamp(upload.created_at),
        "expires_at": stamp(upload.expires_at) if upload.expires_at else None,
        "size_bytes": upload.size_bytes,
        "duplicate_of": upload.duplicate_of,
    }


def _object(row: StoredRow) -> dict[str, Any]:
    return {
        "object": row.id,
        "kind": row.kind,
        "bytes": row.plain_bytes,
        "purposes": sorted(row.basis),
        "sealed_sha256": row.sealed_sha256,
        "created_at": stamp(row.created_at),
        "expires_at": stamp(row.expires_at) if row.expires_at else None,
    }
