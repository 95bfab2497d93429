"""Verdicts grouped by purpose: does it suffice, what is missing, what to record better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from flows.report.content import ConsentLine, ReportContent
from flows.report.words import Language, Words
from models.schema.purposes import Purpose
from models.schema.verdict import Level, Verdict


class Standing(StrEnum):
    """Where an upload stands for one purpose; the names are keys of the words."""

    SUFFICES = "suffices"
    BETTER = "better"
    INSUFFICIENT = "insufficient"
    WAITS = "waits"
    SETTLED = "settled"
    NOT_ALLOWED = "not_allowed"
    UNJUDGED = "unjudged"


@dataclass(frozen=True)
class Finding:
    """Everything that was found for one purpose; `purpose` None holds for all of them."""

    purpose: Purpose | None
    standing: Standing
    shares: bool
    """Whether the finding for all purposes counts here too and is not repeated."""
    waits: tuple[str, ...]
    settled: tuple[str, ...]
    refused: tuple[str, ...]
    missing: tuple[str, ...]
    advice: tuple[str, ...]
    good: tuple[str, ...]


def findings(content: ReportContent, language: Language) -> list[Finding]:
    """What holds for every purpose, then one finding a purpose that was asked for or judged.

    A single purpose takes in what holds for every one. While the upload waits, a purpose of which
    nothing more is known is left out.
    """
    consent = {line.purpose: line for line in content.consent}
    shared = [verdict for verdict in content.verdicts if verdict.purpose is None]
    waits = any(verdict.level is Level.IDENTIFY for verdict in shared)
    asked = []
    for purpose in Purpose:
        own = [verdict for verdict in content.verdicts if verdict.purpose is purpose]
        line = consent.get(purpose)
        refused = line is not None and not line.allowed
        granted = line is not None and line.granted_at is not None
        if own or (granted and (refused or not waits)):
            asked.append((purpose, own, line))
    if len(asked) == 1 and not waits:
        ((purpose, own, line),) = asked
        return [_finding(purpose, [*own, *shared], [], line, language)]
    found = [_finding(None, shared, [], None, language)] if shared else []
    return found + [_finding(purpose, own, shared, line, language) for purpose, own, line in asked]


def headline(found: Sequence[Finding], words: Words) -> list[str]:
    """The whole result in at most four short sentences."""
    sentences = []
    if any(finding.standing is Standing.WAITS for finding in found):
        sentences.append(words.say("findings.headline_waits"))
    joined: tuple[tuple[str, set[Standing], Literal["and", "or"]], ...] = (
        ("suffices", {Standing.SUFFICES, Standing.BETTER}, "and"),
        ("insufficient", {Standing.INSUFFICIENT}, "or"),
        ("not_allowed", {Standing.NOT_ALLOWED}, "or"),
    )
    for name, standings, last in joined:
        purposes = [f.purpose for f in found if f.purpose and f.standing in standings]
        if purposes:
            named = words.listed(
                [words.named("purpose_in_sentence", p.value) for p in purposes], last
            )
            sentences.append(words.say(f"findings.headline_{name}", purposes=named))
    return sentences


def sentences_of(line: ConsentLine, language: Language) -> tuple[str, ...]:
    """Why consent says no, in the language of the page."""
    return line.reasons_chinese if language == "zh" else line.reasons_english


def _finding(
    purpose: Purpose | None,
    own: Sequence[Verdict],
    shared: Sequence[Verdict],
    line: ConsentLine | None,
    language: Language,
) -> Finding:
    refused = sentences_of(line, language) if line is not None and not line.allowed else ()
    not_allowed = line is not None and not line.allowed
    return Finding(
        purpose=purpose,
        standing=Standing.NOT_ALLOWED if not_allowed else _standing([*own, *shared]),
        shares=bool(shared) and not not_allowed,
        waits=_sentences(own, Level.IDENTIFY, language),
        settled=_sentences(own, Level.SETTLED, language),
        refused=refused,
        missing=_sentences(own, Level.INSUFFICIENT, language),
        advice=_sentences(own, Level.ADVICE, language),
        good=_sentences(own, Level.GOOD, language),
    )


def _standing(verdicts: Sequence[Verdict]) -> Standing:
    """The gravest level decides; without any verdict nothing was judged."""
    levels = {verdict.level for verdict in verdicts}
    for level, standing in (
        (Level.IDENTIFY, Standing.WAITS),
        (Level.INSUFFICIENT, Standing.INSUFFICIENT),
        (Level.ADVICE, Standing.BETTER),
        (Level.GOOD, Standing.SUFFICES),
        (Level.SETTLED, Standing.SETTLED),
    ):
        if level in levels:
            return standing
    return Standing.UNJUDGED


def _sentences(verdicts: Sequence[Verdict], level: Level, language: Language) -> tuple[str, ...]:
    chosen = (verdict for verdict in verdicts if verdict.level is level)
    texts = (verdict.chinese if language == "zh" else verdict.english for verdict in chosen)
    return tuple(dict.fromkeys(texts))
