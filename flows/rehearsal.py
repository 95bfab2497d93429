"""What would become of a file, without keeping anything of it: `ingest --dry-run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.admission import require_useful
from flows.intake import opened, pieces
from flows.settings import Settings
from models.consent.reasons import Reason
from models.media.probe import probe
from models.media.unlinked import unlinked_file
from models.schema.errors import BadInput
from models.schema.purposes import Purpose
from storage.assembly import Storage

_UPLOADING_GRANTS = {"never_granted"}
"""Uploading is itself the act of consent (Policy P03), so its absence now is no obstacle."""


def rehearse(
    storage: Storage, file: Path, subject: str, purposes: frozenset[Purpose], settings: Settings
) -> dict[str, Any]:
    """The state that the upload would get, with reasons; `admitted` where nothing speaks against.

    Whether it is one person, and what it suffices for, is known only after the work.
    """
    reasons: list[dict[str, str]] = []
    allowed = set()
    for decision in storage.consents.decisions(subject):
        if decision.purpose not in purposes:
            continue
        obstacles = [r for r in decision.reasons if r.code not in _UPLOADING_GRANTS]
        reasons += [_told(decision.purpose, reason) for reason in obstacles]
        if not obstacles:
            allowed.add(decision.purpose)
    row: dict[str, Any] = {"upload": None, "state": "refused", "reasons": reasons, "media": None}
    if not allowed:
        return row
    try:
        with opened(file, settings.media_limits) as source:
            settings.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            with unlinked_file(settings.scratch) as copy:
                for piece in pieces(source, settings.media_limits):
                    copy.write(piece)
                copy.flush()
                copy.seek(0)
                facts = probe(copy, settings.media_limits)
        require_useful(facts, frozenset(allowed))
    except BadInput as error:
        reasons.append({"code": error.reason, "english": f"{error.message} {error.remedy}"})
        return {**row, "state": "rejected"}
    return {**row, "state": "admitted", "media": facts.model_dump(mode="json")}


def _told(purpose: Purpose, reason: Reason) -> dict[str, str]:
    return {"purpose": purpose.value, **reason.model_dump()}
