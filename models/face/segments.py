"""Some seconds of one face, gathered frame by frame into the tensors that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.alignment import crop, face_transform, mouth_transform
from models.face.eyes import eye_opening
from models.face.head_pose import HeadPose
from models.face.identity import IdentityEncoder
from models.face.mesh import Mesh, five_points
from models.face.mouth import mouth_opening
from models.face.quality import face_quality, sharpness_and_exposure
from models.face.series import Sample
from models.face.settings import FaceSettings
from models.schema.voice import Tensors


class Frame(Protocol):
    """One decoded picture: upright uint8 (H, W, 3) BGR, on the media clock."""

    @property
    def index(self) -> int:
        """Number of the frame in the decoded picture."""
        ...

    @property
    def time_seconds(self) -> float:
        """Presentation time."""
        ...

    @property
    def image(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) BGR."""
        ...


@dataclass(frozen=True)
class FrameMeasure:
    """What one frame says of one face: a row of the segment's tensors."""

    order: int
    """How many frames came before, whatever `index` says."""
    index: int
    time_seconds: float
    seconds: float
    """For how long the frame is shown."""
    box: tuple[float, float, float, float]
    five: NDArray[np.float32]
    points: NDArray[np.float32]
    pose: tuple[float, float, float]
    mouth_opening: float
    sharpness: float
    exposure: float
    mouth: NDArray[np.uint8]
    beside: bool
    """Another face is followed in the same frame."""


@dataclass(frozen=True)
class IdentityCrop:
    """A crop the identity network can read, with the frame's quality."""

    image: NDArray[np.uint8]
    quality: float


class SegmentBuilder:
    """Gathers one track's frames until the segment is full, the face lost or the shot cut."""

    def __init__(self, track: int, pose: HeadPose, settings: FaceSettings) -> None:
        self.track = track
        self.measures: list[FrameMeasure] = []
        self.samples: list[Sample] = []
        self.identity_crops: dict[int, IdentityCrop] = {}
        """The best of the segment's first (0) and second half (1): a dissolve to another face
        leaves one of each."""
        self._sample_indices: list[int] = []
        self._pose = pose
        self._settings = settings

    @property
    def seconds(self) -> float:
        """Time its frames are shown."""
        return sum(measure.seconds for measure in self.measures)

    @property
    def pose(self) -> HeadPose:
        """The pose estimator, to go on with in the track's next segment."""
        return self._pose

    def is_full(self, time_seconds: float) -> bool:
        """Whether a frame at `time_seconds` belongs to the next segment."""
        return bool(self.measures) and (
            time_seconds - self.measures[0].time_seconds >= self._settings.segment_seconds
            or len(self.measures) >= self._settings.segment_frames_most
        )

    def add(
        self,
        frame: Frame,
        mesh: Mesh,
        identity: IdentityEncoder,
        *,
        order: int,
        seconds: float,
        beside: bool,
    ) -> None:
        """Measure one frame; costly crops are made for sparse frames only."""
        image, settings = frame.image, self._settings
        five = five_points(mesh.points)
        sharpness, exposure = sharpness_and_exposure(mesh.crop)
        measure = FrameMeasure(
            order=order,
            index=frame.index,
            time_seconds=frame.time_seconds,
            seconds=seconds,
            box=mesh.box,
            five=five,
            points=mesh.points,
            pose=self._pose.estimate(mesh.points, image.shape[1], image.shape[0]),
            mouth_opening=mouth_opening(mesh.points),
            sharpness=sharpness,
            exposure=exposure,
            mouth=crop(image, mouth_transform(five, settings.mouth_pixels), settings.mouth_pixels),
            beside=beside,
        )
        self.measures.append(measure)
        last = self.samples[-1].time_seconds if self.samples else None
        if last is None or measure.time_seconds - last >= settings.aligned_interval_seconds:
            self._sample(image, measure, identity)

    def _sample(
        self, image: NDArray[np.uint8], measure: FrameMeasure, identity: IdentityEncoder
    ) -> None:
        settings = self._settings
        yaw, pitch, _ = measure.pose
        quality = face_quality(
            height_pixels=measure.box[3],
            sharpness=measure.sharpness,
            exposure=measure.exposure,
            yaw_degrees=yaw,
            pitch_degrees=pitch,
            eye_opening=eye_opening(measure.points),
            settings=settings,
        )
        size = settings.aligned_pixels
        aligned = crop(image, face_transform(measure.five, size), size)
        self.samples.append(Sample(measure.time_seconds, quality, aligned))
        self._sample_indices.append(measure.index)
        recognisable = (
            abs(yaw) <= settings.identity_yaw_degrees_most
            and abs(pitch) <= settings.identity_yaw_degrees_most
            and measure.box[3] >= settings.identity_pixels_least
        )
        elapsed = measure.time_seconds - self.measures[0].time_seconds
        half = int(elapsed >= settings.segment_seconds / 2)
        best = self.identity_crops.get(half)
        if recognisable and (best is None or quality > best.quality):
            crop_ = identity.prepare(image, measure.points)
            self.identity_crops[half] = IdentityCrop(crop_, quality)

    def tensors(self) -> Tensors:
        """As FaceSegment.tensors."""
        rows = self.measures
        return {
            "time_seconds": np.array([row.time_seconds for row in rows], np.float64),
            "frame_index": np.array([row.index for row in rows], np.int64),
            "box": np.array([row.box for row in rows], np.float32),
            "landmarks_5": np.stack([row.five for row in rows]),
            "mesh": np.stack([row.points for row in rows]),
            "head_pose": np.array([row.pose for row in rows], np.float32),
            "mouth_opening": np.array([row.mouth_opening for row in rows], np.float32),
            "sharpness": np.array([row.sharpness for row in rows], np.float32),
            "exposure": np.array([row.exposure for row in rows], np.float32),
            "mouth": np.stack([row.mouth for row in rows]),
            "aligned_index": np.array(self._sample_indices, np.int64),
            "aligned": np.stack([sample.image for sample in self.samples]),
        }


def thumbnail(sample: Sample, pixels: int) -> NDArray[np.uint8]:
    """uint8 (pixels, pixels, 3) of an aligned face."""
    return np.asarray(
        cv2.resize(sample.image, (pixels, pixels), interpolation=cv2.INTER_AREA), np.uint8
    )
