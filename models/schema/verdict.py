"""What a recording is good for, in codes for programs and sentences for people."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from models.schema.purposes import Purpose


class Level(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    """Suffices for the purpose."""
    ADVICE = "advice"
    """Usable; a better recording would give a better result."""
    INSUFFICIENT = "insufficient"
    """Does not suffice for the purpose."""
    IDENTIFY = "identify"
    """A person must first say whose voice or face this is (invariant 11)."""
    SETTLED = "settled"
    """A reviewer has said whose voice or face this is."""


class Verdict(BaseModel):
    """One finding about one upload, for one purpose or for all (`purpose` is None)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    """Stable snake_case code, e.g. `speech_too_short`."""
    level: Level
    purpose: Purpose | None
    english: str
    """A whole sentence: what was found, and what to record better."""
    chinese: str
    measured: float | None = None
    """What was compared with `limit`, where the finding is a comparison: the similarity of two
    voices, or the distance of two faces."""
    limit: float | None = None
