"""The 468 points of MediaPipe's face mesh, in a region that follows the face.

Kartynnik et al. 2019, "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs". The
network sees a 192 px upright crop and answers with points in it and with a face score of its own;
the next frame's region comes from this frame's points, so no detector runs between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.detection import Detection
from models.face.mesh_runtime import MeshRuntime, RuntimeName, load_runtime
from models.face.settings import FaceSettings
from models.schema.voice import Backend
from models.weights import digest_of

POINTS = 468
CROP_PIXELS = 192

RIGHT_EYE = (33, 133)
"""Outer and inner corner of the person's right eye, which is left in the picture."""
LEFT_EYE = (263, 362)
NOSE_TIP = 1
MOUTH_CORNERS = (61, 291)
INNER_LIPS = ((13, 14), (82, 87), (312, 317))
"""Upper and lower point of the inner lips: middle, and half-way to either corner."""
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Outline of the face, in order."""


@dataclass(frozen=True)
class Region:
    """A square of `size` pixels around (x, y), turned clockwise by `roll` radians."""

    x: float
    y: float
    size: float
    roll: float


@dataclass(frozen=True)
class Mesh:
    """What the network says of one region.

    `points` float32 (468, 3): x, y in pixels of the picture, z on the same scale, smaller is
    nearer. `presence` in [0, 1]: is this a face. `crop` uint8 (192, 192, 3) BGR: what it saw.
    """

    points: NDArray[np.float32]
    presence: float
    crop: NDArray[np.uint8]
    region: Region

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x, y, width, height around all points."""
        low, high = self.points[:, :2].min(axis=0), self.points[:, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


class FaceMesh(Protocol):
    """Finds the points of the one face in a region."""

    @property
    def backend(self) -> Backend:
        """Name, version, weights and parameters, for the feature set."""
        ...

    def fit(self, image: NDArray[np.uint8], region: Region) -> Mesh:
        """The mesh in `region` of `image`, uint8 (H, W, 3) BGR; black beyond the border."""
        ...


def region_of_detection(face: Detection, scale: float) -> Region:
    """Where the mesh looks for a detected face."""
    return Region(
        x=face.x + face.width / 2,
        y=face.y + face.height / 2,
        size=scale * max(face.width, face.height),
        roll=face.roll,
    )


def region_of_points(points: NDArray[np.float32], scale: float) -> Region:
    """Where the mesh looks in the next frame: around these points, upright along the eye line."""
    eyes = points[LEFT_EYE[0], :2] - points[RIGHT_EYE[0], :2]
    roll = math.atan2(float(eyes[1]), float(eyes[0]))
    cosine, sine = math.cos(roll), math.sin(roll)
    upright = points[:, :2] @ np.array([[cosine, -sine], [sine, cosine]], np.float32)
    low, high = upright.min(axis=0), upright.max(axis=0)
    middle = (low + high) / 2
    return Region(
        x=float(cosine * middle[0] - sine * middle[1]),
        y=float(sine * middle[0] + cosine * middle[1]),
        size=scale * float((high - low).max()),
        roll=roll,
    )


def five_points(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (5, 2): eye centres, nose tip, mouth corners, picture's left first, as ArcFace."""
    return np.stack(
        [
            points[list(RIGHT_EYE), :2].mean(axis=0),
            points[list(LEFT_EYE), :2].mean(axis=0),
            points[NOSE_TIP, :2],
            points[MOUTH_CORNERS[0], :2],
            points[MOUTH_CORNERS[1], :2],
        ]
    ).astype(np.float32)


class MediaPipeMesh:
    """`face_landmark.tflite`, by one of two runtimes."""

    def __init__(self, weights: Path, runtime: MeshRuntime) -> None:
        self._runtime = runtime
        self.backend = Backend(
            name="mediapipe-face-mesh",
            version="1",
            weights_sha256=digest_of(weights),
            parameters={"crop_pixels": CROP_PIXELS, "runtime": runtime.name},
        )

    def fit(self, image: NDArray[np.uint8], region: Region) -> Mesh:
        """As FaceMesh.fit."""
        scale = region.size / CROP_PIXELS
        cosine, sine = math.cos(region.roll) * scale, math.sin(region.roll) * scale
        half = CROP_PIXELS / 2
        to_image = np.array(
            [
                [cosine, -sine, region.x - cosine * half + sine * half],
                [sine, cosine, region.y - sine * half - cosine * half],
            ]
        )
        crop = np.asarray(
            cv2.warpAffine(
                image,
                to_image,
                (CROP_PIXELS, CROP_PIXELS),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            ),
            np.uint8,
        )
        # The order of the outputs differs between runtimes and versions; their sizes do not.
        by_size = {output.size: output for output in self._runtime.outputs(crop)}
        raw = by_size[POINTS * 3].reshape(POINTS, 3)
        points = np.empty((POINTS, 3), np.float32)
        points[:, :2] = raw[:, :2] @ to_image[:, :2].T + to_image[:, 2]
        points[:, 2] = raw[:, 2] * scale
        return Mesh(points, _logistic(float(by_size[1].flat[0])), crop, region)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -60.0), 60.0)))


@cache
def _mediapipe(weights: Path, runtime: RuntimeName) -> MediaPipeMesh:
    return MediaPipeMesh(weights, load_runtime(runtime, weights))


def load_mesh(settings: FaceSettings) -> FaceMesh:
    """The mesh the settings name, loaded once a process; raises WeightsMissing."""
    from models.weights import locate

    return _mediapipe(locate("face-mesh"), settings.mesh_runtime)
