"""Days and times as people give them to commands."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from models.consent.ages import CHINA
from models.schema.errors import BadUsage


def moment_from(text: str) -> datetime:
    """A time with its zone, or a day: its beginning in China. Raises BadUsage."""
    day = _day(text)
    if day is not None:
        return datetime.combine(day, time(), tzinfo=CHINA).astimezone(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadUsage(
            "A time cannot be read.",
            remedy="Give a day (2026-12-31) or a time with its zone (2026-12-31T12:00:00+08:00).",
        )
    return moment.astimezone(UTC)


def day_from(text: str) -> date:
    """A calendar day; raises BadUsage."""
    day = _day(text)
    if day is None:
        raise BadUsage("A day cannot be read.", remedy="Give it as 2026-12-31.")
    return day


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
