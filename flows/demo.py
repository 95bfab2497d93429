"""`make demo`: the main job on one recording, in a home of its own, with a table at the end.

    python -m flows.demo FOLDER [MEDIA]

Without MEDIA it makes its own sample: a public-domain portrait set in motion, with speech from an
offline reader. Everything is kept under FOLDER; the report is written there in plain, as a user
would ask for it.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from models.schema.errors import LikenessError
from models.schema.purposes import Purpose


def main(arguments: list[str]) -> int:
    """Run the demo; returns the exit code."""
    folder = Path(arguments[0]).absolute()
    media = Path(arguments[1]) if len(arguments) > 1 and arguments[1] else None
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    os.environ["LIKENESS_HOME"] = str(home)
    try:
        return _run(folder, media)
    except LikenessError as error:
        print(f"demo: {error.message}\nWhat to do: {error.remedy}", file=sys.stderr)
        return error.exit_code


def _run(folder: Path, media: Path | None) -> int:
    from flows.declaring import grant_from
    from flows.opening import storage
    from flows.report.serving import report_bytes
    from flows.uploading import Request, upload_and_process

    if media is None:
        media = _sample(folder)
    print(f"Uploading {media.name} for voice cloning and a digital human ...", flush=True)
    begun = time.monotonic()
    request = Request(
        file=media,
        subject="demo",
        account=None,
        purposes=frozenset({Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN}),
        grant=grant_from(
            "The person running this demo declares that it is their recording.",
            himself=True,
            authorised_by=None,
            explicit=False,
        ),
    )
    (result,) = upload_and_process([request], show_progress=True)
    if result.error is not None:
        raise result.error
    report = folder / "report.html"
    if result.fields["report"] is not None:
        report.write_bytes(report_bytes(storage(), result.fields["upload"]))
    _print_table(result.fields, report, time.monotonic() - begun)
    return {"rejected": 2, "refused": 3}.get(result.fields["state"], 0)


def _sample(folder: Path) -> Path:
    from models.sample import make_sample

    sample = folder / "sample.mp4"
    if not sample.is_file():
        print("Making a sample: a portrait set in motion, read aloud offline ...", flush=True)
        unfinished = sample.with_suffix(".part.mp4")
        make_sample(unfinished)
        unfinished.replace(sample)
    return sample


def _print_table(fields: dict[str, Any], report: Path, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What became of it", show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Upload", f"{fields['upload']}: {fields['state']}")
    for reason in fields["reasons"]:
        table.add_row("Because", reason.get("english", reason["code"]))
    media = fields["media"] or {}
    if sound := media.get("sound"):
        table.add_row(
            "Sound", f"{sound['codec']}, {sound['sample_rate_hz']} Hz, {sound['channels']} channels"
        )
    if picture := media.get("picture"):
        size = f"{picture['width_pixels']} x {picture['height_pixels']}"
        table.add_row("Picture", f"{picture['codec']}, {size}")
    if voice := fields["voice"]:
        table.add_row(
            "Speech",
            f"{voice['speech_seconds']:.1f} s in {voice['utterances']} utterances, "
            f"{voice['speakers']} voice(s), language: {voice['language'] or 'unknown'}",
        )
    if face := fields["face"]:
        table.add_row(
            "Faces",
            f"{face['faces']}, seen in {face['frames_with_face']} of {face['frames']} frames",
        )
    # What is said for two purposes alike is said once.
    told = dict.fromkeys((v["level"], v["english"]) for v in fields["verdicts"])
    for level, sentence in told:
        table.add_row(f"Verdict ({level})", sentence)
    for kind, (count, total) in _objects(fields["upload"]).items():
        table.add_row(f"Stored: {kind}", f"{count} encrypted, {total / 1024:.0f} KiB")
    home = os.environ["LIKENESS_HOME"]
    table.add_row("Where it is", f"{home}/objects (encrypted), keys in {home}/keys")
    if report.is_file():
        table.add_row("Report (plain)", str(report))
    if length := fields["media_seconds"]:
        flow = fields["seconds"] or seconds
        table.add_row(
            "Time",
            f"{length:.1f} s of media in {flow:.1f} s ({length / flow:.1f} x real time); "
            f"{seconds:.1f} s with starting Prefect and loading the models",
        )
    Console().print(table)


def _objects(upload: str) -> dict[str, tuple[int, int]]:
    from flows.opening import storage

    found: dict[str, tuple[int, int]] = {}
    for row in storage().uploads.objects_of(upload):
        count, size = found.get(row.kind, (0, 0))
        found[row.kind] = (count + 1, size + (row.plain_bytes or 0))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
