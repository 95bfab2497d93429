"""Finding faces in one picture."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.settings import FaceSettings
from models.schema.errors import WeightsMissing
from models.schema.voice import Backend
from models.weights import digest_of


@dataclass(frozen=True)
class Detection:
    """One face: box in pixels, roll of the eye line (radians, clockwise), score."""

    x: float
    y: float
    width: float
    height: float
    roll: float
    score: float


class FaceDetector(Protocol):
    """Finds upright or moderately tilted faces."""

    @property
    def backend(self) -> Backend:
        """Name, version, weights and parameters, for the feature set."""
        ...

    def detect(self, image: NDArray[np.uint8], side_pixels: int) -> list[Detection]:
        """All faces of `image`, uint8 (H, W, 3) BGR, largest first; boxes in its pixels.

        The picture is searched at `side_pixels` along its longer side.
        """
        ...


def _shrunk(image: NDArray[np.uint8], side_pixels: int) -> tuple[NDArray[np.uint8], float]:
    scale = min(1.0, side_pixels / max(image.shape[:2]))
    if scale == 1.0:
        return image, 1.0
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    # Area averaging of the whole picture costs as much as the mesh; bilinear down to twice the
    # size, then area, costs a third and looks the same to the detectors.
    if scale < 0.5:
        image = np.asarray(
            cv2.resize(image, (size[0] * 2, size[1] * 2), interpolation=cv2.INTER_LINEAR), np.uint8
        )
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


class YuNetDetector:
    """YuNet (Wu et al. 2023) by OpenCV's FaceDetectorYN, with five points a face."""

    def __init__(self, weights: Path, score_least: float) -> None:
        self._network = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), score_least)
        self._lock = threading.Lock()
        self.backend = Backend(
            name="yunet",
            version="2023mar",
            weights_sha256=digest_of(weights),
            parameters={"score_least": score_least},
        )

    def detect(self, image: NDArray[np.uint8], side_pixels: int) -> list[Detection]:
        """As FaceDetector.detect."""
        small, scale = _shrunk(image, side_pixels)
        with self._lock:
            self._network.setInputSize((small.shape[1], small.shape[0]))
            rows = self._network.detect(small)[1]
        if rows is None:
            return []
        faces = [
            Detection(
                x=float(row[0]) / scale,
                y=float(row[1]) / scale,
                width=float(row[2]) / scale,
                height=float(row[3]) / scale,
                roll=float(np.arctan2(row[7] - row[5], row[6] - row[4])),
                score=float(row[14]),
            )
            for row in rows
            if np.isfinite(row).all()
        ]
        return sorted(faces, key=lambda face: face.height, reverse=True)


class HogDetector:
    """dlib's frontal detector (HOG and a linear SVM); needs no weights, misses profiles."""

    def __init__(self) -> None:
        import dlib

        self._find = dlib.get_frontal_face_detector()
        self._lock = threading.Lock()
        self.backend = Backend(
            name="dlib-hog", version=str(dlib.__version__), weights_sha256=None, parameters={}
        )

    def detect(self, image: NDArray[np.uint8], side_pixels: int) -> list[Detection]:
        """As FaceDetector.detect; its smallest face is 80 px, so it searches at twice the scale."""
        small, scale = _shrunk(image, side_pixels * 2)
        grey = np.ascontiguousarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
        with self._lock:
            boxes, scores, _ = self._find.run(grey, 0, 0.0)
        faces = [
            Detection(
                x=box.left() / scale,
                y=box.top() / scale,
                width=box.width() / scale,
                height=box.height() / scale,
                roll=0.0,
                score=float(score),
            )
            for box, score in zip(boxes, scores, strict=True)
        ]
        return sorted(faces, key=lambda face: face.height, reverse=True)


@cache
def _yunet(weights: Path, score_least: float) -> YuNetDetector:
    return YuNetDetector(weights, score_least)


@cache
def _hog() -> HogDetector:
    return HogDetector()


def load_detector(settings: FaceSettings) -> FaceDetector:
    """The detector the settings name, loaded once a process.

    Raises WeightsMissing where YuNet is asked for by name and is not pulled.
    """
    from models.weights import locate

    if settings.detector == "hog":
        return _hog()
    try:
        weights = locate("yunet")
    except WeightsMissing:
        if settings.detector == "yunet":
            raise
        return _hog()
    return _yunet(weights, settings.detection_score_least)
