"""The transcript in blocks that can be folded away, so that two hours stay readable."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final

from flows.report.drawing.time_axis import clock
from models.schema.voice import Utterance

_UNFOLDED_MOST: Final = 40
"""Some four minutes of speech: about what a screen or two hold."""
_BLOCK_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Line:
    """One utterance; `language` only where it is not the recording's."""

    number: int
    start_seconds: float
    end_seconds: float
    start: str
    end: str
    text: str | None
    language: str | None


@dataclass(frozen=True)
class Block:
    """The utterances of one stretch of time, at least one."""

    lines: tuple[Line, ...]


def blocks(utterances: tuple[Utterance, ...], language: str | None) -> list[Block]:
    """One block where few were said, else one for every five minutes in which somebody speaks."""
    lines = [_line(n, utterance, language) for n, utterance in enumerate(utterances, start=1)]
    if len(lines) <= _UNFOLDED_MOST:
        return [Block(tuple(lines))] if lines else []
    parts = groupby(lines, key=lambda line: line.start_seconds // _BLOCK_SECONDS)
    return [Block(tuple(part)) for _, part in parts]


def _line(number: int, utterance: Utterance, language: str | None) -> Line:
    return Line(
        number=number,
        start_seconds=utterance.start_seconds,
        end_seconds=utterance.end_seconds,
        start=clock(utterance.start_seconds),
        end=clock(utterance.end_seconds),
        text=(utterance.transcript or "").strip() or None,
        language=utterance.language if utterance.language != language else None,
    )
