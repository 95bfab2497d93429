"""For which purpose an upload suffices, and what is said where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from flows.report.content import ReportContent
from flows.report.findings import Standing, findings, headline
from flows.report.page import render
from flows.report.words import words_of
from models.schema.purposes import Purpose
from models.schema.verdict import Level, Verdict

Builder = Callable[..., ReportContent]


def verdict(level: Level, purpose: Purpose | None, english: str = "So it is.") -> Verdict:
    return Verdict(code="code", level=level, purpose=purpose, english=english, chinese="如此。")


@pytest.mark.parametrize(
    ("levels", "standing"),
    [
        ((Level.GOOD,), Standing.SUFFICES),
        ((Level.GOOD, Level.ADVICE), Standing.BETTER),
        ((Level.GOOD, Level.ADVICE, Level.INSUFFICIENT), Standing.INSUFFICIENT),
        ((Level.INSUFFICIENT, Level.IDENTIFY), Standing.WAITS),
        ((Level.SETTLED, Level.GOOD), Standing.SUFFICES),
        ((Level.SETTLED,), Standing.SETTLED),
    ],
)
def test_the_gravest_finding_decides(
    talking_head: Builder, levels: tuple[Level, ...], standing: Standing
) -> None:
    verdicts = tuple(verdict(level, Purpose.VOICE_CLONING) for level in levels)
    found = findings(talking_head(verdicts=verdicts), "en")
    assert next(f for f in found if f.purpose is Purpose.VOICE_CLONING).standing is standing


def test_what_holds_for_every_purpose_counts_for_each_and_is_said_once(
    talking_head: Builder,
) -> None:
    clipped = verdict(Level.INSUFFICIENT, None, "It is clipped.")
    found = findings(talking_head(verdicts=(clipped,)), "en")
    by_purpose = {finding.purpose: finding for finding in found}
    assert by_purpose[None].missing == ("It is clipped.",)
    for purpose in (Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN):
        assert by_purpose[purpose].standing is Standing.INSUFFICIENT
        assert by_purpose[purpose].shares
        assert by_purpose[purpose].missing == ()


def test_a_single_purpose_takes_in_what_holds_for_every_one(talking_head: Builder) -> None:
    content = talking_head()
    verdicts = (
        verdict(Level.GOOD, Purpose.VOICE_CLONING, "Enough."),
        verdict(Level.ADVICE, None, "Noisy."),
    )
    (found,) = findings(talking_head(verdicts=verdicts, consent=content.consent[:1]), "en")
    assert (found.good, found.advice, found.standing) == (
        ("Enough.",),
        ("Noisy.",),
        Standing.BETTER,
    )


def test_good_sound_does_not_outweigh_a_missing_consent(talking_head: Builder) -> None:
    good = verdict(Level.GOOD, Purpose.MODEL_IMPROVEMENT)
    found = findings(talking_head(verdicts=(good,)), "zh")
    refused = next(f for f in found if f.purpose is Purpose.MODEL_IMPROVEMENT)
    assert refused.standing is Standing.NOT_ALLOWED
    assert refused.refused == ("本人已撤回对这一用途的同意。",)


def test_a_purpose_without_a_verdict_is_not_called_sufficient(talking_head: Builder) -> None:
    found = findings(talking_head(verdicts=()), "en")
    assert {f.standing for f in found} == {Standing.UNJUDGED, Standing.NOT_ALLOWED}
    assert "suffices" not in " ".join(headline(found, words_of("en")))


def test_a_sentence_that_two_rooms_found_is_said_once(talking_head: Builder) -> None:
    same = verdict(Level.ADVICE, Purpose.VOICE_CLONING, "Record longer.")
    found = findings(talking_head(verdicts=(same, same)), "en")
    assert next(f for f in found if f.purpose is Purpose.VOICE_CLONING).advice == (
        "Record longer.",
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_a_reviewer_decided_is_told_under_its_own_title(
    talking_head: Builder, language: Literal["en", "zh"]
) -> None:
    decided = verdict(Level.SETTLED, None, "A reviewer decided.")
    content = talking_head(verdicts=(decided,))
    shared = findings(content, language)[0]
    assert (len(shared.settled), shared.waits, shared.advice) == (1, (), ())
    assert words_of(language).say("findings.settled") in render(content, language)
