"""How long things are kept: every legal and house period, with its source, in one place."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from models.schema.kinds import Expiry


class Retention(BaseModel):
    """Periods after which an object goes by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quarantine_hours: float = Field(default=24.0, gt=0)
    """Quarantine empties itself (DESIGN, the way of the data)."""
    raw_days_after_ingest: int = Field(default=30, gt=0)
    """Raw recordings after ingest (Policy P25, GB/T 35273-2020 6.3)."""
    raw_days_after_upload_most: int = Field(default=180, gt=0)
    """Raw recordings at most, whatever needs them (Policy P25)."""
    identification_days: int = Field(default=7, gt=0)
    """What waits for somebody to say whose it is (invariant 11)."""
    guardian_days: int = Field(default=15, gt=0)
    """A flagged minor's data waits this long, stopped, for a guardian to be reached, then it is
    erased ("soon", Policy P21; the number is the house's)."""
    request_days: int = Field(default=30, gt=0)
    """Requests are answered within this (Policy P19)."""

    def expires_at(self, rule: Expiry, *, now: datetime, uploaded_at: datetime) -> datetime | None:
        """When an object written now goes by itself; None where it lives with the consent."""
        if rule is Expiry.QUARANTINE:
            return now + timedelta(hours=self.quarantine_hours)
        if rule is Expiry.RAW:
            return min(
                now + timedelta(days=self.raw_days_after_ingest),
                uploaded_at + timedelta(days=self.raw_days_after_upload_most),
            )
        return None
