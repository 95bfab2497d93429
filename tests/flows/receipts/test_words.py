"""The receipt's words: whole in either language, for everything that a receipt can say."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path
from typing import get_args

import pytest

import flows.receipts.page as page_module
from flows.receipts.page import GROUPS, receipt_words
from flows.report.words import LANGUAGES, Language
from models.schema.erasure import ErasureGround, Requester, Step
from models.schema.kinds import KINDS
from models.schema.purposes import Purpose
from models.schema.receipt import KeptReason, KeptThing, Receipt

ROOM = Path(page_module.__file__).parent
CHINESE = re.compile("[\u4e00-\u9fff]")
SCOPES = get_args(Receipt.model_fields["scope"].annotation)


def _own(language: Language) -> dict[str, str]:
    """The words of this room alone, by `table.key`."""
    tables = tomllib.loads((ROOM / f"words_{language}.toml").read_text(encoding="utf-8"))
    return {f"{table}.{key}": text for table, rows in tables.items() for key, text in rows.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_a_receipt_can_say_has_a_word(language: Language) -> None:
    said = {
        "scope": SCOPES,
        "scope_for": SCOPES,
        "ground": ErasureGround,
        "requester": Requester,
        "step": Step,
        "kept": KeptThing,
        "reason": KeptReason,
        "erased": KINDS,
        "group": GROUPS,
        "purpose_in_sentence": Purpose,
    }
    keys = receipt_words(language).keys
    assert {f"{table}.{code}" for table, codes in said.items() for code in codes} - keys == set()


def test_every_code_has_a_word_of_its_own() -> None:
    for language in LANGUAGES:
        own = _own(language)
        for table in ("scope", "scope_for", "ground", "requester", "step", "kept", "reason"):
            words = [text for key, text in own.items() if key.startswith(f"{table}.")]
            assert len(words) == len(set(words)), (language, table)


def test_both_languages_have_the_same_keys_and_put_the_same_values_in() -> None:
    def fields(own: dict[str, str]) -> dict[str, set[str | None]]:
        return {
            key: {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
            for key, text in own.items()
        }

    assert fields(_own("en")) == fields(_own("zh"))


def test_no_english_sentence_was_left_in_the_chinese_words() -> None:
    left = {
        key
        for key, text in _own("zh").items()
        if re.search("[A-Za-z]", re.sub(r"\{\w+\}|UTC", "", text)) and not CHINESE.search(text)
    }
    assert left == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_used_and_none_is_missing(language: Language) -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in ROOM.iterdir()
        if path.suffix in {".py", ".html"}
    )
    outright = set(re.findall(r'(?:\bw|say)\(\s*"([a-z_]+\.[a-z0-9_]+)"', sources))
    assert outright - receipt_words(language).keys == set()
    by_code = {"scope", "scope_for", "ground", "requester", "step", "kept", "reason", "erased"}
    unused = {
        key
        for key in _own(language)
        if key.split(".")[0] not in by_code | {"group", "section"} and key not in sources
    }
    assert unused == set()
