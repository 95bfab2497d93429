"""Face features: what one pass over the picture yields.

As with the voice: *segments* are what training reads, *measurements* are what verdicts and the
report read. Times are seconds on the media clock, which the sound shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.schema.voice import Backend, Tensors


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gap(_Record):
    """A stretch of the picture in which no face is seen: a gap, not a fault."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class FaceSegment:
    """Up to 4 s of one person's track, ready to be stored (at most 16 MiB).

    `tensors`, with F frames: `time_seconds` float64 (F,), `frame_index` int64 (F,), `box` float32
    (F, 4) x, y, width, height in pixels of the decoded picture, `landmarks_5` float32 (F, 5, 2)
    pixels, `mesh` float32 (F, 468, 3) pixels, `head_pose` float32 (F, 3) yaw, pitch, roll in
    degrees, `mouth_opening` float32 (F,) lip distance over eye distance, `sharpness` float32 (F,),
    `exposure` float32 (F,) mean luma in [0, 1], `mouth` uint8 (F, 96, 96, 3) BGR aligned crop,
    `aligned_index` int64 (K,) and `aligned` uint8 (K, 256, 256, 3) BGR aligned face of some frames.
    """

    track: int
    start_seconds: float
    end_seconds: float
    tensors: Tensors


class FaceMeasurements(_Record):
    """Numbers about the whole recording's picture."""

    backends: dict[str, Backend]
    """`detector`, `mesh`, `identity`."""
    frames: int
    frames_with_face: int
    picture_seconds: float
    faces: int
    """People told apart by identity; 0 where no face is seen. Background and passers-by, by share
    of time and size, are not counted (`models/face/people.py`)."""
    main_track: int | None = None
    """`FaceSegment.track` of the person seen most; other tracks are somebody else's face."""
    second_face_seconds: float
    """Time with the counted people other than the main one."""
    shots: int
    """Pieces between cuts; 1 for an uncut recording."""
    gaps: tuple[Gap, ...]
    """At most 500; neighbours are merged beyond that."""
    frontal_fraction: float
    """Share of frames with a face whose yaw and pitch are within 25 degrees of frontal."""
    face_height_pixels: float
    """Median height of the face box in the decoded picture."""
    sharpness: float
    """Median, comparable between recordings: variance of the Laplacian of the face brought to a
    height of about 128 pixels."""
    exposure: float
    yaw_degrees_range: tuple[float, float]
    """5th and 95th percentile."""
    pitch_degrees_range: tuple[float, float]


@dataclass(frozen=True)
class SeenPerson:
    """One person of a recording, for somebody who has to say who it is.

    `seconds`: how long they count for; `portraits`: uint8 (P, 256, 256, 3) BGR, best first, P at
    most 5; none of somebody who was seen only while the picture changed to another face.
    """

    seconds: float
    portraits: NDArray[np.uint8]


@dataclass(frozen=True)
class MeasuredFace:
    """What the extractor hands to verdicts, profile and report after the last frame.

    `embedding`: float32 (D,), the main person's identity, None where no face could be embedded.
    `portraits`: uint8 (P, 256, 256, 3) BGR, best first, P at most 5.
    `plots`: `strip` uint8 (S, 96, 96, 3) BGR faces over time with `strip_seconds` float64 (S,) and
    `strip_quality` float32 (S,) in [0, 1], S at most 16; `pose` float32 (B, 3) and `mouth_opening`
    float32 (B,) with NaN in gaps, `pose_seconds` float64 (B,), B at most 2,400.
    """

    measurements: FaceMeasurements
    embedding: NDArray[np.float32] | None
    portraits: NDArray[np.uint8]
    plots: Tensors = field(default_factory=dict)
