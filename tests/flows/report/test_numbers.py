"""Numbers are assessed by the limits that the verdicts go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from flows.report.content import ReportContent
from flows.report.numbers import Grade, Row, at_least, at_most, groups, within
from flows.report.words import words_of
from models.face.settings import FaceSettings
from models.schema.purposes import Purpose
from models.voice.settings import VoiceSettings

Builder = Callable[..., ReportContent]


def rows(content: ReportContent, voice: VoiceSettings | None = None) -> dict[str, Row]:
    found = groups(content, words_of("en"), voice or VoiceSettings(), FaceSettings())
    return {row.key: row for group in found for row in group.rows}


@pytest.mark.parametrize(
    ("value", "grade"),
    [(30, Grade.GOOD), (20, Grade.GOOD), (15, Grade.FAIR), (9.9, Grade.POOR), (None, None)],
)
def test_more_is_better(value: float | None, grade: Grade | None) -> None:
    assert at_least(value, 20, 10) is grade


@pytest.mark.parametrize(
    ("value", "grade"),
    [(0, Grade.GOOD), (0.5, Grade.FAIR), (2, Grade.POOR), (float("nan"), None)],
)
def test_less_is_better(value: float, grade: Grade | None) -> None:
    assert at_most(value, 0.1, 1) is grade


def test_within_a_range_is_good_and_outside_is_only_fair() -> None:
    assert [within(value, -35, -9) for value in (-40, -20, -5)] == [
        Grade.FAIR,
        Grade.GOOD,
        Grade.FAIR,
    ]


def test_other_settings_give_another_assessment_and_another_guide(talking_head: Builder) -> None:
    strict = VoiceSettings(clone_speech_seconds=60)
    assert rows(talking_head())["speech"].grade is Grade.GOOD
    row = rows(talking_head(), strict)["speech"]
    assert (row.grade, row.guide) == (Grade.POOR, "1 min or more for a clone")


def test_speech_is_not_short_where_nobody_wants_a_clone(talking_head: Builder) -> None:
    content = talking_head(4.0)
    improvement = replace(content.consent[0], purpose=Purpose.MODEL_IMPROVEMENT)
    assert rows(replace(content, consent=(improvement,)))["speech"].grade is None


def test_the_track_that_is_used_is_named_where_there_are_several(talking_head: Builder) -> None:
    found = rows(talking_head())
    assert found["sound"].value == "AAC, 48.0 kHz, stereo, track 1 of 2"
    assert found["picture"].value == "H.265, 1080 × 1920, turned by 90°, 10 bit, HDR"


def test_sound_that_starts_late_is_told(talking_head: Builder) -> None:
    content = talking_head()
    late = content.decoded.model_copy(update={"sound_start_seconds": 1.25})
    assert rows(replace(content, decoded=late))["offset"].value == "sound starts 1.25 s later"


def test_damage_and_filled_gaps_are_told(talking_head: Builder) -> None:
    content = talking_head()
    broken = content.decoded.model_copy(update={"damaged": True, "silence_filled_seconds": 0.4})
    found = rows(replace(content, decoded=broken))
    assert found["damaged"].grade is Grade.POOR
    assert found["silence_filled"].value == "0.4 s"


def test_what_was_not_read_is_not_measured(talking_head: Builder) -> None:
    content = talking_head(face=None)
    unread = content.decoded.model_copy(update={"picture_seconds": 0.0, "frames": 0})
    found = rows(replace(content, decoded=unread))
    assert found["picture_seconds"].value == "not read"
    assert "face_height" not in found
