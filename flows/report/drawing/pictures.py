"""Pictures as data URIs, so that the page needs nothing outside itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flows.report.drawing.time_axis import TimeAxis
from models.schema.errors import LikenessError
from models.schema.face import MeasuredFace

_JPEG_QUALITY: Final = 88


@dataclass(frozen=True)
class StripFace:
    """One face of the strip: where it stands, where its time is, how good it is."""

    picture: str
    place_percent: float
    """Middle of the picture, which makes room for its neighbours."""
    time_percent: float
    seconds: float
    quality: float


@dataclass(frozen=True)
class FaceStrip:
    """Faces over time that do not overlap at the given width."""

    faces: tuple[StripFace, ...]
    face_width_percent: float


def jpeg(image: NDArray[np.uint8]) -> str:
    """A BGR picture, uint8 (H, W, 3), as a data URI; no metadata travels with it."""
    return _encoded(image, ".jpg", "image/jpeg")


def png(image: NDArray[np.uint8]) -> str:
    """A BGR picture, uint8 (H, W, 3), as a data URI, without loss."""
    return _encoded(image, ".png", "image/png")


def portraits(face: MeasuredFace) -> list[str]:
    """The best portraits, best first."""
    return [jpeg(portrait) for portrait in face.portraits]


def face_strip(face: MeasuredFace, axis: TimeAxis, most: int) -> FaceStrip | None:
    """At most `most` faces over the whole time, each as near to its time as the others let it.

    None where there is no face.
    """
    strip, seconds, quality = (
        face.plots.get(name) for name in ("strip", "strip_seconds", "strip_quality")
    )
    if strip is None or seconds is None or quality is None or not len(strip):
        return None
    chosen = np.unique(np.linspace(0, len(strip) - 1, min(most, len(strip))).round().astype(int))
    width = 100 / most
    times = [float(seconds[i]) for i in chosen]
    places = spread([axis.percent(time) for time in times], width)
    faces = (
        StripFace(
            jpeg(strip[i].astype(np.uint8)),
            round(place, 3),
            axis.percent(time),
            time,
            float(np.clip(np.nan_to_num(quality[i]), 0, 1)),
        )
        for i, place, time in zip(chosen, places, times, strict=True)
    )
    return FaceStrip(tuple(faces), width)


def spread(centres: Sequence[float], width: float) -> list[float]:
    """Places of intervals of one width within 0 to 100, in order and without overlap.

    The least sum of squared shifts: with i * width taken off, places must not fall, which is
    isotonic regression (pool adjacent violators, Barlow et al. 1972); clipping keeps it optimal.
    """
    pools: list[tuple[float, int]] = []
    for index, centre in enumerate(centres):
        total, count = centre - index * width, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            before, number = pools.pop()
            total, count = total + before, count + number
        pools.append((total, count))
    levels = [total / count for total, count in pools for _ in range(count)]
    highest = 100 - width / 2 - (len(centres) - 1) * width
    return [
        min(max(level, width / 2), highest) + index * width for index, level in enumerate(levels)
    ]


def _encoded(image: NDArray[np.uint8], suffix: str, media_type: str) -> str:
    import cv2

    parameters = [int(cv2.IMWRITE_JPEG_QUALITY), _JPEG_QUALITY] if suffix == ".jpg" else []
    done, content = cv2.imencode(suffix, np.ascontiguousarray(image), parameters)
    if not done:
        raise LikenessError("A picture of the report could not be encoded.")
    return f"data:{media_type};base64,{base64.b64encode(content.tobytes()).decode('ascii')}"
