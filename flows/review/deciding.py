"""What waits for a reviewer, and the decision: approve takes the upload up again, reject erases it.

Nothing is looked at here: numbers and reasons are all that is told.
"""

from __future__ import annotations

import os
import pwd
from typing import Any

from flows.opening import storage
from flows.times import stamp_or_none
from flows.uploading import Result, told
from models.schema.verdict import Level
from storage.catalogue.uploads import Upload
from storage.registers.reviews import Reviewer, is_approved


def waiting() -> list[dict[str, Any]]:
    """Everything that waits, the nearest deadline first."""
    return [item(upload) for upload in storage().reviews.waiting()]


def item(upload: Upload) -> dict[str, Any]:
    """One upload as the command line tells a reviewer: counts, reasons, times."""
    outcome = upload.outcome
    doubts = [
        {
            "code": verdict["code"],
            "english": verdict["english"],
            "chinese": verdict["chinese"],
            "measured": verdict.get("measured"),
            "limit": verdict.get("limit"),
        }
        for verdict in outcome.get("verdicts", [])
        if verdict["level"] == Level.IDENTIFY
    ]
    return {
        "upload": upload.id,
        "state": "approved" if is_approved(upload) else upload.state.value,
        "purposes": sorted(upload.purposes),
        "reasons": doubts,
        "voices": (outcome.get("voice") or {}).get("speakers"),
        "faces": (outcome.get("face") or {}).get("faces"),
        "media_seconds": outcome.get("media_seconds"),
        "waiting_since": stamp_or_none(upload.ended_at),
        "expires": stamp_or_none(upload.expires_at),
    }


def approve(upload: str, *, by: str, reason: str, show_progress: bool) -> Result:
    """Record that the main person is the one it was uploaded for, and process the upload.

    The processing asks consent again, as always. Raises what `Reviews.approve` raises, and what
    stopped the processing; then the same call by the same reviewer finishes it.
    """
    house = storage()
    house.reviews.approve(upload, _reviewer(by, reason))
    from flows.processing import process

    failed = process([upload], show_progress=show_progress)
    if upload in failed:
        raise failed[upload]
    return told(house.uploads.by_id(upload))


def reject(upload: str, *, by: str, reason: str) -> Result:
    """Record that it is not the person it was uploaded for; everything of the upload is erased."""
    return told(storage().reviews.reject(upload, _reviewer(by, reason)))


def _reviewer(by: str, reason: str) -> Reviewer:
    return Reviewer(by, reason, _system_user())


def _system_user() -> str:
    # Not from the environment, which anybody can set.
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
