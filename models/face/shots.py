"""Cuts between shots."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_THRESHOLD: Final = 27.0
"""Mean change of hue, saturation and value between frames, each counted to 255, that is a cut:
the default of PySceneDetect's content detector. Cuts of the shared clips score 34 and more, the
fastest motion 13."""

_SMALL: Final = (64, 36)


class ShotDetector:
    """Says of each frame whether it begins a new shot; reads a 64 by 36 miniature."""

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None

    def is_cut(self, image: NDArray[np.uint8]) -> bool:
        """True where `image`, uint8 (H, W, 3) BGR, cannot follow the last one by motion."""
        sampled = cv2.resize(image, (_SMALL[0] * 2, _SMALL[1] * 2), interpolation=cv2.INTER_NEAREST)
        small = cv2.resize(sampled, _SMALL, interpolation=cv2.INTER_AREA)
        now = cv2.cvtColor(small, cv2.COLOR_BGR2HSV).astype(np.float32)
        before, self._before = self._before, now
        if before is None:
            return False
        change = np.abs(now - before)
        # Hue is an angle, 0 to 180 in OpenCV's bytes.
        change[..., 0] = np.minimum(change[..., 0], 180 - change[..., 0])
        return float(change.mean()) > _THRESHOLD
