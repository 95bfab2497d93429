"""Deadlines: days of China, the legal periods, and an alarm before it is late (Policy P19)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from models.schema.deadlines import (
    alarm_at,
    alarm_due,
    counted_certainly,
    due_at,
    end_of_day,
    is_late,
)
from models.schema.retention import Retention
from models.schema.working_days import LAST_YEAR_KNOWN, after_working_days

LAW = settings(deadline=None, max_examples=200)
CHINA = ZoneInfo("Asia/Shanghai")
RULES = Retention()
moments = st.datetimes(
    datetime(2020, 1, 1),
    datetime(LAST_YEAR_KNOWN + 20, 1, 1),
    timezones=st.sampled_from([UTC, CHINA, ZoneInfo("America/New_York")]),
)


def _due(at: datetime, *, closure: bool = False, rules: Retention = RULES) -> datetime:
    return due_at(at, account_closure=closure, retention=rules)


@LAW
@given(moments, st.booleans())
def test_a_deadline_is_the_last_second_of_a_day_in_china_given_in_utc(
    at: datetime, closure: bool
) -> None:
    due = _due(at, closure=closure)
    assert due.utcoffset() == timedelta(0)
    assert due.astimezone(CHINA).time() == time(23, 59, 59)


@LAW
@given(moments)
def test_a_request_has_thirty_days_of_which_its_own_is_none(at: datetime) -> None:
    days = _due(at).astimezone(CHINA).date() - at.astimezone(CHINA).date()
    assert days == timedelta(days=30)


@LAW
@given(moments)
def test_an_account_closure_has_fifteen_working_days(at: datetime) -> None:
    ordered_on = at.astimezone(CHINA).date()
    assert _due(at, closure=True).astimezone(CHINA).date() == after_working_days(ordered_on, 15)


@LAW
@given(moments, moments, st.booleans())
def test_who_ordered_earlier_is_never_due_later(
    one: datetime, other: datetime, closure: bool
) -> None:
    earlier, later = sorted((one, other))
    assert _due(earlier, closure=closure) <= _due(later, closure=closure)


@LAW
@given(moments, st.booleans())
def test_the_same_moment_written_in_another_zone_is_due_at_the_same_time(
    at: datetime, closure: bool
) -> None:
    assert _due(at, closure=closure) == _due(at.astimezone(UTC), closure=closure)


def test_in_the_evening_of_utc_it_is_the_next_day_in_china() -> None:
    before = datetime(2026, 11, 26, 15, 59, 59, tzinfo=UTC)
    assert _due(before) == datetime(2026, 12, 26, 15, 59, 59, tzinfo=UTC)
    assert _due(before + timedelta(seconds=1)) == datetime(2026, 12, 27, 15, 59, 59, tzinfo=UTC)


def test_an_account_closed_before_national_day_2026_waits_for_the_holidays() -> None:
    closed = datetime(2026, 9, 30, 9, tzinfo=CHINA)
    assert _due(closed, closure=True) == end_of_day(date(2026, 10, 27))


def test_the_periods_are_settings() -> None:
    rules = Retention(request_days=1, account_closure_working_days=1, alarm_days_before=2)
    friday = datetime(2026, 11, 27, 9, tzinfo=CHINA)
    assert _due(friday, rules=rules) == end_of_day(date(2026, 11, 28))
    assert _due(friday, closure=True, rules=rules) == end_of_day(date(2026, 11, 30))
    assert alarm_at(_due(friday, rules=rules), retention=rules) == end_of_day(date(2026, 11, 26))


def test_nothing_is_late_within_the_last_second_and_everything_after_it() -> None:
    due = end_of_day(date(2026, 12, 26))
    assert not is_late(due, due)
    assert is_late(due, due + timedelta(microseconds=1))


@LAW
@given(moments, st.booleans(), st.integers(1, 40))
def test_the_alarm_comes_before_it_is_late_and_stays(
    at: datetime, closure: bool, days: int
) -> None:
    rules = Retention(alarm_days_before=days)
    due = _due(at, closure=closure, rules=rules)
    alarm = alarm_at(due, retention=rules)
    assert alarm < due
    assert not alarm_due(due, alarm - timedelta(seconds=1), retention=rules)
    for moment in (alarm, due, due + timedelta(days=1000)):
        assert alarm_due(due, moment, retention=rules)


def test_a_period_that_runs_into_a_year_nobody_announced_yet_says_so() -> None:
    for ordered, certain in (
        (date(LAST_YEAR_KNOWN, 11, 2), True),
        (date(LAST_YEAR_KNOWN, 12, 28), False),
    ):
        at = datetime.combine(ordered, time(9), tzinfo=CHINA)
        assert counted_certainly(at, _due(at, closure=True)) is certain
