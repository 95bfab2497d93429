"""Where the head is turned: yaw, pitch and roll from the mesh.

Signs, for a person who faces the camera: yaw is positive when the face turns towards the picture's
right (the person's own left), pitch when it looks up, roll when the head tilts clockwise in the
picture. Mirroring a picture negates yaw and roll and keeps pitch.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_CANONICAL: Final = {
    33: (-4.50, 0.02, 1.38),
    263: (4.50, 0.02, 1.38),
    133: (-1.71, 0.19, 0.85),
    362: (1.71, 0.19, 0.85),
    46: (-5.26, -1.16, 0.84),
    276: (5.26, -1.16, 0.84),
    70: (-5.62, -1.45, 1.32),
    300: (5.62, -1.45, 1.32),
    107: (-1.46, -2.14, -1.08),
    336: (1.46, -2.14, -1.08),
    127: (-6.81, 0.31, 6.31),
    356: (6.81, 0.31, 6.31),
    98: (-1.96, 3.95, -0.29),
    327: (1.96, 3.95, -0.29),
    168: (0.00, -0.43, -0.90),
    6: (0.00, 0.35, -1.29),
    197: (0.00, 1.07, -1.75),
    195: (0.00, 1.72, -2.26),
    5: (0.00, 2.41, -2.79),
    4: (0.00, 3.27, -2.97),
    1: (0.00, 3.90, -2.71),
    9: (0.00, -2.02, -1.13),
    8: (0.00, -1.18, -0.95),
    151: (0.00, -3.52, -1.03),
    10: (0.00, -4.99, -0.85),
}
"""Mesh points that speech hardly moves, x right, y down, z away from the camera, scaled to 9 cm
between the outer eye corners.

The shape that the mesh gives on the public-domain portrait in scikit-image's wheel (NASA), at three
sizes, mirrored and averaged, and turned by 0.8 degrees so that people who look at the camera, over
46 portraits, have the same median pitch as with the mean shape of those portraits.
"""

_POINTS: Final = np.array(list(_CANONICAL), np.intp)
_SHAPE: Final = np.array(list(_CANONICAL.values()), np.float64)

_FOCAL_LENGTH: Final = 1.2
"""In longer sides of the picture: a field of view of 45 degrees, between a phone's main camera
(65) and a portrait lens (30), since the true one is unknown."""


_Placed = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rotation vector and translation, float64 (3, 1) each, from the canonical face to the camera."""


class HeadPose:
    """Pose of one face over time; each frame starts from the one before."""

    def __init__(self) -> None:
        self._before: _Placed | None = None

    def estimate(
        self, points: NDArray[np.float32], width_pixels: int, height_pixels: int
    ) -> tuple[float, float, float]:
        """Yaw, pitch, roll in degrees of mesh points float32 (468, 3); NaN where none fits."""
        focal = _FOCAL_LENGTH * max(width_pixels, height_pixels)
        camera = np.array([[focal, 0, width_pixels / 2], [0, focal, height_pixels / 2], [0, 0, 1]])
        seen = np.ascontiguousarray(points[_POINTS, :2], np.float64)
        try:
            placed = self._placed(seen, camera)
        except cv2.error:
            placed = None
        self._before = placed
        if placed is None:
            return math.nan, math.nan, math.nan
        return _angles(np.asarray(cv2.Rodrigues(placed[0])[0], np.float64))

    def _placed(self, seen: NDArray[np.float64], camera: NDArray[np.float64]) -> _Placed | None:
        start = self._before
        if start is None:
            found, rotation, translation = cv2.solvePnP(
                _SHAPE, seen, camera, None, flags=cv2.SOLVEPNP_SQPNP
            )
            if not found:
                return None
            start = np.asarray(rotation, np.float64), np.asarray(translation, np.float64)
        found, rotation, translation = cv2.solvePnP(
            _SHAPE,
            seen,
            camera,
            None,
            start[0].copy(),
            start[1].copy(),
            True,
            cv2.SOLVEPNP_ITERATIVE,
        )
        placed = np.asarray(rotation, np.float64), np.asarray(translation, np.float64)
        in_front = found and np.isfinite(placed[0]).all() and placed[1][2, 0] > 0
        return placed if in_front else None


def _angles(rotation: NDArray[np.float64]) -> tuple[float, float, float]:
    # rotation = Rz(roll) Ry(-yaw) Rx(-pitch) in camera axes (x right, y down, z away).
    yaw = math.asin(min(max(float(rotation[2, 0]), -1.0), 1.0))
    pitch = -math.atan2(float(rotation[2, 1]), float(rotation[2, 2]))
    roll = math.atan2(float(rotation[1, 0]), float(rotation[0, 0]))
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)
