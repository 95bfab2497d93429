"""Something that a check of a receipt found wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A code for programs and a sentence for people; no personal data."""

    code: str
    english: str
