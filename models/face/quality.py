"""How well a face can be seen: sharpness, exposure, and one number for choosing frames."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.settings import FaceSettings

_FACE: Final = slice(40, 152)
"""The face inside the mesh's 192 px crop, whose region is 1.5 times as large as the face."""


def sharpness_and_exposure(crop: NDArray[np.uint8]) -> tuple[float, float]:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) and mean luma in [0, 1] of the face.

    `crop` uint8 (192, 192, 3) BGR: upright, the face always about 128 px high, so that the numbers
    of different recordings and sizes of face can be compared. An enlarged small face scores low,
    as it should. Luma is BT.601.
    """
    luma = cv2.cvtColor(np.ascontiguousarray(crop[_FACE, _FACE]), cv2.COLOR_BGR2GRAY)
    deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))[1]
    return float(deviation[0, 0] ** 2), float(luma.mean()) / 255


def face_quality(
    *,
    height_pixels: float,
    sharpness: float,
    exposure: float,
    yaw_degrees: float,
    pitch_degrees: float,
    eye_opening: float,
    settings: FaceSettings,
) -> float:
    """Quality in [0, 1]: the geometric mean of size, sharpness, exposure, frontality, open eyes.

    Each is 1 from where `settings` calls it good; one that is bad pulls the whole down. Pose falls
    as the cosine of the angle out of the picture. NaN angles give 0.
    """
    size = min(height_pixels / settings.face_pixels_good, 1.0)
    sharp = min(sharpness / settings.sharpness_good, 1.0)
    light = min(
        exposure / settings.exposure_dark,
        (1 - exposure) / (1 - settings.exposure_bright),
        1.0,
    )
    frontal = float(np.cos(np.radians(yaw_degrees)) * np.cos(np.radians(pitch_degrees)))
    eyes = min(eye_opening / settings.eye_opening_good, 1.0)
    product = size * sharp * light * frontal * eyes
    return float(product**0.2) if product > 0 else 0.0
