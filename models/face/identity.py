"""Whose face this is: embeddings and their distance.

Embeddings of different backends are never compared (invariant 12).
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.identity_threshold import threshold_of
from models.face.settings import FaceSettings
from models.schema.voice import Backend
from models.weights import digest_of

_CHIP_PIXELS: Final = 150
_CHIP_PADDING: Final = 0.25
"""The network's input, as it was trained (dlib's `dnn_face_recognition_ex.cpp`)."""

_HEAD_PIXELS: Final = 480
"""Twice the face in a 150 px chip with its padding, with room to turn."""


class IdentityEncoder(Protocol):
    """Turns a face into a vector whose distances tell people apart."""

    @property
    def backend(self) -> Backend:
        """Name, version, weights and parameters, for the feature set."""
        ...

    @property
    def distance_threshold(self) -> float:
        """Two embeddings closer than this are one person."""
        ...

    def prepare(self, image: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The aligned crop the network reads, cut from the picture; cheap.

        `image` uint8 (H, W, 3) BGR, `points` the mesh, float32 (468, 3).
        """
        ...

    def encode(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 (D,) of a prepared crop; costly."""
        ...


class DlibIdentity:
    """dlib's ResNet (King 2017), 128 numbers a face, aligned as its five-point predictor would."""

    def __init__(self, landmarks: Path, weights: Path) -> None:
        import dlib

        self._dlib = dlib
        self._landmarks = dlib.shape_predictor(str(landmarks))
        self._network = dlib.face_recognition_model_v1(str(weights))
        self._lock = threading.Lock()
        self.backend = Backend(
            name="dlib-resnet",
            version="1",
            weights_sha256=digest_of(weights),
            parameters={"landmarks_sha256": digest_of(landmarks), "crop_pixels": _CHIP_PIXELS},
        )
        self.distance_threshold = threshold_of(self.backend.name).distance

    def prepare(self, image: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """As IdentityEncoder.prepare: uint8 (150, 150, 3) RGB."""
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        size = float((high - low).max())
        # dlib walks over the whole array it is given: hand it the head alone, and no larger than
        # the landmarks need.
        corner = np.maximum(np.floor((low + high) / 2 - size), 0).astype(int)
        end = np.ceil((low + high) / 2 + size).astype(int)
        head = image[corner[1] : end[1], corner[0] : end[0]]
        scale = min(1.0, _HEAD_PIXELS / max(head.shape[:2]))
        if scale < 1:
            size_pixels = (round(head.shape[1] * scale), round(head.shape[0] * scale))
            head = np.asarray(cv2.resize(head, size_pixels, interpolation=cv2.INTER_AREA), np.uint8)
        red_first = np.ascontiguousarray(head[..., ::-1])
        edges = np.rint(np.concatenate([low - corner, high - corner]) * scale).astype(int)
        box = self._dlib.rectangle(*(int(edge) for edge in edges))
        shape = self._landmarks(red_first, box)
        return np.asarray(self._dlib.get_face_chip(red_first, shape, _CHIP_PIXELS, _CHIP_PADDING))

    def encode(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As IdentityEncoder.encode: float32 (128,)."""
        with self._lock:
            vector = self._network.compute_face_descriptor(np.ascontiguousarray(crop))
        return np.asarray(vector, np.float32)


@cache
def _dlib_identity(landmarks: Path, weights: Path) -> DlibIdentity:
    return DlibIdentity(landmarks, weights)


def load_identity(settings: FaceSettings) -> IdentityEncoder:
    """The encoder the settings name, loaded once a process; raises WeightsMissing."""
    from models.weights import locate

    return _dlib_identity(locate("dlib-landmarks-5"), locate("dlib-face-identity"))
