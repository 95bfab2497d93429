"""Head pose and mouth opening over time, with the stretches in which no face is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from flows.report.drawing.paths import Floats, bars, broken_line, filled_between, summarised
from flows.report.drawing.time_axis import WIDTH, TimeAxis
from models.schema.face import MeasuredFace

HEIGHT: Final = 100.0
ANGLES: Final = ("yaw", "pitch", "roll")
"""Columns of the pose plot."""
_ANGLE_SCALES: Final = (30, 45, 60, 90)
_MOUTH_SCALES: Final = (0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class AngleTrack:
    """One angle over time, on a scale from minus to plus `scale` degrees, plus above."""

    name: str
    line: str
    band: str
    """Where nine tenths of a long recording's angles lie, around a line of medians; else empty."""
    scale: int
    frontal: tuple[float, float] | None
    """Top and height of the band within which a head counts as frontal; None for the roll, which
    turns a face without hiding any of it."""
    least: float | None
    most: float | None
    """Of what is drawn, in degrees; None where nothing is."""


@dataclass(frozen=True)
class MouthTrack:
    """Mouth opening over time as a shape on the floor of the plot; in a long recording, what is
    exceeded in one twentieth of each stretch."""

    shape: str
    scale: float


@dataclass(frozen=True)
class FaceTracks:
    """Everything that is drawn of a face over time."""

    angles: tuple[AngleTrack, ...]
    mouth: MouthTrack
    gaps: str


def face_tracks(face: MeasuredFace, axis: TimeAxis, *, frontal_degrees: float) -> FaceTracks | None:
    """None where no frame was read."""
    pose, seconds, mouth = (
        face.plots.get(name) for name in ("pose", "pose_seconds", "mouth_opening")
    )
    if pose is None or seconds is None or mouth is None or not len(seconds):
        return None
    count = min(len(seconds), len(pose), len(mouth))
    share = (seconds[:count].astype(np.float64) - axis.start_seconds) / (
        axis.end_seconds - axis.start_seconds
    )
    x = np.clip(share, 0, 1) * WIDTH
    angles = pose[:count].astype(np.float64)
    scale = _fitting(angles, _ANGLE_SCALES)
    gaps = ((axis.x(gap.start_seconds), axis.x(gap.end_seconds)) for gap in face.measurements.gaps)
    return FaceTracks(
        angles=tuple(
            _angle(name, x, angles[:, column], int(scale), frontal_degrees, dense=axis.is_long)
            for column, name in enumerate(ANGLES)
        ),
        mouth=_mouth(x, mouth[:count].astype(np.float64), dense=axis.is_long),
        gaps=bars(gaps, top=0, bottom=HEIGHT),
    )


def _angle(
    name: str, x: Floats, degrees: Floats, scale: int, frontal_degrees: float, *, dense: bool
) -> AngleTrack:
    middle = HEIGHT / 2
    heights = middle - np.clip(degrees / scale, -1, 1) * middle
    band = ""
    line = broken_line(x, heights)
    if dense:
        summary = summarised(x, heights)
        band = filled_between(summary.x, summary.low, summary.high)
        line = broken_line(summary.x, summary.median)
    seen = degrees[np.isfinite(degrees)]
    frontal = min(frontal_degrees / scale, 1.0) * middle
    return AngleTrack(
        name=name,
        line=line,
        band=band,
        scale=scale,
        frontal=None if name == "roll" else (round(middle - frontal, 2), round(2 * frontal, 2)),
        least=float(seen.min()) if seen.size else None,
        most=float(seen.max()) if seen.size else None,
    )


def _mouth(x: Floats, opening: Floats, *, dense: bool) -> MouthTrack:
    scale = _fitting(opening, _MOUTH_SCALES)
    heights = HEIGHT - np.clip(opening / scale, 0, 1) * HEIGHT
    if dense:
        # Heights grow downwards: the wide openings are the low ones.
        summary = summarised(x, heights)
        x, heights = summary.x, summary.low
    return MouthTrack(filled_between(x, heights, np.full_like(heights, HEIGHT)), float(scale))


def _fitting(values: Floats, scales: tuple[float, ...]) -> float:
    """The first scale that holds all but the last half percent of what is finite."""
    finite = np.abs(values[np.isfinite(values)])
    reach = float(np.percentile(finite, 99.5)) if finite.size else 0.0
    return next((scale for scale in scales if reach <= scale), scales[-1])
