"""The export as the command line and `likeness.py` call it: who runs it, where it may not go."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from flows.opening import storage
from flows.rights.export import export
from flows.settings import settings
from storage.registers.requests import Handling


def export_person(subject: str, authenticated_by: str, out: Path) -> dict[str, Any]:
    """Write everything held about a person to a folder; the command line's JSON fields.

    Raises what `flows.rights.export.export` raises.
    """
    exported = export(
        storage(),
        subject,
        Handling(operating_system_user(), authenticated_by),
        out,
        language=settings().language,
        outside=_own_folders(),
    )
    return {
        "request": exported.request,
        "answered": list(exported.answered),
        "out": str(out),
        "files": list(exported.files),
        "not_given": list(exported.not_given),
    }


def operating_system_user() -> str:
    """The name of whoever runs this process, or their number where it has no name."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _own_folders() -> list[Path]:
    house = settings()
    folders = [house.home, house.storage.keys_folder]
    if "://" not in house.storage.objects_url:
        folders.append(Path(house.storage.objects_url))
    return folders
