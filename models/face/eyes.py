"""How far the eyes are open."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.face.mesh import LEFT_EYE, RIGHT_EYE

_RIGHT_LIDS: Final = ((159, 145), (158, 153), (160, 144))
_LEFT_LIDS: Final = ((386, 374), (385, 380), (387, 373))


def eye_opening(points: NDArray[np.float32]) -> float:
    """Mean distance of the lids at three places over the width of the eye, of the wider open eye.

    `points` float32 (468, 3). The eye aspect ratio of Soukupova and Cech ("Real-time eye blink
    detection using facial landmarks", 2016) on the mesh: about 0.1 is closed, 0.3 open.
    """
    return max(_ratio(points, _RIGHT_LIDS, RIGHT_EYE), _ratio(points, _LEFT_LIDS, LEFT_EYE))


def _ratio(
    points: NDArray[np.float32], lids: tuple[tuple[int, int], ...], corners: tuple[int, int]
) -> float:
    upper, lower = (points[[pair[at] for pair in lids]] for at in (0, 1))
    opening = float(np.linalg.norm(upper - lower, axis=1).mean())
    width = float(np.linalg.norm(points[corners[0]] - points[corners[1]]))
    return opening / max(width, 1e-6)
