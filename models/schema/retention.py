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
    """Requests are answered within this (Policy P19; GB/T 35273-2020 8.7)."""
    account_closure_working_days: int = Field(default=15, gt=0)
    """A closed account is erased within this, in working days of China (Policy P19;
    GB/T 35273-2020 8.5)."""
    alarm_days_before: int = Field(default=5, gt=0)
    """An order or request that is not finished raises the alarm this long before it is late
    ("before it is late", Policy P19; the number is the house's). It is more than the 3 days by
    which working days of a year that the calendar does not know can be counted too late."""
    hold_days_most: int = Field(default=366, gt=0)
    """A hold ends by itself within this; one that is still needed is placed again, with its
    document (Policy P20 asks for an expiry; the number is the house's)."""
    base_retraining_days: int = Field(default=30, gt=0)
    """A shared base is retrained without an erased person within this and not used after it
    (invariant 8; the number is that of Policy P19)."""
    checkpoint_days: int = Field(default=7, gt=0)
    """A checkpoint of a training that was not resumed (the number is the house's)."""
    service_end_notice_days: int = Field(default=30, gt=0)
    """The end of the service is announced at least this long before (Policy P14)."""

    def expires_at(self, rule: Expiry, *, now: datetime, uploaded_at: datetime) -> datetime | None:
        """When an object written now goes by itself; None where it lives with the consent."""
        if rule is Expiry.QUARANTINE:
            return now + timedelta(hours=self.quarantine_hours)
        if rule is Expiry.RAW:
            return min(
                now + timedelta(days=self.raw_days_after_ingest),
                uploaded_at + timedelta(days=self.raw_days_after_upload_most),
            )
        if rule is Expiry.TRAINING:
            return now + timedelta(days=self.checkpoint_days)
        return None
