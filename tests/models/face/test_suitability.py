"""Verdicts in whole sentences: what suffices, what must be said first, what to record better."""

from __future__ import annotations

import numpy as np
import pytest

from models.face.settings import FaceSettings
from models.face.suitability import face_verdicts
from models.schema.face import FaceMeasurements, MeasuredFace
from models.schema.purposes import Purpose
from models.schema.verdict import Level, Verdict
from models.schema.voice import Backend

_BACKEND = Backend(name="dlib-resnet", version="1", weights_sha256=None, parameters={})
_GOOD = FaceMeasurements(
    backends={"identity": _BACKEND},
    frames=4500,
    frames_with_face=4500,
    picture_seconds=180.0,
    faces=1,
    main_track=0,
    second_face_seconds=0.0,
    shots=1,
    gaps=(),
    frontal_fraction=0.95,
    face_height_pixels=400.0,
    sharpness=300.0,
    exposure=0.5,
    yaw_degrees_range=(-5.0, 5.0),
    pitch_degrees_range=(-5.0, 5.0),
)
_NOBODY = np.empty((0, 256, 256, 3), np.uint8)


def _verdicts(
    purposes: tuple[Purpose, ...] = (Purpose.DIGITAL_HUMAN,), **changes: object
) -> list[Verdict]:
    measured = MeasuredFace(_GOOD.model_copy(update=changes), _vector(0.0), _NOBODY)
    return face_verdicts(measured, purposes, FaceSettings())


def _vector(distance: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = np.zeros(128, np.float32)
    vector[0] = distance
    return vector


def test_a_good_recording_suffices_and_nothing_else_is_said() -> None:
    assert [(v.code, v.level) for v in _verdicts()] == [("face_suffices", Level.GOOD)]


def test_a_purpose_that_never_decodes_the_picture_gets_no_verdict() -> None:
    assert _verdicts((Purpose.VOICE_CLONING, Purpose.MODEL_IMPROVEMENT), faces=3) == []


@pytest.mark.parametrize(
    ("changes", "code", "level"),
    [
        ({"faces": 0, "frames_with_face": 0}, "no_face", Level.INSUFFICIENT),
        ({"picture_seconds": 6.0}, "face_too_short", Level.INSUFFICIENT),
        ({"picture_seconds": 45.0}, "face_longer", Level.ADVICE),
        ({"face_height_pixels": 60.0}, "face_too_small", Level.INSUFFICIENT),
        ({"face_height_pixels": 200.0}, "face_larger", Level.ADVICE),
        ({"sharpness": 5.0}, "face_blurred", Level.INSUFFICIENT),
        ({"sharpness": 40.0}, "face_sharper", Level.ADVICE),
        ({"exposure": 0.1}, "face_too_dark", Level.ADVICE),
        ({"exposure": 0.95}, "face_too_bright", Level.ADVICE),
        ({"frontal_fraction": 0.1}, "face_not_frontal", Level.INSUFFICIENT),
        ({"frontal_fraction": 0.5}, "face_more_frontal", Level.ADVICE),
        ({"shots": 4}, "one_shot_better", Level.ADVICE),
        ({"frames_with_face": 3200}, "face_often_missing", Level.ADVICE),
    ],
)
def test_each_fault_is_named_and_only_a_grave_one_takes_the_purpose_away(
    changes: dict[str, object], code: str, level: Level
) -> None:
    verdicts = _verdicts(**changes)
    assert (code, level) in [(v.code, v.level) for v in verdicts]
    suffices = any(v.level is Level.GOOD for v in verdicts)
    assert suffices == (level is Level.ADVICE)


def test_two_people_wait_for_a_name_and_nothing_suffices() -> None:
    verdicts = _verdicts(faces=2, second_face_seconds=30.0)
    assert [(v.code, v.level) for v in verdicts] == [("several_faces", Level.IDENTIFY)]


@pytest.mark.parametrize(("distance", "matches"), [(0.3, True), (0.9, False)])
def test_another_face_than_in_earlier_uploads_waits_for_a_name(
    distance: float, matches: bool
) -> None:
    measured = MeasuredFace(_GOOD, _vector(0.0), _NOBODY)
    verdicts = face_verdicts(
        measured, [Purpose.DIGITAL_HUMAN], FaceSettings(), earlier=[_vector(distance)] * 2
    )
    levels = {v.code: v.level for v in verdicts}
    assert levels == (
        {"face_suffices": Level.GOOD} if matches else {"face_mismatch": Level.IDENTIFY}
    )


def test_an_embedding_of_another_length_is_never_compared() -> None:
    measured = MeasuredFace(_GOOD, _vector(0.0), _NOBODY)
    verdicts = face_verdicts(
        measured,
        [Purpose.DIGITAL_HUMAN],
        FaceSettings(),
        earlier=[np.ones(512, np.float32)],
    )
    assert [v.code for v in verdicts] == ["face_suffices"]


def test_every_verdict_is_a_sentence_in_both_languages() -> None:
    faults = _verdicts(
        picture_seconds=6.0,
        face_height_pixels=60.0,
        sharpness=5.0,
        exposure=0.1,
        frontal_fraction=0.1,
        shots=3,
        faces=2,
        frames_with_face=2000,
    )
    assert len(faults) == 8
    for verdict in faults:
        assert verdict.english[0].isupper() or verdict.english[0].isdigit()
        assert verdict.english.endswith(".")
        assert verdict.chinese.endswith("。")
    assert faults[0].level is Level.IDENTIFY


def test_a_recording_suffices_once_a_reviewer_said_who_is_who() -> None:
    two = MeasuredFace(
        _GOOD.model_copy(update={"faces": 2, "second_face_seconds": 9.0}), _vector(0.0), _NOBODY
    )
    found = face_verdicts(
        two, (Purpose.DIGITAL_HUMAN,), FaceSettings(), settled_codes={"several_faces"}
    )
    assert [(v.code, v.level) for v in found] == [
        ("several_faces", Level.SETTLED),
        ("face_suffices", Level.GOOD),
    ]
