"""What the ledger knows about one person's consent, as the decision reads it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from models.schema.purposes import Purpose


class Event(StrEnum):
    """A person's act about one purpose."""

    GRANT = "grant"
    REFUSAL = "refusal"
    WITHDRAWAL = "withdrawal"


NEGATIVE = frozenset({Event.REFUSAL, Event.WITHDRAWAL})


class Source(StrEnum):
    """How a grant came to be written (Policy P03)."""

    UPLOAD = "upload"
    """With the intent of an upload: the act of uploading."""
    EXPLICIT = "explicit"
    """By `consent grant`, with evidence of its own."""


class Uploader(StrEnum):
    """Who hands in the recording (Policy P03)."""

    SELF = "self"
    AUTHORISED = "authorised"
    """Another person, who holds the data subject's express authorisation."""


class EvidenceLevel(StrEnum):
    """How strong the evidence of a grant is."""

    DECLARED = "declared"
    DOCUMENT = "document"


class Fact(BaseModel):
    """One act, as the ledger recorded it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int
    """Position in the ledger: the order in which acts were recorded."""
    event: Event
    purpose: Purpose
    acted_at: datetime
    """When the person acted, which may be before it was recorded."""
    source: Source = Source.EXPLICIT
    uploader: Uploader | None = None
    evidence_level: EvidenceLevel | None = None
    evidence_digest: str | None = None
    authorisation_digest: str | None = None


class Freeze(BaseModel):
    """A stop that covers the asked scope; None as purpose means every purpose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int
    purpose: Purpose | None
    cause: str
