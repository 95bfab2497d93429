"""Times as every command, file and page for programs gives them."""

from __future__ import annotations

from datetime import datetime


def stamp(at: datetime) -> str:
    """RFC 3339, UTC, whole seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_or_none(at: datetime | None) -> str | None:
    """The same, None where there is none."""
    return None if at is None else stamp(at)
