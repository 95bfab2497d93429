"""What was said, as units that can be compared: English words, Chinese syllables without tones.

A recogniser writes Chinese with whichever character sounds right. GB 2312 orders the 3,755
characters of its first level by their sound, so the first character of each syllable
(syllables_zh.txt) gives the syllable of all of them; rarer characters stand for themselves.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Final

_FIRST_LEVEL: Final = (b"\xb0\xa1", b"\xd7\xf9")
_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")
_LATIN_WORD: Final = re.compile(r"[a-z0-9]+")
_LETTERS_A_DIFFERENCE: Final = 4
"""One letter in four may differ: `lemons` for `lemon`, but not `melon`."""


def units_of(text: str, language: str) -> list[str]:
    """The words (en) or syllables (zh; Latin words stay whole) of a text, without punctuation."""
    plain = unicodedata.normalize("NFKC", text).lower()
    if language != "zh":
        decomposed = unicodedata.normalize("NFKD", plain)
        letters = "".join(c for c in decomposed if not unicodedata.combining(c))
        return _LATIN_WORD.findall(re.sub(r"['’]", "", letters))
    return [
        _folded(_syllable(unit)) if _CHINESE.fullmatch(unit) else unit
        for unit in re.findall(rf"{_CHINESE.pattern}|{_LATIN_WORD.pattern}", plain)
    ]


def sounds_like(heard: str, word: str) -> bool:
    """Whether two units, or several written together, may be the same word."""
    allowed = len(word) // _LETTERS_A_DIFFERENCE
    return heard == word or (
        abs(len(heard) - len(word)) <= allowed and distance(heard, word) <= allowed
    )


def distance(one: str, other: str) -> int:
    """The edit distance of Levenshtein (1966): letters added, left out or changed."""
    above = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        here = [row]
        for column, another in enumerate(other, 1):
            here.append(
                min(above[column] + 1, here[-1] + 1, above[column - 1] + (letter != another))
            )
        above = here
    return above[-1]


def _syllable(character: str) -> str:
    try:
        code = character.encode("gb2312")
    except UnicodeEncodeError:
        return character
    if not _FIRST_LEVEL[0] <= code <= _FIRST_LEVEL[1]:
        return character
    codes, syllables = _syllables()
    return syllables[bisect_right(codes, code) - 1]


def _folded(syllable: str) -> str:
    """What speakers of southern accents do not tell apart is written alike."""
    for retroflex, plain in (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l")):
        if syllable.startswith(retroflex):
            syllable = plain + syllable.removeprefix(retroflex)
            break
    return syllable.removesuffix("g") if syllable.endswith("ng") else syllable


@cache
def _syllables() -> tuple[list[bytes], list[str]]:
    text = Path(__file__).with_name("syllables_zh.txt").read_text(encoding="utf-8")
    pairs = [line.split() for line in text.splitlines()]
    return [first.encode("gb2312") for first, _ in pairs], [syllable for _, syllable in pairs]
