"""The one time axis that every plot of a report shares, so that what happens at once lines up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from models.schema.media import DecodeSummary

WIDTH: Final = 1000.0
"""Width of every plot's coordinates; plots are stretched to the width of the page."""

_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_LABELS_MOST: Final = 12
_LABELS_MOST_HOURS: Final = 9
_NARROW_LABELS_MOST: Final = 6
_NARROW_LABELS_MOST_HOURS: Final = 4
_LONG_SECONDS: Final = 180.0


@dataclass(frozen=True)
class Tick:
    """A labelled time; `major` ones stay where there is little room."""

    percent: float
    label: str
    major: bool


@dataclass(frozen=True)
class TimeAxis:
    """Seconds on the media clock from `start_seconds` to `end_seconds`, the later one."""

    start_seconds: float
    end_seconds: float

    @classmethod
    def of(cls, decoded: DecodeSummary) -> TimeAxis:
        """From the start of the recording to the end of sound or picture, whichever is later."""
        spans = [
            (start, start + length)
            for start, length in (
                (decoded.sound_start_seconds, decoded.sound_seconds),
                (decoded.picture_start_seconds, decoded.picture_seconds),
            )
            if length > 0
        ]
        start = min([0.0, *(first for first, _ in spans)])
        return cls(start, max([start + 0.1, *(last for _, last in spans)]))

    @property
    def is_long(self) -> bool:
        """Whether a line through every point would be a solid band at the page's width."""
        return self.end_seconds - self.start_seconds > _LONG_SECONDS

    def percent(self, seconds: float) -> float:
        """Place of a time, 0 to 100; what lies outside sits at the edge."""
        share = (seconds - self.start_seconds) / (self.end_seconds - self.start_seconds)
        return round(100 * min(max(share, 0.0), 1.0), 3)

    def x(self, seconds: float) -> float:
        """Place of a time in plot coordinates, 0 to 1000."""
        return self.percent(seconds) * WIDTH / 100

    def ticks(self) -> list[Tick]:
        """At most 13 round times."""
        length = self.end_seconds - self.start_seconds
        hours = self.end_seconds >= 3600
        most = _LABELS_MOST_HOURS if hours else _LABELS_MOST
        step = next((s for s in _STEPS if length / s <= most), None)
        if step is None:
            step = 3600 * math.ceil(length / 3600 / most)
        first = math.ceil(self.start_seconds / step - 1e-9)
        last = math.floor(self.end_seconds / step + 1e-9)
        narrow = _NARROW_LABELS_MOST_HOURS if hours else _NARROW_LABELS_MOST
        stride = max(1, math.ceil((last - first) / narrow))
        return [
            Tick(self.percent(n * step), clock(n * step, decimals=step < 1), n % stride == 0)
            for n in range(first, last + 1)
        ]


def clock(seconds: float, *, decimals: bool = False) -> str:
    """A time as people read it: `1:05`, `1:05.3`, `1:02:05`."""
    tenths = round(abs(seconds) * 10) if decimals else round(abs(seconds)) * 10
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    whole, tenth = divmod(rest, 10)
    sign = "−" if seconds < 0 and tenths else ""
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{head}:{whole:02d}" + (f".{tenth}" if decimals else "")
