"""What an artefact is a model of."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """What an engine makes."""

    VOICE = "voice"
    HUMAN = "human"
    BASE = "base"
    """A base of several people, which voice or human engines start from (invariant 8)."""
