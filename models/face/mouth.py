"""How far the mouth is open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.face.mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE

_UPPER = [pair[0] for pair in INNER_LIPS]
_LOWER = [pair[1] for pair in INNER_LIPS]


def mouth_opening(points: NDArray[np.float32]) -> float:
    """Mean distance of the inner lips at three places over the distance of the outer eye corners.

    `points` float32 (468, 3). Both distances are taken in three dimensions, so that turning the
    head shortens neither. 0 is closed; 0.4 is wide open.
    """
    lips = np.linalg.norm(points[_UPPER] - points[_LOWER], axis=1).mean()
    eyes = np.linalg.norm(points[LEFT_EYE[0]] - points[RIGHT_EYE[0]])
    return float(lips / max(float(eyes), 1e-6))
