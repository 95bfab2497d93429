"""One pass over the picture: frames in, face segments out, measurements at the end.

Streaming: what is held is the current segment of each followed face and, of each person, curves
and choices of fixed size, so memory does not grow with the recording (invariant 13).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.face.detection import load_detector
from models.face.gaps import GapList
from models.face.head_pose import HeadPose
from models.face.identity import load_identity
from models.face.mesh import load_mesh
from models.face.people import SERIES, People, Person
from models.face.segments import Frame, SegmentBuilder, thumbnail
from models.face.series import SparseSeries
from models.face.settings import FaceSettings
from models.face.shots import ShotDetector
from models.face.tracking import FaceTracker, TrackedFace
from models.schema.errors import BadUsage
from models.schema.face import FaceMeasurements, FaceSegment, MeasuredFace, SeenPerson
from models.schema.voice import Backend, Tensors

_FRAME_SECONDS_MOST = 1.0
"""A frame that stays longer is a pause of the recorder, not a second of face."""

_STRIP_PIXELS = 96


class FaceExtractor:
    """Measures every face of one recording.

    Give each frame to `push` in order, then call `finish`; both hand out segments as soon as they
    are complete, at most 4 s and 13 MiB each. `measured` is there after `finish`.

    Raises WeightsMissing when it is made and the weights are not pulled. Models are loaded once a
    process and shared.
    """

    def __init__(self, settings: FaceSettings | None = None) -> None:
        self._settings = settings or FaceSettings()
        self._detector = load_detector(self._settings)
        self._mesh = load_mesh(self._settings)
        self._identity = load_identity(self._settings)
        self._tracker = FaceTracker(self._detector, self._mesh, self._settings)
        self._shot_detector = ShotDetector()
        self._people = People(self._identity, self._settings)
        self._open: dict[int, SegmentBuilder] = {}
        self._gaps = GapList(self._settings.gap_seconds_least)
        self._clock = SparseSeries(1)
        self._shots = 0
        self._frames = 0
        self._frames_with_face = 0
        self._first_time: float | None = None
        self._last_time = 0.0
        self._frame_seconds = 1 / 25
        self._measured: MeasuredFace | None = None

    def push(self, frame: Frame) -> Iterator[FaceSegment]:
        """Take one frame; yields the segments it completes, which may be none.

        The iterator must be exhausted before the next frame is pushed.
        """
        image, time_seconds = frame.image, frame.time_seconds
        if self._first_time is None:
            self._first_time, self._shots = time_seconds, 1
        elif time_seconds > self._last_time:
            self._frame_seconds = min(time_seconds - self._last_time, _FRAME_SECONDS_MOST)
        cut = self._shot_detector.is_cut(image)
        if cut:
            self._shots += 1
            yield from self._close(list(self._open))
            self._people.end_shot()
        faces = self._tracker.follow(image, time_seconds, cut=cut)
        followed = {face.track for face in faces}
        yield from self._close([track for track in self._open if track not in followed])
        for face in faces:
            yield from self._add(frame, face, beside=len(faces) > 1)
        self._gaps.frame(time_seconds, seen=bool(faces))
        self._clock.add(self._frames, (time_seconds,))
        self._frames += 1
        self._frames_with_face += bool(faces)
        self._last_time = max(time_seconds, self._last_time)

    def _add(self, frame: Frame, face: TrackedFace, *, beside: bool) -> Iterator[FaceSegment]:
        builder = self._open.get(face.track)
        if builder is None:
            builder = SegmentBuilder(face.track, HeadPose(), self._settings)
        elif builder.is_full(frame.time_seconds):
            yield self._segment(builder)
            builder = SegmentBuilder(face.track, builder.pose, self._settings)
        self._open[face.track] = builder
        builder.add(
            frame,
            face.mesh,
            self._identity,
            order=self._frames,
            seconds=self._frame_seconds,
            beside=beside,
        )

    def _close(self, tracks: list[int]) -> Iterator[FaceSegment]:
        for track in tracks:
            yield self._segment(self._open.pop(track))
            self._people.forget_track(track)

    def _segment(self, builder: SegmentBuilder) -> FaceSegment:
        person = self._people.assign(builder)
        first, last = builder.measures[0], builder.measures[-1]
        return FaceSegment(
            track=person.number,
            start_seconds=first.time_seconds,
            end_seconds=last.time_seconds + last.seconds,
            tensors=builder.tensors(),
        )

    def finish(self) -> Iterator[FaceSegment]:
        """After the last frame: yields what is still open, then `measured` is there."""
        yield from self._close(list(self._open))
        self._people.end_shot()
        self._measured = self._measure()

    @property
    def backends(self) -> dict[str, Backend]:
        """What computes each feature, known before the first frame."""
        return {
            "detector": self._detector.backend,
            "mesh": self._mesh.backend,
            "identity": self._identity.backend,
        }

    @property
    def measured(self) -> MeasuredFace:
        """Measurements, main identity, portraits and plots; raises BadUsage before `finish`."""
        if self._measured is None:
            raise BadUsage(
                "The face measurements were asked for before the last frame.",
                remedy="Exhaust `finish()` first.",
            )
        return self._measured

    def people(self) -> list[SeenPerson]:
        """The people that count, the main one first; nothing of them is part of `measured`."""
        return [
            SeenPerson(
                seconds=person.counted_seconds,
                portraits=_stacked(
                    [sample.image for sample in person.portraits.samples()],
                    self._settings.aligned_pixels,
                ),
            )
            for person in self._people.counted()
        ]

    def _measure(self) -> MeasuredFace:
        people = self._people.counted()
        main = people[0] if people else None
        rows = main.series.rows() if main else np.empty((0, len(SERIES)))
        rows = rows[np.isfinite(rows).all(axis=1)]
        column = {name: rows[:, at] for at, name in enumerate(SERIES)}
        frontal = (np.abs(column["yaw"]) <= self._settings.frontal_degrees) & (
            np.abs(column["pitch"]) <= self._settings.frontal_degrees
        )
        end = self._last_time + self._frame_seconds if self._frames else 0.0
        measurements = FaceMeasurements(
            backends=self.backends,
            frames=self._frames,
            frames_with_face=self._frames_with_face,
            picture_seconds=end - (self._first_time or 0.0),
            faces=len(people),
            main_track=main.number if main else None,
            second_face_seconds=sum(person.counted_seconds for person in people[1:]),
            shots=self._shots,
            gaps=self._gaps.finished(end),
            frontal_fraction=float(frontal.mean()) if len(rows) else 0.0,
            face_height_pixels=_median(column["height"]),
            sharpness=_median(column["sharpness"]),
            exposure=_median(column["exposure"]),
            yaw_degrees_range=_range(column["yaw"]),
            pitch_degrees_range=_range(column["pitch"]),
        )
        portraits = [sample.image for sample in main.portraits.samples()] if main else []
        return MeasuredFace(
            measurements=measurements,
            embedding=main.embedding if main else None,
            portraits=_stacked(portraits, self._settings.aligned_pixels),
            plots=self._plots(main),
        )

    def _plots(self, main: Person | None) -> Tensors:
        strip = main.strip.samples() if main else []
        series = main.series if main else SparseSeries(len(SERIES))
        if series.stride < self._clock.stride:
            series.thin(self._clock.stride)
        table = series.table(self._frames)
        return {
            "strip": _stacked([thumbnail(s, _STRIP_PIXELS) for s in strip], _STRIP_PIXELS),
            "strip_seconds": np.array([sample.time_seconds for sample in strip], np.float64),
            "strip_quality": np.array([sample.quality for sample in strip], np.float32),
            "pose": table[:, :3].astype(np.float32),
            "mouth_opening": table[:, 3].astype(np.float32),
            "pose_seconds": self._clock.table(self._frames)[:, 0],
        }


def _stacked(images: list[NDArray[np.uint8]], pixels: int) -> NDArray[np.uint8]:
    return np.stack(images) if images else np.empty((0, pixels, pixels, 3), np.uint8)


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    low, high = np.percentile(values, [5, 95])
    return float(low), float(high)
