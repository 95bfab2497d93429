"""Uploading and processing in one go, as the command line and `likeness.py` do it.

Each file is taken in and admitted first; only when something is left to process are Prefect and
the models imported. The flow runs in this process, on the server that PREFECT_API_URL names, else
on an ephemeral one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.admission import admitted_facts
from flows.intake import take_in
from flows.opening import storage
from flows.settings import settings
from models.schema.errors import LikenessError
from models.schema.purposes import Purpose
from storage.catalogue.uploads import WAITING, Upload, UploadState
from storage.registers.consents import Grant
from storage.registers.uploads import Declaration


@dataclass(frozen=True)
class Request:
    """One file and what is declared about it."""

    file: Path
    subject: str
    account: str | None
    purposes: frozenset[Purpose]
    grant: Grant
    transcript: str | None = None


@dataclass(frozen=True)
class Result:
    """What became of one file: `fields` as the command line's JSON has them."""

    fields: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    error: LikenessError | None = None


def upload_and_process(requests: Sequence[Request], *, show_progress: bool) -> list[Result]:
    """Take every file in, process what was admitted, and tell what became of each."""
    house = storage()
    taken: list[Upload | LikenessError] = []
    for request in requests:
        try:
            taken.append(_take_in_and_admit(request))
        except LikenessError as error:
            taken.append(error)
    waiting = [u for u in taken if isinstance(u, Upload) and u.state in WAITING]
    failed: dict[str, LikenessError] = {}
    if waiting:
        from flows.processing import process

        failed = process([upload.id for upload in waiting], show_progress=show_progress)
    results = []
    for outcome in taken:
        if isinstance(outcome, LikenessError):
            results.append(_failure(outcome))
        elif outcome.id in failed:
            results.append(_failure(failed[outcome.id], upload=outcome.id))
        else:
            results.append(told(house.uploads.by_id(outcome.id)))
    return results


def _take_in_and_admit(request: Request) -> Upload:
    house = storage()
    declaration = Declaration(
        subject=request.subject,
        account=request.account,
        purposes=request.purposes,
        grant=request.grant,
        file_name=request.file.name,
        transcript=request.transcript,
    )
    upload = take_in(house, request.file, declaration, settings().media_limits)
    admitted_facts(house, upload, limits=settings().media_limits, scratch=settings().scratch)
    return house.uploads.by_id(upload.id)


def told(upload: Upload) -> Result:
    """What became of an upload, for programs and for people."""
    outcome = upload.outcome
    fields = {
        "upload": upload.id,
        "state": upload.state.value,
        "reasons": upload.reasons,
        "media": outcome.get("media"),
        "decoded": outcome.get("decoded"),
        "voice": outcome.get("voice"),
        "face": outcome.get("face"),
        "verdicts": outcome.get("verdicts", []),
        "seconds": outcome.get("seconds"),
        "media_seconds": outcome.get("media_seconds"),
        "report": outcome.get("report"),
        "duplicate_of": upload.duplicate_of,
        "purposes": sorted(upload.purposes),
    }
    lines = [f"{upload.state.value}  upload {upload.id}", *sentences(upload)]
    if upload.state in {UploadState.ADMITTED, UploadState.NEEDS_IDENTIFICATION}:
        lines.append(f"  report: likeness upload report --upload {upload.id} --out report.html")
    return Result(fields, lines)


def sentences(upload: Upload) -> list[str]:
    """Reasons and verdicts for people; what is said for two purposes alike is said once."""
    told = [reason.get("english", reason["code"]) for reason in upload.reasons]
    told += [verdict["english"] for verdict in upload.outcome.get("verdicts", [])]
    return [f"  {sentence}" for sentence in dict.fromkeys(told)]


def _failure(error: LikenessError, *, upload: str | None = None) -> Result:
    state = {2: "rejected", 3: "refused"}.get(error.exit_code, "failed")
    reason = {"code": error.reason, "english": f"{error.message} {error.remedy}"}
    fields = {
        "upload": upload,
        "state": state,
        "reasons": [reason],
        "media": None,
        "voice": None,
        "face": None,
        "verdicts": [],
        "seconds": None,
        "report": None,
    }
    return Result(fields, [state, f"  {reason['english']}"], error)
