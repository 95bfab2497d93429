"""Real recordings: nobody missed, nobody invented, several people found."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.face.settings import FaceSettings
from models.face.suitability import face_verdicts
from models.schema.purposes import Purpose
from models.schema.verdict import Level
from tests.models.face.conftest import Extract, Picture, clip, stills

pytestmark = [pytest.mark.media, pytest.mark.weights]


def _first_seconds(path: Path, seconds: float) -> list[Picture]:
    frames = []
    for frame in clip(path, side_pixels=720):
        if frame.time_seconds >= seconds:
            break
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    "name", ["talk_wda_aoc", "talk_vr1", "talk_latentsync2", "expr_lp_d20", "expr_lp_d19"]
)
def test_a_talking_head_is_one_person_in_every_frame(
    name: str, media: Path, extract: Extract
) -> None:
    result = extract(iter(_first_seconds(media / "videos" / f"{name}.mp4", 4.2)))
    facts = result.measured.measurements
    assert facts.frames_with_face >= 0.99 * facts.frames
    assert (facts.faces, facts.shots) == (1, 1)
    assert facts.second_face_seconds == 0
    assert facts.frontal_fraction > 0.9
    assert result.measured.embedding is not None
    opening = np.concatenate([s.tensors["mouth_opening"] for s in result.segments])
    assert 0 <= opening.min() < 0.06
    assert opening.max() < 1


def test_cuts_and_several_people_are_found(media: Path, extract: Extract) -> None:
    result = extract(clip(media / "videos" / "hamilton_multi_shot.mp4"))
    facts = result.measured.measurements
    assert facts.shots == 4
    assert facts.faces >= 2
    # The second shot shows the back of a head.
    assert any(gap.end_seconds - gap.start_seconds > 1.5 for gap in facts.gaps)
    verdicts = face_verdicts(result.measured, [Purpose.DIGITAL_HUMAN], FaceSettings())
    assert verdicts[0].code == "several_faces"
    assert verdicts[0].level is Level.IDENTIFY
    assert all(verdict.level is not Level.GOOD for verdict in verdicts)


@pytest.mark.parametrize("detector", ["auto", "hog"])
def test_two_people_in_one_picture_are_two(detector: str, media: Path, extract: Extract) -> None:
    image = cv2.imread(str(media / "faces" / "_multi" / "two_people.jpg"))
    assert image is not None
    settings = FaceSettings.model_validate({"detector": detector})
    result = extract(stills([np.asarray(image, np.uint8)] * 12), settings)
    assert result.measured.measurements.faces == 2
    assert result.measured.measurements.second_face_seconds == pytest.approx(12 / 25, abs=0.05)


def _square(media: Path, name: str, seconds: float) -> list[NDArray[np.uint8]]:
    return [
        np.asarray(cv2.resize(frame.image, (480, 480)), np.uint8)
        for frame in _first_seconds(media / "videos" / f"{name}.mp4", seconds)
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("talk_wda_aoc", "expr_lp_d19"), ("talk_vr1", "expr_lp_d20")]
)
def test_different_people_in_successive_shots_are_several(
    one: str, other: str, media: Path, extract: Extract
) -> None:
    images = _square(media, one, 1.5) + _square(media, other, 1.5)
    facts = extract(stills(images)).measured.measurements
    assert facts.faces == 2
    assert facts.shots == 2


def test_a_face_that_dissolves_into_another_is_two_people(media: Path, extract: Extract) -> None:
    before, after = _square(media, "expr_lp_d20", 3.0), _square(media, "expr_lp_d19", 3.0)
    mixed = [
        cv2.addWeighted(before[50 + at], 1 - at / 25, after[at], at / 25, 0) for at in range(25)
    ]
    images = [*before[:50], *(np.asarray(i, np.uint8) for i in mixed), *after[25:]]
    facts = extract(stills(images)).measured.measurements
    assert facts.shots == 1
    assert facts.faces == 2


def test_a_passer_by_of_a_moment_stops_nothing_and_one_who_stays_does(
    media: Path, extract: Extract
) -> None:
    speaker = _square(media, "expr_lp_d19", 6.0)[::3]
    other = [image[60:380, 80:400] for image in _square(media, "talk_wda_aoc", 2.5)]

    def beside(frames: int) -> int:
        images = []
        for at, image in enumerate(speaker):
            side = np.zeros((480, 320, 3), np.uint8) + np.uint8(90)
            if 10 <= at < 10 + frames:
                side[80:400] = other[at]
            images.append(np.hstack([image, side]))
        return extract(stills(images, rate_hz=10)).measured.measurements.faces

    assert beside(frames=5) == 1
    assert beside(frames=30) == 2


def test_a_poster_behind_the_speaker_is_background(media: Path, extract: Extract) -> None:
    poster = cv2.imread(str(media / "faces" / "lennon" / "2.jpg"))
    assert poster is not None
    small = cv2.resize(poster, (130, 130), interpolation=cv2.INTER_AREA)
    images = []
    for frame in _first_seconds(media / "videos" / "talk_wda_aoc.mp4", 2.2):
        image = frame.image.copy()
        image[5:135, 5:135] = small
        images.append(image)
    facts = extract(stills(images)).measured.measurements
    assert facts.faces == 1
    assert facts.second_face_seconds == 0


def test_a_face_at_the_border_is_followed_without_a_fault(media: Path, extract: Extract) -> None:
    image = cv2.imread(str(media / "awkward" / "obama_partial_face.jpg"))
    assert image is not None
    facts = extract(stills([np.asarray(image, np.uint8)] * 5)).measured.measurements
    assert facts.faces <= 1
