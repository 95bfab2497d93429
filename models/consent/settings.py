"""Settings of the spoken statement, with where each default comes from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class StatementSettings(BaseModel):
    """Whose service the person agrees to, how long a challenge lasts, and what is accepted.

    The shares and the similarity were chosen on the measurements in docs/measured.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    company_english: str = Field(default="this service", min_length=1, max_length=80)
    company_chinese: str = Field(default="本服务", min_length=1, max_length=40)
    """The name that is read aloud. Whoever runs the house sets it."""
    lifetime_hours: float = Field(default=24.0, gt=0)
    """A day: the challenge may be answered elsewhere, by a link that travels by mail."""
    attempts_most: int = Field(default=5, gt=0)
    """Recordings that may be tried on one challenge; then a new one is needed."""

    fixed_share_least: float = Field(default=0.7, gt=0, le=1)
    """How much of the sentence before the random words must be heard; the company's name does not
    count, since recognisers do not know names."""
    words_missed_most: int = Field(default=1, ge=0)
    """Random words that may be misheard. The five that are left still hold 39 bits."""
    surplus_share_most: float = Field(default=0.5, gt=0)
    """Speech beyond the sentence, as a share of it. A recording that reads out a whole word list
    holds every challenge."""

    least_speech_seconds: float = Field(default=4.0, gt=0)
    """The shortest sentence read fast. Less than four windows of the speaker encoder says little
    of a voice."""
    decoded_seconds: float = Field(default=90.0, gt=0)
    """The longest sentence takes 20 s when it is read slowly."""
    size_bytes: int = Field(default=16 * 1024**2, gt=0, le=16 * 1024**2)
    """90 s of 16-bit sound at 48 kHz is 8.6 MB. The statement is sound; no picture is kept."""
    same_voice_least: float | None = Field(default=None, gt=-1, lt=1)
    """Cosine to the earlier uploads' voice; None: the speaker encoder's own threshold for uploads
    (models/voice/thresholds.toml)."""
