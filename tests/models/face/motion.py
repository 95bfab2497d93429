"""A portrait set in motion by a known script."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (640, 480)
FACE = (225.0, 115.0)
"""Middle of the face in the portrait."""


def transform(
    *, x: float, y: float, degrees: float = 0.0, scale: float = 1.5
) -> NDArray[np.float64]:
    """float64 (2, 3): brings the face's middle to (x, y), turned clockwise and scaled."""
    turn = cv2.getRotationMatrix2D(FACE, -degrees, scale)
    turn[:, 2] += np.array([x, y]) - FACE
    return np.asarray(turn, np.float64)


def moved(portrait: NDArray[np.uint8], by: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpAffine(portrait, by, SIZE, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def blank(value: int = 0) -> NDArray[np.uint8]:
    return np.full((SIZE[1], SIZE[0], 3), value, np.uint8)
