"""What the ledger knows about one person's consent, as the decision reads it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from models.schema.purposes import Purpose

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far two machines of one house may disagree about the time."""


class Event(StrEnum):
    """An act about one purpose."""

    GRANT = "grant"
    REFUSAL = "refusal"
    WITHDRAWAL = "withdrawal"
    GUARDIAN_CONSENT = "guardian_consent"
    """A guardian's written consent for a minor (Policy P21)."""


NEGATIVE: Final = frozenset({Event.REFUSAL, Event.WITHDRAWAL})
POSITIVE: Final = frozenset({Event.GRANT, Event.GUARDIAN_CONSENT})


class Source(StrEnum):
    """How a grant came to be written (Policy P03)."""

    UPLOAD = "upload"
    """With the intent of an upload: the act of uploading."""
    EXPLICIT = "explicit"
    """By `consent grant` or a spoken statement, with evidence of its own."""


class Uploader(StrEnum):
    """Who acts (Policy P03)."""

    SELF = "self"
    AUTHORISED = "authorised"
    """Another person, who holds the data subject's express authorisation."""
    GUARDIAN = "guardian"
    """The guardian of a minor (Policy P21)."""


class EvidenceLevel(StrEnum):
    """How strong the evidence of a grant is."""

    DECLARED = "declared"
    """The person's words, as the caller passed them on."""
    DOCUMENT = "document"
    SPOKEN = "spoken"
    """The person read a one-time statement aloud, and the voice is theirs."""

    @property
    def rank(self) -> int:
        """Stronger evidence has the higher rank."""
        return list(EvidenceLevel).index(self)


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
    policy_version: str | None = None
    """The version of the privacy policy that was agreed to; None where none was published."""
    expires_at: datetime | None = None
    """The person agreed until then; None: as long as the service is used (Policy P07)."""
    recipient: str | None = None
    """Random id of the recipient that a disclosure is agreed to; None: our own use."""
    region: str | None = None
    """The region abroad that data may go to with this disclosure (Policy P13)."""


class Freeze(BaseModel):
    """A stop that covers the asked scope; None as purpose means every purpose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int
    purpose: Purpose | None
    cause: str
