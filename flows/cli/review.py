"""`likeness review`: whose voice, whose face (invariant 11)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.answers import EXIT_BY_STATE, Answer, Json, answering, say
from flows.cli.confirming import confirm
from flows.opening import storage
from flows.review import deciding
from flows.settings import settings
from models.schema.errors import BadUsage

noun = typer.Typer(
    help="Uploads that wait for somebody to say whose voice or face it is.", no_args_is_help=True
)

UploadId = Annotated[str, typer.Option("--upload", help="The upload's id.")]
By = Annotated[str, typer.Option("--by", help="Who decides; kept encrypted beside the decision.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept encrypted beside the decision.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@noun.command("list")
@answering
def list_waiting(json_output: Json = False) -> Answer:
    """List what waits, the nearest deadline first. Nothing is opened.

    Example: likeness review list
    """
    items = deciding.waiting()
    return Answer(
        {"items": items},
        lines=[
            f"{item['upload']}  {item['state']:<20}  until {item['expires']}  "
            f"{', '.join(reason['code'] for reason in item['reasons'])}"
            for item in items
        ]
        or ["nothing waits"],
    )


@noun.command("show")
@answering
def show(
    upload: UploadId,
    portraits: Annotated[
        Path | None,
        typer.Option(help="Write portraits of everybody seen: a page (.html) or into a folder."),
    ] = None,
    voices: Annotated[
        Path | None, typer.Option(help="Write a short clip of every voice into this folder.")
    ] = None,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Show both on a page on loopback until you close it; writes nothing."
        ),
    ] = False,
    json_output: Json = False,
) -> Answer:
    """Tell why one upload waits: counts and reasons. Portraits and clips only where asked for.

    Every look at portraits or clips is on record in the access log.

    Example: likeness review show --upload 4f0c... --portraits faces.html
    """
    item = deciding.item(storage().reviews.by_id(upload))
    answer = Answer({"items": [item]}, lines=_lines(item))
    if portraits is None and voices is None and not serve:
        return answer
    if serve and (portraits is not None or voices is not None):
        raise BadUsage(
            "--serve writes nothing, and --portraits and --voices write.",
            remedy="Give --serve alone, or name where to write.",
        )
    if serve:
        _serve(upload, item)
        return answer
    written = _write(upload, item, portraits, voices)
    answer.fields["written"] = [str(file) for file in written]
    answer.lines += [
        f"written: {file}  (personal data; delete it when you have decided)" for file in written
    ]
    return answer


@noun.command("approve")
@answering
def approve(
    upload: UploadId, by: By, reason: Why, yes: Yes = False, json_output: Json = False
) -> Answer:
    """Say that the main person is the one it was uploaded for, and process the upload.

    The decision stays on record. Features of anybody else in the recording are not kept. If the
    processing is interrupted, give the same command again.

    Example: likeness review approve --upload 4f0c... --by "M. Li, data protection"
    --reason "compared with the passport photograph" --yes
    """
    confirm(
        "Approve: the person seen or heard most is on record as the person it was uploaded for, "
        "and the upload is processed.",
        yes=yes,
    )
    result = deciding.approve(upload, by=by, reason=reason, show_progress=not json_output)
    return Answer(
        result.fields,
        lines=result.lines,
        exit_code=EXIT_BY_STATE.get(str(result.fields["state"]), 0),
    )


@noun.command("reject")
@answering
def reject(
    upload: UploadId, by: By, reason: Why, yes: Yes = False, json_output: Json = False
) -> Answer:
    """Say that it is not the person it was uploaded for; everything of the upload is erased.

    Example: likeness review reject --upload 4f0c... --by "M. Li, data protection"
    --reason "another voice" --yes
    """
    confirm("Reject: everything that is kept of this upload is erased now.", yes=yes)
    result = deciding.reject(upload, by=by, reason=reason)
    return Answer(result.fields, lines=result.lines)


def _lines(item: dict[str, Any]) -> list[str]:
    counts = [f"{item[what]} {what}" for what in ("voices", "faces") if item[what] is not None]
    lines = [
        f"{item['state']}  upload {item['upload']}  since {item['waiting_since']}  "
        f"until {item['expires']}",
        f"  for {', '.join(item['purposes'])}; found: {', '.join(counts) or 'nothing counted'}",
    ]
    for reason in item["reasons"]:
        lines.append(f"  {reason['english']}")
        if reason["measured"] is not None:
            lines.append(f"    measured {reason['measured']:.2f}, limit {reason['limit']:.2f}")
    return lines


def _write(
    upload: str, item: dict[str, Any], portraits: Path | None, voices: Path | None
) -> list[Path]:
    from flows.review.looking import look, write_page, write_portraits, write_voices

    _require_place(portraits, voices)
    seen = look(
        storage(), upload, settings(), portraits=portraits is not None, voices=voices is not None
    )
    written: list[Path] = []
    if portraits is not None and portraits.suffix.lower() == ".html":
        from flows.review.page import render

        written += write_page(render(seen, item, settings().language), portraits)
    elif portraits is not None:
        written += write_portraits(seen, portraits)
    if voices is not None:
        written += write_voices(seen, voices)
    return written


def _require_place(*places: Path | None) -> None:
    """Told before anything is decrypted, so that nobody looks in vain."""
    for place in places:
        if place is not None and not place.parent.is_dir():
            raise BadUsage(
                "There is no folder to write that into.",
                remedy="Name a place in a folder that exists and is yours.",
            )


def _serve(upload: str, item: dict[str, Any]) -> None:
    from flows.report.serving import serve_report
    from flows.review.looking import look_at_all
    from flows.review.page import render

    page = render(look_at_all(storage(), upload, settings()), item, settings().language)
    serve_report(page.encode(), announce=say)
