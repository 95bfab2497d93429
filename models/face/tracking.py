"""Following faces from frame to frame.

The detector runs on the first frame, after a cut, where a face was lost, and at intervals to find
who joined; in between, each face's mesh gives the region of the next frame. Tracks are only as long
as a face is followed without a break: who is who across breaks is told by identity (`people.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.face.detection import Detection, FaceDetector
from models.face.mesh import FaceMesh, Mesh, Region, region_of_detection, region_of_points
from models.face.settings import FaceSettings

_OVERLAP_SAME = 0.4
"""Intersection over union from which two boxes are the same face."""

_UNCONFIRMED_MOST = 2
"""Looks of the detector in a row that may miss a followed face (a profile, a hand before it)."""

_SURE_PRESENCE = 0.98
"""The mesh's own score at which it needs no detector to confirm it."""

_FINE_LOOK_SECONDS = 1.0
"""While nobody is seen, the costlier second look is taken this often."""


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame; `track` counts from 0 and is never used again after a loss."""

    track: int
    mesh: Mesh


@dataclass
class _Track:
    number: int
    mesh: Mesh
    region: Region
    """Where to look in the next frame."""
    unconfirmed: int = 0


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


class FaceTracker:
    """Follows up to `settings.faces_most` faces through frames that arrive in order."""

    def __init__(self, detector: FaceDetector, mesh: FaceMesh, settings: FaceSettings) -> None:
        self._detector = detector
        self._mesh = mesh
        self._settings = settings
        self._tracks: list[_Track] = []
        self._numbers = 0
        self._looked_at: float | None = None
        self._looked_finely_at: float | None = None

    def follow(
        self, image: NDArray[np.uint8], time_seconds: float, *, cut: bool
    ) -> list[TrackedFace]:
        """The faces of this frame, uint8 (H, W, 3) BGR; `cut` ends every track first.

        A track that is missing from the answer has ended.
        """
        if cut:
            self._tracks = []
        kept = [moved for track in self._tracks if (moved := self._moved(track, image)) is not None]
        kept = self._without_doubles(kept)
        lost = len(kept) < len(self._tracks)
        self._tracks = kept
        if self._must_look(time_seconds, cut=cut, lost=lost):
            self._look(image, time_seconds)
        return [TrackedFace(track.number, track.mesh) for track in self._tracks]

    def _moved(self, track: _Track, image: NDArray[np.uint8]) -> _Track | None:
        region = track.region
        mesh = self._mesh.fit(image, region)
        if mesh.presence < self._settings.presence_least:
            return None
        after = region_of_points(mesh.points, self._settings.region_scale)
        growth = after.size / region.size
        shift = np.hypot(after.x - region.x, after.y - region.y) * self._settings.region_scale
        if (
            not self._is_plausible(after, image)
            or not 1 / self._settings.growth_most < growth < self._settings.growth_most
            or shift > self._settings.motion_most * region.size
        ):
            return None
        return _Track(track.number, mesh, after, track.unconfirmed)

    def _is_plausible(self, region: Region, image: NDArray[np.uint8]) -> bool:
        height, width = image.shape[:2]
        face = region.size / self._settings.region_scale
        return (
            bool(np.isfinite([region.x, region.y, region.size, region.roll]).all())
            and self._settings.face_pixels_least <= face <= 2 * max(height, width)
            and 0 <= region.x < width
            and 0 <= region.y < height
        )

    def _without_doubles(self, tracks: list[_Track]) -> list[_Track]:
        """Two regions can slide onto one face; the older track keeps it."""
        kept: list[_Track] = []
        for track in tracks:
            if all(_overlap(track.mesh.box, other.mesh.box) < _OVERLAP_SAME for other in kept):
                kept.append(track)
        return kept

    def _must_look(self, time_seconds: float, *, cut: bool, lost: bool) -> bool:
        if cut or lost or self._looked_at is None:
            return True
        interval = (
            self._settings.detection_interval_seconds
            if self._tracks
            else self._settings.search_interval_seconds
        )
        return time_seconds - self._looked_at >= interval or time_seconds < self._looked_at

    def _look(self, image: NDArray[np.uint8], time_seconds: float) -> None:
        self._looked_at = time_seconds
        found = self._detector.detect(image, self._settings.detection_side_pixels)
        if not found and not self._tracks and self._may_look_finely(time_seconds):
            self._looked_finely_at = time_seconds
            found = self._detector.detect(image, self._settings.detection_side_pixels_fine)
        self._confirm(found)
        # Largest first, and only faces the mesh confirms count: a large false detection must not
        # turn a real face into background.
        for face in found:
            if len(self._tracks) >= self._settings.faces_most:
                break
            largest = max((track.mesh.box[3] for track in self._tracks), default=0.0)
            if face.height >= self._settings.background_ratio * largest:
                self._begin(face, image)

    def _may_look_finely(self, time_seconds: float) -> bool:
        last = self._looked_finely_at
        return last is None or not 0 <= time_seconds - last < _FINE_LOOK_SECONDS

    def _confirm(self, found: list[Detection]) -> None:
        for track in self._tracks:
            seen = any(
                _overlap(track.mesh.box, (face.x, face.y, face.width, face.height)) > 0.2
                for face in found
            )
            sure = track.mesh.presence >= _SURE_PRESENCE
            track.unconfirmed = 0 if seen or sure else track.unconfirmed + 1
        self._tracks = [track for track in self._tracks if track.unconfirmed < _UNCONFIRMED_MOST]

    def _begin(self, face: Detection, image: NDArray[np.uint8]) -> None:
        box = (face.x, face.y, face.width, face.height)
        if any(_overlap(track.mesh.box, box) > 0.2 for track in self._tracks):
            return
        region = region_of_detection(face, self._settings.region_scale)
        if not self._is_plausible(region, image):
            return
        mesh = self._mesh.fit(image, region)
        if mesh.presence < self._settings.presence_least:
            return
        # The detector's box is not the mesh's: a second look in the mesh's own region makes the
        # first frame as exact as the following ones.
        own = region_of_points(mesh.points, self._settings.region_scale)
        if not self._is_plausible(own, image):
            return
        track = self._moved(_Track(self._numbers, mesh, own), image)
        if track is None or _overlap(track.mesh.box, box) < 0.2:
            return
        if len(self._without_doubles([*self._tracks, track])) > len(self._tracks):
            self._numbers += 1
            self._tracks.append(track)
