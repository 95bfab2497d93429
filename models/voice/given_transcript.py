"""A transcript that the caller gives, cut to the utterances it belongs to.

Where words were recognised the given ones are aligned with them, a word for a word (Wagner &
Fischer 1974), so each utterance gets what was given for what was said. Without a recogniser the
text is spread over the utterances by the time spoken in each. Nothing is added to either.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_TOKEN = re.compile(r"[\u3400-\u9fff\U00020000-\U0002ffff]|[^\W_\u3400-\u9fff]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?。！？；;，,、:：]")
_LOOK_AHEAD = 30
"""Given words beyond twice the recognised ones that an alignment may skip."""
_LEFT_OVER = 3
"""Unrecognised given words at an utterance's edge that still count as said there."""
_SKIPPED_COST = 0.1
"""Of a given word before the first that was said: a passage may have been left out."""
_LEAST_AGREEMENT = 0.5
"""Share of an utterance's recognised words that the given ones must contain to replace them."""


@dataclass(frozen=True)
class _Token:
    start: int
    end: int
    key: str


def _tokens(text: str) -> list[_Token]:
    return [
        _Token(
            match.start(),
            match.end(),
            unicodedata.normalize("NFKC", match.group()).casefold().replace("’", "'"),
        )
        for match in _TOKEN.finditer(text)
    ]


def language_of(text: str) -> str | None:
    """`zh` where most characters are Chinese; otherwise the text does not say."""
    tokens = _tokens(text)
    han = sum(1 for token in tokens if re.match(r"[\u3400-\u9fff]", token.key))
    return "zh" if tokens and han * 2 > len(tokens) else None


class GivenTranscript:
    """Follows a given text while utterances are recognised in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._cursor = 0

    def replace(self, recognised: Sequence[str | None]) -> list[str | None]:
        """The given text for the next utterances, or what was recognised where it disagrees."""
        keys: list[str] = []
        owners: list[int] = []
        for index, text in enumerate(recognised):
            for token in _tokens(text or ""):
                keys.append(token.key)
                owners.append(index)
        base = self._cursor
        window = self._tokens[base : base + 2 * len(keys) + _LOOK_AHEAD]
        pairs = _align(keys, [token.key for token in window])
        out: list[str | None] = list(recognised)
        taken = base
        for index in range(len(recognised)):
            mine = [pairs[i] for i, owner in enumerate(owners) if owner == index]
            said = len(mine)
            found = [pair for pair in mine if pair is not None]
            same = sum(
                1
                for i, owner in enumerate(owners)
                if owner == index and (at := pairs[i]) is not None and window[at].key == keys[i]
            )
            if not said or same < _LEAST_AGREEMENT * said:
                continue
            first, last = base + found[0], base + found[-1]
            if first - taken <= _LEFT_OVER:
                first = taken
            following = [
                base + at
                for i, owner in enumerate(owners)
                if owner > index and (at := pairs[i]) is not None
            ]
            limit = following[0] if following else len(self._tokens)
            if limit - (last + 1) <= _LEFT_OVER and (following or limit == len(self._tokens)):
                last = limit - 1
            out[index] = self._slice(first, last)
            taken = last + 1
        self._cursor = taken
        return out

    def spread(self, speech_seconds: Sequence[float]) -> list[str | None]:
        """The whole text over utterances by the time spoken in each, cut at the nearest mark."""
        total = sum(speech_seconds)
        if not self._tokens or total <= 0:
            return [None] * len(speech_seconds)
        sizes = [max(1, token.end - token.start) for token in self._tokens]
        reached = [0]
        for size in sizes:
            reached.append(reached[-1] + size)
        cuts = [0]
        spent = 0.0
        for seconds in speech_seconds[:-1]:
            spent += seconds
            cuts.append(max(cuts[-1], self._cut_near(reached, spent / total * reached[-1])))
        cuts.append(len(self._tokens))
        return [
            self._slice(first, last - 1) if last > first else None for first, last in pairwise(cuts)
        ]

    def _cut_near(self, reached: Sequence[int], target: float) -> int:
        nearest = min(range(len(reached)), key=lambda at: abs(reached[at] - target))
        for distance in range(4):
            for at in (nearest - distance, nearest + distance):
                if 0 < at < len(self._tokens) and _SENTENCE_END.search(
                    self._text[self._tokens[at - 1].end : self._tokens[at].start]
                ):
                    return at
        return nearest

    def _slice(self, first: int, last: int) -> str | None:
        if last < first:
            return None
        start = self._tokens[first].start
        following = (
            self._tokens[last + 1].start if last + 1 < len(self._tokens) else len(self._text)
        )
        # Punctuation behind the last word belongs to it, an opening quotation mark does not.
        tail = re.match(
            r"[^\s\w(\[{\"“‘「『《]*[\"”’」』》)\]}]?",
            self._text[self._tokens[last].end : following],
        )
        end = self._tokens[last].end + (tail.end() if tail else 0)
        return re.sub(r"\s+", " ", self._text[start:end]).strip() or None


def _align(said: Sequence[str], given: Sequence[str]) -> list[int | None]:
    """For each word said, the given word in its place; skipping a passage before costs little."""
    rows, columns = len(said), len(given)
    cost = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows + 1):
        cost[i][0] = i
    cost[0] = [_SKIPPED_COST * j for j in range(columns + 1)]
    for i in range(1, rows + 1):
        row, above, word = cost[i], cost[i - 1], said[i - 1]
        for j in range(1, columns + 1):
            row[j] = min(above[j - 1] + (word != given[j - 1]), above[j] + 1, row[j - 1] + 1)
    j = min(range(columns + 1), key=lambda at: cost[rows][at])
    i = rows
    pairs: list[int | None] = [None] * rows
    while i and j:
        if cost[i][j] == cost[i - 1][j - 1] + (said[i - 1] != given[j - 1]):
            i, j = i - 1, j - 1
            pairs[i] = j
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return pairs
