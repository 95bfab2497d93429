"""Minors: how old a person is, without their birth date (Policy P21).

What is kept is the first day on which the person is of age, or only a band where nobody knows the
day. An unknown age is presumed adult until somebody flags it. Days are those of China, whose law
the policy follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

OF_AGE_YEARS: Final = 18
"""Policy VII; Civil Code of the PRC, art. 17."""
SENSITIVE_UNTIL_YEARS: Final = 15
"""14 and under is sensitive by itself (Policy P21; PIPL art. 28)."""
CHINA: Final = timezone(timedelta(hours=8))


class AgeBand(StrEnum):
    """What the rules of consent ask about an age."""

    ADULT = "adult"
    UNDER_18 = "under_18"
    """15 to 17: needs their own consent and a guardian's."""
    FOURTEEN_OR_UNDER = "fourteen_or_under"
    """Their guardian consents for them."""


class AgeStatement(BaseModel):
    """What was recorded about a person's age; the newest one counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int
    band: AgeBand
    """As of the statement; where `turns_18_on` is known, the band follows from it."""
    turns_18_on: date | None = None
    """The first day on which the person is of age."""


def day_of(at: datetime) -> date:
    """The calendar day in China at a moment."""
    return at.astimezone(CHINA).date()


def newest(ages: Sequence[AgeStatement]) -> AgeStatement | None:
    """The statement that counts."""
    return max(ages, key=lambda statement: statement.sequence, default=None)


def band_at(ages: Sequence[AgeStatement], at: datetime) -> AgeBand:
    """How old the person is at a moment; an unknown age is presumed adult (Policy P21)."""
    statement = newest(ages)
    if statement is None:
        return AgeBand.ADULT
    if statement.turns_18_on is None:
        return statement.band
    return band_on(statement.turns_18_on, day_of(at))


def band_on(turns_18_on: date, day: date) -> AgeBand:
    """The band on a day of somebody who is of age from `turns_18_on`."""
    if day >= turns_18_on:
        return AgeBand.ADULT
    if day >= _years_before(turns_18_on, OF_AGE_YEARS - SENSITIVE_UNTIL_YEARS):
        return AgeBand.UNDER_18
    return AgeBand.FOURTEEN_OR_UNDER


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, month=3, day=1)
