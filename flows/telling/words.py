"""The words of this room over the report's: the same numbers, dates, names of purposes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path

from flows.report.words import Language, Words, words_of
from models.schema.purposes import Purpose


@cache
def telling_words(language: Language) -> Words:
    """The words of one language; raises BadUsage for a language there are none of."""
    report = words_of(language)
    text = (Path(__file__).parent / f"words_{language}.toml").read_text(encoding="utf-8")
    return report.over(tomllib.loads(text))


def day(words: Words, when: date) -> str:
    """A calendar day, of a time in UTC."""
    month = words.say("date.months").split()[when.month - 1]
    return words.say("day.day", year=when.year, month=month, day=when.day)


def named_purposes(words: Words, purposes: Iterable[Purpose | str]) -> str:
    """Purposes as they stand in a sentence, in the order of their codes."""
    names = sorted(str(purpose) for purpose in purposes)
    return words.say("join.item").join(words.named("purpose_in_sentence", n) for n in names)


def joined(words: Words, parts: Iterable[str], by: str) -> str:
    """Clauses, items or sentences, put together as the language does it."""
    return words.say(f"join.{by}").join(parts)
