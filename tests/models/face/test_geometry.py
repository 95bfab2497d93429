"""Pose, alignment, mouth opening and quality on shapes whose answer is known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.face.alignment import crop, face_transform, similarity
from models.face.head_pose import _POINTS, _SHAPE, HeadPose
from models.face.mesh import INNER_LIPS, POINTS, region_of_points
from models.face.mouth import mouth_opening
from models.face.quality import face_quality, sharpness_and_exposure
from models.face.settings import FaceSettings


def _turned(yaw: float, pitch: float, roll: float) -> NDArray[np.float32]:
    """The canonical face seen by a camera of 1280 by 720, turned as HeadPose's signs say."""
    x, y, z = (np.radians(angle) for angle in (-pitch, -yaw, roll))
    about_x = cv2.Rodrigues(np.array([x, 0.0, 0.0]))[0]
    about_y = cv2.Rodrigues(np.array([0.0, y, 0.0]))[0]
    about_z = cv2.Rodrigues(np.array([0.0, 0.0, z]))[0]
    seen = _SHAPE @ (about_z @ about_y @ about_x).T + [0, 0, 60]
    focal = 1.2 * 1280
    points = np.zeros((POINTS, 3), np.float32)
    points[_POINTS, :2] = seen[:, :2] / seen[:, 2:] * focal + [640, 360]
    return points


@given(yaw=st.floats(-60, 60), pitch=st.floats(-40, 40), roll=st.floats(-60, 60))
def test_pose_is_what_the_face_was_turned_by(yaw: float, pitch: float, roll: float) -> None:
    found = HeadPose().estimate(_turned(yaw, pitch, roll), 1280, 720)
    assert found == pytest.approx((yaw, pitch, roll), abs=0.5)


def test_the_signs_are_as_stated() -> None:
    nose, between_ears = 4, (127, 356)
    for yaw, pitch in ((20.0, 0.0), (0.0, 20.0)):
        points = _turned(yaw, pitch, 0.0)
        across, down = points[nose, :2] - points[list(between_ears), :2].mean(axis=0)
        straight = _turned(0.0, 0.0, 0.0)
        down -= (straight[nose, :2] - straight[list(between_ears), :2].mean(axis=0))[1]
        assert (across > 10) == (yaw > 0)
        assert (down < -10) == (pitch > 0)
    clockwise = _turned(0.0, 0.0, 20.0)
    assert clockwise[263, 1] > clockwise[33, 1]


def test_points_that_fit_no_face_give_no_pose_and_no_fault() -> None:
    pose = HeadPose()
    for points in (np.zeros((POINTS, 3), np.float32), np.full((POINTS, 3), np.nan, np.float32)):
        yaw, pitch, roll = pose.estimate(points, 640, 480)
        assert all(math.isnan(v) or abs(v) <= 180 for v in (yaw, pitch, roll))
    assert pose.estimate(_turned(10, 5, 3), 1280, 720) == pytest.approx((10, 5, 3), abs=0.5)


@given(
    degrees=st.floats(-180, 180),
    scale=st.floats(0.2, 5),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
def test_a_similarity_is_recovered_exactly(
    degrees: float, scale: float, x: float, y: float
) -> None:
    points = np.random.default_rng(3).normal(size=(5, 2)) * 50
    known = cv2.getRotationMatrix2D((0, 0), degrees, scale)
    known[:, 2] = x, y
    target = points @ known[:, :2].T + known[:, 2]
    assert similarity(points, target) == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("size", [60, 240, 2400])
def test_a_face_lands_in_the_same_place_at_any_size(size: int) -> None:
    image = np.zeros((size, size, 3), np.uint8)
    unit = np.array([[0.35, 0.4], [0.65, 0.4], [0.5, 0.55], [0.38, 0.7], [0.62, 0.7]])
    five = (unit * size).astype(np.float32)
    for point in five[:2]:
        cv2.circle(image, tuple(int(v) for v in point), size // 30, (255, 255, 255), -1)
    aligned = crop(image, face_transform(five, 256), 256)[..., 0] > 128
    rows, columns = np.nonzero(aligned)
    left = columns < 128
    transform = face_transform(five, 256)
    for half, point in ((left, five[0]), (~left, five[1])):
        expected = transform[:, :2] @ point + transform[:, 2]
        assert (columns[half].mean(), rows[half].mean()) == pytest.approx(expected, abs=3)


@given(shift=st.tuples(st.floats(-900, 900), st.floats(-900, 900)), scale=st.floats(0.1, 4))
def test_a_region_of_interest_moves_and_grows_with_the_points(
    shift: tuple[float, float], scale: float
) -> None:
    points = _turned(0, 0, 10)
    points[:, :2] = np.where(points[:, :2] == 0, points[4, :2], points[:, :2])
    before = region_of_points(points, 1.5)
    moved = points.copy()
    moved[:, :2] = points[:, :2] * np.float32(scale) + np.float32(shift)
    after = region_of_points(moved, 1.5)
    assert after.size == pytest.approx(before.size * scale, rel=1e-3)
    assert after.x == pytest.approx(before.x * scale + shift[0], abs=0.5)
    assert after.y == pytest.approx(before.y * scale + shift[1], abs=0.5)
    assert after.roll == pytest.approx(before.roll, abs=1e-3)


@given(opening=st.floats(0, 1), scale=st.floats(0.1, 10))
def test_mouth_opening_is_lips_over_eyes_at_any_size(opening: float, scale: float) -> None:
    points = np.zeros((POINTS, 3), np.float32)
    points[263, 0] = scale
    for _, lower in INNER_LIPS:
        points[lower, 1] = opening * scale
    assert mouth_opening(points) == pytest.approx(opening, abs=1e-5)


def test_blur_lowers_sharpness_and_light_raises_exposure() -> None:
    crop_ = np.random.default_rng(0).integers(60, 140, (192, 192, 3), np.uint8)
    sharp, exposure = sharpness_and_exposure(crop_)
    blurred, same = sharpness_and_exposure(np.asarray(cv2.GaussianBlur(crop_, (0, 0), 2), np.uint8))
    brighter = sharpness_and_exposure(crop_ + np.uint8(80))
    assert blurred < 0.1 * sharp
    assert same == pytest.approx(exposure, abs=0.01)
    assert brighter[1] == pytest.approx(exposure + 80 / 255, abs=0.01)


@given(
    height=st.floats(1, 2000),
    sharpness=st.floats(0, 5000),
    exposure=st.floats(0, 1),
    yaw=st.floats(-90, 90),
)
def test_quality_lies_between_0_and_1_and_a_worse_pose_never_raises_it(
    height: float, sharpness: float, exposure: float, yaw: float
) -> None:
    def quality(yaw_degrees: float) -> float:
        return face_quality(
            height_pixels=height,
            sharpness=sharpness,
            exposure=exposure,
            yaw_degrees=yaw_degrees,
            pitch_degrees=0.0,
            eye_opening=0.3,
            settings=FaceSettings(),
        )

    assert 0 <= quality(yaw) <= quality(0) <= 1
    assert quality(math.nan) == 0


def test_closed_eyes_lower_the_quality_of_a_face() -> None:
    from models.face.quality import face_quality
    from models.face.settings import FaceSettings

    def quality(eye_opening: float) -> float:
        return face_quality(
            height_pixels=300,
            sharpness=500,
            exposure=0.5,
            yaw_degrees=0,
            pitch_degrees=0,
            eye_opening=eye_opening,
            settings=FaceSettings(),
        )

    assert quality(0.3) == 1.0
    assert quality(0.05) < quality(0.15) < 0.99
