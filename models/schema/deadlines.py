"""By when a request or an order must be carried out, and from when it is urgent (Policy P19).

Periods are counted in days of China: the day of the request does not count, and the last day ends
at midnight (Civil Code of the PRC, art. 201 and 203). Art. 203 would move a last day that is a
holiday to the next working day; that is time for us and not for the person, so it is not taken.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from models.consent.ages import CHINA, day_of
from models.schema.retention import Retention
from models.schema.working_days import after_working_days, is_certain


def due_at(ordered_at: datetime, *, account_closure: bool, retention: Retention) -> datetime:
    """The last second, in UTC, in which something ordered then is in time.

    An account closure counts in working days, everything else in calendar days.
    """
    ordered_on = day_of(ordered_at)
    if account_closure:
        last_day = after_working_days(ordered_on, retention.account_closure_working_days)
    else:
        last_day = ordered_on + timedelta(days=retention.request_days)
    return end_of_day(last_day)


def end_of_day(day: date) -> datetime:
    """The last second of a day in China, in UTC."""
    midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=CHINA)
    return (midnight - timedelta(seconds=1)).astimezone(UTC)


def counted_certainly(ordered_at: datetime, due: datetime) -> bool:
    """Whether the calendar knew every year that a period of working days runs through.

    Where it did not, count again once a newer calendar is installed.
    """
    return is_certain(day_of(ordered_at)) and is_certain(day_of(due))


def is_late(due: datetime, now: datetime) -> bool:
    """Whether the last second has passed."""
    return now > due


def alarm_at(due: datetime, *, retention: Retention) -> datetime:
    """The moment from which something unfinished raises the alarm, before it is late."""
    return due - timedelta(days=retention.alarm_days_before)


def alarm_due(due: datetime, now: datetime, *, retention: Retention) -> bool:
    """Whether something that is still unfinished raises the alarm now."""
    return now >= alarm_at(due, retention=retention)
