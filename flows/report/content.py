"""What the report of one upload tells; everything the page needs, nothing that renders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.schema.face import MeasuredFace
from models.schema.media import DecodeSummary, MediaFacts
from models.schema.purposes import Purpose
from models.schema.verdict import Verdict
from models.schema.voice import MeasuredVoice


@dataclass(frozen=True)
class ConsentLine:
    """What was agreed about one purpose, and whether it holds at the time of the report."""

    purpose: Purpose
    allowed: bool
    granted_at: datetime | None
    uploader: str
    """`self`, `authorised` or `guardian`."""
    evidence_level: str
    """`declared`, `document` or `spoken`."""
    reasons_english: tuple[str, ...] = ()
    reasons_chinese: tuple[str, ...] = ()
    policy_version: str | None = None
    """The version of the privacy policy agreed to; None where none is on record."""
    expires_at: datetime | None = None
    """Agreed until then; None: as long as the service is used."""


@dataclass(frozen=True)
class LineageLine:
    """What was made of the upload: objects of one kind, where they come from, when they go."""

    kind: str
    about: str
    count: int
    bytes: int
    comes_from: tuple[str, ...]
    expires_at: datetime | None
    """None: lives as long as the consent."""


@dataclass(frozen=True)
class ReportContent:
    """One upload's report.

    `voice` and `face` are None where they were not computed, because no granted purpose needs them
    or because the upload waits for somebody to say whose it is.
    """

    upload: str
    received_at: datetime
    made_at: datetime
    state: str
    """A state of the command line: `admitted` or `needs_identification`."""
    media: MediaFacts
    decoded: DecodeSummary
    voice: MeasuredVoice | None
    face: MeasuredFace | None
    verdicts: tuple[Verdict, ...]
    consent: tuple[ConsentLine, ...]
    lineage: tuple[LineageLine, ...]
    seconds: float
    """Wall time that processing took."""
