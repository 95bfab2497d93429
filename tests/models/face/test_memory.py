"""Memory does not grow with the length of the recording (invariant 13)."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from models.face.extract import FaceExtractor
from models.face.settings import FaceSettings
from models.schema.errors import BadUsage
from tests.models.face.conftest import Picture
from tests.models.face.motion import blank, moved, transform

pytestmark = pytest.mark.weights


@pytest.mark.usefixtures("face_weights")
def test_three_times_the_length_holds_no_more_memory(portrait: NDArray[np.uint8]) -> None:
    images = [moved(portrait, transform(x=320 + at, y=240, degrees=at)) for at in range(23)]
    images.append(blank())
    settings = FaceSettings(detection_interval_seconds=10, identity_interval_seconds=60)
    extractor = FaceExtractor(settings)
    held, largest = [], 0
    tracemalloc.start()
    try:
        # A second between frames: 48 seconds, then 144, each with its cuts and gaps.
        for at in range(144):
            frame = Picture(at, float(at), images[at % len(images)])
            for segment in extractor.push(frame):
                largest = max(largest, sum(t.nbytes for t in segment.tensors.values()))
            if at in (47, 143):
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    for _ in extractor.finish():
        pass
    assert held[1] < held[0] + 2 * 1024 * 1024
    assert largest < 16 * 1024 * 1024
    assert len(extractor.measured.plots["strip"]) <= 16
    assert extractor.measured.measurements.faces == 1


@pytest.mark.usefixtures("face_weights")
def test_a_segment_is_full_at_its_most_frames_at_any_frame_rate(
    portrait: NDArray[np.uint8],
) -> None:
    image = moved(portrait, transform(x=320, y=240))
    extractor = FaceExtractor(FaceSettings(segment_frames_most=50))
    segments = [
        segment for at in range(60) for segment in extractor.push(Picture(at, at / 240, image))
    ]
    assert [len(segment.tensors["mesh"]) for segment in segments] == [50]
    tensors = segments[0].tensors
    aligned = tensors["aligned"].nbytes / len(tensors["aligned"])
    others = sum(t.nbytes for name, t in tensors.items() if name != "aligned") / 50
    defaults = FaceSettings()
    most_aligned = defaults.segment_seconds / defaults.aligned_interval_seconds + 2
    assert defaults.segment_frames_most * others + most_aligned * aligned < 13 * 1024 * 1024


@pytest.mark.usefixtures("face_weights")
def test_measurements_are_refused_before_the_end() -> None:
    with pytest.raises(BadUsage, match="before the last frame"):
        _ = FaceExtractor(FaceSettings()).measured
