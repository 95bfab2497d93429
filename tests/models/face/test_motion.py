"""A portrait moved, turned and scaled by a script: what is measured follows the script."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.models.face.conftest import Extract, Extraction, stills
from tests.models.face.motion import blank, moved, transform

pytestmark = pytest.mark.weights

_FRAMES = 75
_DEGREES = [25 * np.sin(at / 12) for at in range(_FRAMES)]
_SCRIPT = [
    transform(
        x=320 + 80 * np.sin(at / 12),
        y=240 + 30 * np.sin(at / 9),
        degrees=_DEGREES[at],
        scale=1.5 + 0.4 * np.sin(at / 20),
    )
    for at in range(_FRAMES)
]


@pytest.fixture(scope="module")
def extraction(portrait: NDArray[np.uint8], extract: Extract) -> Extraction:
    return extract(stills([moved(portrait, by) for by in _SCRIPT]))


def _joined(extraction: Extraction, name: str) -> NDArray[np.generic]:
    return np.concatenate([segment.tensors[name] for segment in extraction.segments])


def test_every_frame_has_the_one_face(extraction: Extraction) -> None:
    facts = extraction.measured.measurements
    assert (facts.frames, facts.frames_with_face) == (_FRAMES, _FRAMES)
    assert (facts.faces, facts.shots, facts.gaps) == (1, 1, ())
    assert facts.main_track == 0
    assert {segment.track for segment in extraction.segments} == {0}


def test_landmarks_move_with_the_face(extraction: Extraction) -> None:
    mesh = _joined(extraction, "mesh")[..., :2].astype(np.float64)
    still = np.stack(
        [
            cv2.transform(points[None], cv2.invertAffineTransform(by))[0]
            for points, by in zip(mesh, _SCRIPT, strict=True)
        ]
    )
    middle = np.median(still, axis=0)
    eyes = np.linalg.norm(middle[33] - middle[263])
    error = np.linalg.norm(still - middle, axis=2) / eyes
    assert error.mean() < 0.015
    assert error.mean(axis=1).max() < 0.03


def test_roll_is_the_angle_of_the_script(extraction: Extraction) -> None:
    roll = _joined(extraction, "head_pose")[:, 2].astype(np.float64)
    # The sitter tilts her head a little of her own accord.
    difference = roll - _DEGREES
    assert abs(np.median(difference)) < 4
    assert np.abs(difference - np.median(difference)).max() < 2.5


def test_a_mirrored_picture_negates_yaw_and_roll_and_keeps_pitch(
    portrait: NDArray[np.uint8], extract: Extract, extraction: Extraction
) -> None:
    mirrored = extract(
        stills([np.ascontiguousarray(moved(portrait, by)[:, ::-1]) for by in _SCRIPT[:25]])
    )
    pose, other = _joined(extraction, "head_pose")[:25], _joined(mirrored, "head_pose")
    yaw, pitch, roll = (pose * [1, -1, 1] + other).mean(axis=0)
    assert max(abs(yaw), abs(pitch), abs(roll)) < 3


def test_aligned_faces_and_mouths_stand_still(extraction: Extraction) -> None:
    for name in ("aligned", "mouth"):
        crops = _joined(extraction, name).astype(np.float64)
        assert crops.mean(axis=0).std() > 20
        assert np.abs(crops - np.median(crops, axis=0)).mean() < 6


def test_a_still_mouth_has_a_constant_opening(extraction: Extraction) -> None:
    opening = _joined(extraction, "mouth_opening")
    assert 0.02 < opening.mean() < 0.3
    assert opening.std() < 0.03


def test_tensors_keep_the_contract(extraction: Extraction) -> None:
    expected = {
        "time_seconds": (np.float64, ()),
        "frame_index": (np.int64, ()),
        "box": (np.float32, (4,)),
        "landmarks_5": (np.float32, (5, 2)),
        "mesh": (np.float32, (468, 3)),
        "head_pose": (np.float32, (3,)),
        "mouth_opening": (np.float32, ()),
        "sharpness": (np.float32, ()),
        "exposure": (np.float32, ()),
        "mouth": (np.uint8, (96, 96, 3)),
    }
    for segment in extraction.segments:
        frames = len(segment.tensors["time_seconds"])
        assert set(segment.tensors) == {*expected, "aligned", "aligned_index"}
        for name, (kind, shape) in expected.items():
            assert segment.tensors[name].dtype == kind
            assert segment.tensors[name].shape == (frames, *shape)
        aligned = segment.tensors["aligned"]
        assert (aligned.dtype, aligned.shape[1:]) == (np.uint8, (256, 256, 3))
        assert len(aligned) == len(segment.tensors["aligned_index"]) > 0
        assert np.isin(segment.tensors["aligned_index"], segment.tensors["frame_index"]).all()
        assert segment.end_seconds - segment.start_seconds <= 4.1
    measured = extraction.measured
    assert measured.embedding is not None
    assert (measured.embedding.dtype, measured.embedding.shape) == (np.float32, (128,))
    assert 1 <= len(measured.portraits) <= 5
    assert measured.plots["pose"].shape == (_FRAMES, 3)


@pytest.mark.parametrize("value", [0, 255])
def test_blank_frames_are_a_gap(value: int, portrait: NDArray[np.uint8], extract: Extract) -> None:
    faces = [moved(portrait, by) for by in _SCRIPT[:20]]
    result = extract(stills([*faces, *[blank(value)] * 15, *faces]))
    facts = result.measured.measurements
    (gap,) = facts.gaps
    assert gap.start_seconds == pytest.approx(20 / 25)
    assert gap.end_seconds == pytest.approx(35 / 25)
    assert facts.frames_with_face == 40
    assert facts.faces == 1
    assert {segment.track for segment in result.segments} == {0}
    pose = result.measured.plots["pose"]
    assert np.isnan(pose[20:35]).all()
    assert np.isfinite(pose[:20]).all()


def test_a_title_card_is_no_face(portrait: NDArray[np.uint8], extract: Extract) -> None:
    card = blank(30)
    for row, text in enumerate(("A TALK ABOUT", "O o O (o_o) :-)", "chapter 1")):
        cv2.putText(card, text, (60, 150 + 90 * row), cv2.FONT_HERSHEY_DUPLEX, 1.8, (240,) * 3, 3)
    cv2.circle(card, (500, 380), 60, (200, 180, 160), -1)
    result = extract(stills([card] * 10 + [moved(portrait, by) for by in _SCRIPT[:10]]))
    assert result.measured.measurements.frames_with_face == 10


def test_noise_is_no_face(extract: Extract) -> None:
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (360, 480, 3), np.uint8) for _ in range(12)]
    facts = extract(stills(images)).measured.measurements
    assert facts.frames_with_face == facts.faces == 0


def test_a_face_that_slides_out_and_comes_back_is_one_person(
    portrait: NDArray[np.uint8], extract: Extract
) -> None:
    places = [*np.linspace(320, -150, 30), *np.linspace(-150, 320, 30)]
    images = [moved(portrait, transform(x=x, y=240)) for x in places]
    # Without the background of the portrait the face leaves the picture altogether.
    result = extract(stills(images))
    facts = result.measured.measurements
    assert facts.faces == 1
    assert 20 <= facts.frames_with_face < 60
    assert {segment.track for segment in result.segments} == {0}
    for segment in result.segments:
        middles = segment.tensors["box"][:, :2] + segment.tensors["box"][:, 2:] / 2
        assert (middles > -20).all()
        assert (middles < 660).all()


def test_a_face_larger_than_the_picture_gives_a_face_or_a_gap_and_never_garbage(
    portrait: NDArray[np.uint8], extract: Extract
) -> None:
    images = [
        moved(portrait, transform(x=320, y=240, scale=scale)) for scale in np.linspace(2, 9, 40)
    ]
    result = extract(stills(images))
    for segment in result.segments:
        for at, points in zip(segment.tensors["frame_index"], segment.tensors["mesh"], strict=True):
            scale = np.linspace(2, 9, 40)[at]
            eyes = np.linalg.norm(points[33, :2] - points[263, :2]) / scale
            assert 55 < eyes < 68


def test_frames_of_changing_size_are_taken(portrait: NDArray[np.uint8], extract: Extract) -> None:
    images = [portrait, portrait[:400, :450], cv2.resize(portrait, (900, 900))] * 3
    facts = extract(stills([np.ascontiguousarray(image) for image in images])).measured.measurements
    assert facts.frames_with_face == 9
    assert facts.faces == 1


def test_no_frames_give_no_face(extract: Extract) -> None:
    result = extract(stills([]))
    facts = result.measured.measurements
    assert (facts.frames, facts.faces, facts.shots, facts.picture_seconds) == (0, 0, 0, 0.0)
    assert result.measured.embedding is None
    assert result.measured.portraits.shape == (0, 256, 256, 3)
