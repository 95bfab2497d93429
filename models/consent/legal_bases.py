"""Cases in which the law allows something without consent (Policy P06, article I.3 a-l).

A legal basis is recorded, names what it permits and ends by itself. It is never a default, and it
never permits training: no member of `LegalUse` is a use for a purpose, and the decision about
purposes does not read legal bases at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

CASES: Final = frozenset("abcdefghijkl")
"""The cases of article I.3."""


class LegalUse(StrEnum):
    """What a legal basis can permit."""

    KEEP = "keep"
    """Keep what would otherwise expire or be erased."""
    INSPECT = "inspect"
    """Look at what is held."""
    DISCLOSE = "disclose"
    """Hand it to the recipient that the document names."""


class LegalBasis(BaseModel):
    """One recorded basis; `ended` where it was taken back before it expired."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int
    case: str = Field(pattern="^[a-l]$")
    document_digest: str
    permits: frozenset[LegalUse] = Field(min_length=1)
    covers: frozenset[str] = frozenset()
    """The kinds of object that the document names; only these may be inspected or leave."""
    recorded_at: datetime
    expires_at: datetime
    ended: bool = False


def basis_for(bases: Sequence[LegalBasis], use: LegalUse, at: datetime) -> LegalBasis | None:
    """The newest basis that permits a use at a moment; None means no."""
    fitting = [
        basis
        for basis in bases
        if use in basis.permits and not basis.ended and at < basis.expires_at
    ]
    return max(fitting, key=lambda basis: basis.sequence, default=None)
