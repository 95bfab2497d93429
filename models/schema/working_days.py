"""Working days in China (Policy P19).

The State Council announces the next year's holidays, and the weekend days that make up for them, in
the autumn. The package chinesecalendar holds those announcements. A day of a year that it does not
know is taken for a working day from Monday to Friday, and `is_certain` says that it was not looked
up. Over the years that are known, 15 working days counted so end at most 3 days too late, and
mostly too early.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import chinese_calendar  # type: ignore[import-untyped]

CALENDAR_VERSION: Final = f"chinesecalendar {chinese_calendar.__version__}"
"""Which calendar counted."""
FIRST_YEAR_KNOWN: Final = int(min(chinese_calendar.holidays).year)
LAST_YEAR_KNOWN: Final = int(max(chinese_calendar.holidays).year)
_SATURDAY: Final = 5


def is_working_day(day: date) -> bool:
    """Whether people work on a day in China, as far as the calendar knows."""
    if is_certain(day):
        return bool(chinese_calendar.is_workday(day))
    return day.weekday() < _SATURDAY


def is_certain(day: date) -> bool:
    """Whether the calendar knows the year of a day; else weekdays alone were counted."""
    return FIRST_YEAR_KNOWN <= day.year <= LAST_YEAR_KNOWN


def after_working_days(start: date, days: int) -> date:
    """The last day of a period of working days; the day it begins on does not count.

    Civil Code of the PRC, art. 201. A period without days ends where it begins. Raises ValueError
    for fewer than 0 days. The answer is certain where `is_certain(answer)` and `is_certain(start)`.
    """
    if days < 0:
        raise ValueError("A period cannot have fewer than 0 working days.")
    day = start
    for _ in range(days):
        day += timedelta(days=1)
        while not is_working_day(day):
            day += timedelta(days=1)
    return day
