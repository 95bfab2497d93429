"""Working days in China: what is known is right, what is not known is said (Policy P19)."""

from __future__ import annotations

from datetime import date, timedelta
from importlib.metadata import version

import chinese_calendar  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.schema.retention import Retention
from models.schema.working_days import (
    CALENDAR_VERSION,
    FIRST_YEAR_KNOWN,
    LAST_YEAR_KNOWN,
    after_working_days,
    is_certain,
    is_working_day,
)

LAW = settings(deadline=None, max_examples=200)
FIRST, LAST = date(FIRST_YEAR_KNOWN, 1, 1), date(LAST_YEAR_KNOWN, 12, 31)
known_days = st.dates(FIRST, LAST - timedelta(days=150))
any_days = st.dates(FIRST, date(LAST_YEAR_KNOWN + 30, 12, 31))
numbers = st.integers(0, 60)


def _between(start: date, end: date) -> list[date]:
    """The days after the start, up to and with the end."""
    return [start + timedelta(days=step + 1) for step in range((end - start).days)]


def _on_weekdays(start: date, days: int) -> date:
    day = start
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


# --- laws -----------------------------------------------------------------------------------------


@LAW
@given(any_days, numbers)
def test_a_period_holds_exactly_as_many_working_days_as_it_says(start: date, days: int) -> None:
    end = after_working_days(start, days)
    assert sum(is_working_day(day) for day in _between(start, end)) == days


@LAW
@given(any_days, st.integers(1, 60))
def test_a_period_never_ends_on_a_day_off(start: date, days: int) -> None:
    assert is_working_day(after_working_days(start, days))


@LAW
@given(any_days, any_days, numbers, numbers)
def test_who_asks_later_or_for_more_days_never_gets_an_earlier_end(
    one: date, other: date, few: int, more: int
) -> None:
    earlier, later = sorted((one, other))
    assert after_working_days(earlier, few) <= after_working_days(later, few)
    assert after_working_days(one, few) <= after_working_days(one, few + more)


@LAW
@given(any_days, numbers, numbers)
def test_two_periods_after_each_other_are_one(start: date, first: int, second: int) -> None:
    once = after_working_days(start, first + second)
    assert after_working_days(after_working_days(start, first), second) == once


@LAW
@given(known_days, numbers)
def test_within_the_known_years_it_is_what_the_state_council_announced(
    start: date, days: int
) -> None:
    end = after_working_days(start, days)
    announced = chinese_calendar.get_workdays(start + timedelta(days=1), end) if days else []
    assert len(announced) == days


def test_a_period_without_days_ends_where_it_begins_and_less_is_no_period() -> None:
    holiday = date(2026, 10, 1)
    assert after_working_days(holiday, 0) == holiday
    with pytest.raises(ValueError, match="fewer than 0"):
        after_working_days(holiday, -1)


# --- what is known --------------------------------------------------------------------------------


def test_the_week_of_national_day_2026_is_off_and_two_weekend_days_make_up_for_it() -> None:
    week = [date(2026, 10, day) for day in range(1, 8)]
    assert not any(map(is_working_day, week))
    assert is_working_day(date(2026, 9, 20)), "a Sunday"
    assert is_working_day(date(2026, 10, 10)), "a Saturday"
    assert not is_working_day(date(2026, 10, 11)), "an ordinary Sunday"
    assert after_working_days(date(2026, 9, 30), 1) == date(2026, 10, 8)
    # 8, 9, 10, then 12 to 16, 19 to 23, and 26 and 27 October.
    assert after_working_days(date(2026, 9, 30), 15) == date(2026, 10, 27)


def test_an_ordinary_three_weeks_are_fifteen_working_days() -> None:
    assert after_working_days(date(2026, 11, 26), 15) == date(2026, 12, 17)


def test_every_weekend_day_that_makes_up_for_a_holiday_counts() -> None:
    making_up = [day for day in chinese_calendar.workdays if day.weekday() >= 5]
    assert len(making_up) > 100
    for day in making_up:
        assert after_working_days(day - timedelta(days=1), 1) == day


def test_spring_festival_2025_begins_in_one_month_and_ends_in_the_next() -> None:
    off = [date(2025, 1, 28) + timedelta(days=step) for step in range(8)]
    assert not any(map(is_working_day, off))
    assert is_working_day(date(2025, 1, 26))
    assert is_working_day(date(2025, 2, 5))


# --- what is not known yet ------------------------------------------------------------------------


def test_the_calendar_says_which_one_it_is_and_how_far_it_knows() -> None:
    assert f"chinesecalendar {version('chinesecalendar')}" == CALENDAR_VERSION
    assert (FIRST_YEAR_KNOWN, LAST_YEAR_KNOWN) >= (2004, 2026)
    assert is_certain(LAST)
    assert is_certain(FIRST)
    assert not is_certain(LAST + timedelta(days=1))
    assert not is_certain(FIRST - timedelta(days=1))


@LAW
@given(st.dates(LAST + timedelta(days=1), date(2090, 1, 1)), numbers)
def test_beyond_the_known_years_weekdays_are_counted_and_said_to_be_uncertain(
    start: date, days: int
) -> None:
    end = after_working_days(start, days)
    assert end == _on_weekdays(start, days)
    assert not is_certain(end)


def test_a_count_of_weekdays_is_never_so_late_that_the_alarm_could_not_come_in_time() -> None:
    """Over every known year: what would have been, had the calendar not known it."""
    rules = Retention()
    days = rules.account_closure_working_days
    starts = _between(FIRST, LAST - timedelta(days=60))
    late = max((_on_weekdays(day, days) - after_working_days(day, days)).days for day in starts)
    assert late == 3
    assert late < rules.alarm_days_before
