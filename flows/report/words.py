"""The report's words in English and Chinese: `words_en.toml` and `words_zh.toml`, the same keys."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from models.schema.errors import BadUsage

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
HTML_LANGUAGE: Final[Mapping[Language, str]] = MappingProxyType({"en": "en", "zh": "zh-Hans"})

_KIBIBYTE: Final = 1024


@cache
def words_of(language: Language) -> Words:
    """The words of one language; raises BadUsage for a language there are none of."""
    if language not in LANGUAGES:
        raise BadUsage(
            "The report is written in English or Chinese only.", remedy="Choose `en` or `zh`."
        )
    text = (Path(__file__).parent / f"words_{language}.toml").read_text(encoding="utf-8")
    return Words(language, tomllib.loads(text))


class Words:
    """One language: sentences by `table.key`, and numbers with their units."""

    def __init__(self, language: Language, tables: Mapping[str, Mapping[str, str]]) -> None:
        self.language = language
        self._tables = tables

    @property
    def keys(self) -> frozenset[str]:
        """Every `table.key` there is."""
        return frozenset(f"{table}.{key}" for table, rows in self._tables.items() for key in rows)

    def over(self, tables: Mapping[str, Mapping[str, str]]) -> Words:
        """These words under more tables; of two with one name the new one counts."""
        return Words(self.language, {**self._tables, **tables})

    def say(self, key: str, **values: object) -> str:
        """The sentence of a key, with values put in. Raises KeyError for an unknown key."""
        table, name = key.split(".", 1)
        return self._tables[table][name].format(**values)

    def named(self, table: str, name: str) -> str:
        """The word for a code; a code that the table does not know stands for itself."""
        return self._tables[table].get(name, name)

    def listed(self, items: list[str], last: Literal["and", "or"] | None = None) -> str:
        """Several items in one sentence, the last one joined by a word where `last` says so."""
        separator = self.say("findings.list_separator")
        if last is None or len(items) < 2:
            return separator.join(items)
        return separator.join(items[:-1]) + self.say(f"findings.list_{last}") + items[-1]

    def unit(self, name: str, value: float | None, decimals: int = 0) -> str:
        """A number with its unit; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return self.say("numbers.none")
        return self.say(f"unit.{name}", value=number(value, decimals))

    def percent(self, share: float, decimals: int = 0) -> str:
        """A share in [0, 1] as a percentage."""
        return self.unit("percent", 100 * share, decimals)

    def duration(self, seconds: float) -> str:
        """`4.2 s`, `2 min 5 s`, `1 h 2 min`."""
        if not math.isfinite(seconds):
            return self.say("numbers.none")
        if seconds < 59.95:
            return self.unit("seconds", seconds, 1 if seconds % 1 > 0.05 else 0)
        minutes, rest = divmod(round(seconds), 60)
        if minutes >= 60:
            return self.say("unit.hours_minutes", hours=minutes // 60, minutes=minutes % 60)
        if not rest:
            return self.unit("minutes", minutes)
        return self.say("unit.minutes_seconds", minutes=minutes, seconds=rest)

    def frequency(self, hertz: float | None) -> str:
        """Hz below 1,000, kHz from there on."""
        if hertz is not None and hertz >= 1000:
            return self.unit("kilohertz", hertz / 1000, 1)
        return self.unit("hertz", hertz)

    def size(self, count: int) -> str:
        """Bytes in binary units."""
        for name, scale in (
            ("gibibytes", _KIBIBYTE**3),
            ("mebibytes", _KIBIBYTE**2),
            ("kibibytes", _KIBIBYTE),
        ):
            if count >= scale:
                return self.unit(name, count / scale, 1 if count < 100 * scale else 0)
        return self.unit("bytes", count)

    def moment(self, when: datetime) -> str:
        """A date and time in UTC; one without a zone is taken as UTC, as the catalogue keeps it."""
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        return self.say(
            "date.moment",
            year=when.year,
            month=self.say("date.months").split()[when.month - 1],
            day=when.day,
            hour=f"{when.hour:02d}",
            minute=f"{when.minute:02d}",
        )


def number(value: float, decimals: int = 0) -> str:
    """A number for people: thousands apart, a true minus sign, never minus nought."""
    text = f"{abs(value):,.{decimals}f}"
    negative = value < 0 and any(digit in text for digit in "123456789")
    return f"−{text}" if negative else text
