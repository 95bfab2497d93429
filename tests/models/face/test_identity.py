"""Who is who on real photographs, all pairs."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.face.detection import load_detector
from models.face.identity import load_identity
from models.face.identity_threshold import identity_distance, threshold_of
from models.face.mesh import load_mesh, region_of_detection, region_of_points
from models.face.settings import FaceSettings

pytestmark = [pytest.mark.media, pytest.mark.weights]


@pytest.fixture(scope="module")
def embeddings(media: Path, face_weights: None) -> list[tuple[str, NDArray[np.float32]]]:
    settings = FaceSettings()
    detector, mesh = load_detector(settings), load_mesh(settings)
    identity = load_identity(settings)
    found = []
    for path in sorted((media / "faces").glob("[a-z]*/*")):
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        faces = detector.detect(image, settings.detection_side_pixels)
        assert faces, f"nobody found in {path.parent.name}"
        surest = max(faces, key=lambda face: face.score)
        region = region_of_detection(surest, settings.region_scale)
        for _ in range(2):
            fitted = mesh.fit(image, region)
            region = region_of_points(fitted.points, settings.region_scale)
        assert fitted.presence > 0.9
        found.append((path.parent.name, identity.encode(identity.prepare(image, fitted.points))))
    return found


def test_the_recorded_threshold_and_error_rate_hold(
    embeddings: list[tuple[str, NDArray[np.float32]]],
) -> None:
    threshold = threshold_of("dlib-resnet")
    same, different = [], []
    for (name, a), (other, b) in combinations(embeddings, 2):
        (same if name == other else different).append(identity_distance(a, b))
    assert (len(same), len(different)) == (
        threshold.same_person_pairs,
        threshold.different_person_pairs,
    )
    assert max(same) < min(different)
    assert threshold.equal_error_rate == 0
    refused = sum(distance >= threshold.distance for distance in same)
    accepted = sum(distance < threshold.distance for distance in different)
    assert refused <= threshold.same_person_refused
    assert accepted == threshold.different_people_accepted
