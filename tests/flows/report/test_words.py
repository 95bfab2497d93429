"""The page's words: whole in either language."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flows.report.words as words_module
from flows.report.words import LANGUAGES, number, words_of
from models.schema.errors import BadUsage
from models.schema.kinds import KINDS
from models.schema.purposes import Purpose

REPORT = Path(words_module.__file__).parent
CHINESE = re.compile("[\u4e00-\u9fff]")


def _tables(language: str) -> dict[str, str]:
    words = words_of(language)  # type: ignore[arg-type]
    return {key: words.named(*key.split(".", 1)) for key in words.keys}


def test_both_languages_have_the_same_keys() -> None:
    assert words_of("en").keys == words_of("zh").keys


def test_both_languages_put_the_same_values_into_each_sentence() -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    english, chinese = _tables("en"), _tables("zh")
    assert {key: fields(text) for key, text in english.items()} == {
        key: fields(text) for key, text in chinese.items()
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_empty(language: str) -> None:
    assert [key for key, text in _tables(language).items() if not text.strip()] == []


def test_no_english_sentence_was_left_in_the_chinese_words() -> None:
    same = {
        key
        for key, text in _tables("zh").items()
        if len(text.split()) > 2 and not CHINESE.search(text) and not key.startswith("date.")
    }
    assert same == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_and_purpose_has_a_word(language: str) -> None:
    keys = words_of(language).keys  # type: ignore[arg-type]
    assert {f"kind.{kind}" for kind in KINDS} <= keys
    assert {f"kind_about.{kind}" for kind in KINDS} <= keys
    for table in ("purpose", "purpose_in_sentence", "purpose_about"):
        assert {f"{table}.{purpose.value}" for purpose in Purpose} <= keys


def test_every_word_that_is_named_outright_exists_and_every_sentence_is_used() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in REPORT.rglob("*")
        if path.suffix in {".py", ".html"}
    )
    keys = words_of("en").keys
    tables = {key.split(".")[0] for key in keys}
    outright = {
        found
        for found in re.findall(r'(?:\bw|say)\(\s*"([a-z]+\.[a-z0-9_]+)"', sources)
        if not found.endswith("_")
    }
    assert outright - keys == set()
    looked_up = {"page", "findings", "waiting", "timeline", "transcript", "portraits", "methods"}
    assert looked_up <= tables
    unused = {key for key in keys if key.split(".")[0] in looked_up and key not in sources}
    built = ("_unit", "timeline.", "findings.headline_", "findings.list_")
    assert {key for key in unused if not any(part in key for part in built)} == set()


def test_another_language_is_refused() -> None:
    with pytest.raises(BadUsage):
        words_of("fr")  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(0, 3))
def test_a_number_reads_back_as_itself_and_is_never_minus_nought(
    value: float, decimals: int
) -> None:
    text = number(value, decimals)
    assert float(text.replace("−", "-").replace(",", "")) == pytest.approx(round(value, decimals))
    assert not re.fullmatch(r"−0(\.0+)?", text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (4.23, "4.2 s"),
        (59.99, "1 min"),
        (125, "2 min 5 s"),
        (7200, "2 h 0 min"),
        (float("nan"), "—"),
    ],
)
def test_lengths_are_told_as_people_tell_them(seconds: float, text: str) -> None:
    assert words_of("en").duration(seconds) == text


def test_times_are_told_in_utc_wherever_they_were_taken() -> None:
    noon = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    shanghai = noon.astimezone(timezone(timedelta(hours=8)))
    assert words_of("en").moment(shanghai) == "25 November 2026, 12:00 UTC"
    assert words_of("zh").moment(noon.replace(tzinfo=None)) == "2026 年 11 月 25 日 12:00（UTC）"


def test_several_things_are_joined_as_the_language_joins_them() -> None:
    assert words_of("en").listed(["a", "b", "c"], last="and") == "a, b and c"
    assert words_of("zh").listed(["甲", "乙", "丙"], last="or") == "甲、乙或丙"
