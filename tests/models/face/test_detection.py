"""Detectors and runtimes are exchangeable: what one finds, the other finds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.face.detection import load_detector
from models.face.mesh import load_mesh, region_of_detection
from models.face.settings import FaceSettings
from models.schema.errors import WeightsMissing

pytestmark = pytest.mark.weights


@pytest.mark.parametrize("detector", ["yunet", "hog"])
def test_each_detector_finds_the_portrait_and_nothing_else(
    detector: str, portrait: NDArray[np.uint8]
) -> None:
    settings = FaceSettings.model_validate({"detector": detector})
    try:
        backend = load_detector(settings)
    except WeightsMissing as missing:
        pytest.skip(missing.message)
    (face,) = backend.detect(portrait, 320)
    assert face.x + face.width / 2 == pytest.approx(225, abs=15)
    assert face.y + face.height / 2 == pytest.approx(115, abs=20)
    assert backend.detect(np.zeros((240, 320, 3), np.uint8), 320) == []


def test_yunet_by_name_is_an_error_where_it_is_not_pulled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("LIKENESS_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing):
        load_detector(FaceSettings(detector="yunet"))
    assert load_detector(FaceSettings(detector="auto")).backend.name == "dlib-hog"


@pytest.mark.usefixtures("face_weights")
def test_models_are_loaded_once_a_process() -> None:
    assert load_mesh(FaceSettings()) is load_mesh(FaceSettings())
    assert load_detector(FaceSettings()) is load_detector(FaceSettings())


@pytest.mark.usefixtures("face_weights")
def test_both_runtimes_give_the_same_points(portrait: NDArray[np.uint8]) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    (face, *_) = load_detector(FaceSettings()).detect(portrait, 320)
    region = region_of_detection(face, 1.5)
    one, other = (
        load_mesh(FaceSettings.model_validate({"mesh_runtime": name})).fit(portrait, region)
        for name in ("opencv", "litert")
    )
    assert np.abs(one.points - other.points).max() < 0.01
    assert one.presence == pytest.approx(other.presence, abs=1e-4)
