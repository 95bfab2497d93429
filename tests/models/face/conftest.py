"""Pictures and clips that the face tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.face.extract import FaceExtractor
from models.face.settings import FaceSettings
from models.schema.errors import WeightsMissing
from models.schema.face import FaceSegment, MeasuredFace


@dataclass(frozen=True)
class Picture:
    """A frame as decoding hands it out."""

    index: int
    time_seconds: float
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Extraction:
    segments: list[FaceSegment]
    measured: MeasuredFace


def stills(images: list[NDArray[np.uint8]], rate_hz: float = 25.0) -> Iterator[Picture]:
    for index, image in enumerate(images):
        yield Picture(index, index / rate_hz, image)


def clip(path: Path, side_pixels: int = 1280) -> Iterator[Picture]:
    """Decoded by OpenCV, so that these tests stand without the decoding room."""
    reader = cv2.VideoCapture(str(path))
    rate, index = reader.get(cv2.CAP_PROP_FPS), 0
    while True:
        read, image = reader.read()
        if not read:
            return
        scale = side_pixels / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        yield Picture(index, index / rate, np.asarray(image, np.uint8))
        index += 1


@pytest.fixture(scope="session")
def face_weights() -> None:
    """Skips where the default weights are not pulled."""
    try:
        FaceExtractor(FaceSettings())
    except WeightsMissing as missing:
        pytest.skip(f"{missing.message} {missing.remedy}")


Extract = Callable[..., Extraction]


@pytest.fixture(scope="session")
def extract(face_weights: None) -> Extract:
    def run(frames: Iterator[Picture], settings: FaceSettings | None = None) -> Extraction:
        extractor = FaceExtractor(settings or FaceSettings())
        segments = [segment for frame in frames for segment in extractor.push(frame)]
        segments += extractor.finish()
        return Extraction(segments, extractor.measured)

    return run


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """A real face, uint8 (512, 512, 3) BGR: NASA's portrait inside scikit-image, public domain."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[..., ::-1])
