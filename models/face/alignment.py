"""Crops in which every face stands in the same place."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_ARCFACE_112: Final = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Eye centres, nose tip, mouth corners in a 112 px crop (Deng et al. 2019, ArcFace)."""

_MARGIN: Final = 0.2
"""ArcFace's crop ends at brows and chin; a portrait shows the whole head."""

_MOUTH_SPAN: Final = 2.0
"""Side of the mouth crop in mouth widths: upper lip, chin and a wide-open mouth fit in."""


def _template(pixels: int) -> NDArray[np.float64]:
    return (_ARCFACE_112 / 112 * (1 - _MARGIN) + [_MARGIN / 2, _MARGIN * 0.55]) * pixels


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation, uniform scale and shift, float64 (2, 3), that best takes points (N, 2) to
    points (N, 2) by least squares (Umeyama 1991, in the plane, without reflection).
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    spread = max(float((a**2).sum()), 1e-9)
    cosine = float((a * b).sum()) / spread
    sine = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, target_mean - turn @ source_mean])


def face_transform(five: NDArray[np.float32], pixels: int) -> NDArray[np.float64]:
    """float64 (2, 3) from the picture to an aligned crop of `pixels`; `five` is float32 (5, 2)."""
    return similarity(five, _template(pixels))


def mouth_transform(five: NDArray[np.float32], pixels: int) -> NDArray[np.float64]:
    """float64 (2, 3) from the picture to a mouth crop of `pixels`.

    Rotation and scale come from all five points and the centre from the mouth's place in the
    template, so the jaw moves in the crop and the crop does not move with the jaw.
    """
    template = _template(pixels)
    left, right = template[3], template[4]
    scale = pixels / (_MOUTH_SPAN * float(np.linalg.norm(right - left)))
    middle = (left + right) / 2
    return similarity(five, (template - middle) * scale + pixels / 2)


def crop(
    image: NDArray[np.uint8], transform: NDArray[np.float64], pixels: int
) -> NDArray[np.uint8]:
    """uint8 (pixels, pixels, 3) of `image` under `transform`; the border is repeated outside.

    A face much larger than the crop is averaged, not sampled, so that it does not alias.
    """
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    if scale < 0.5:
        corners = cv2.invertAffineTransform(transform) @ np.array(
            [[0, pixels, 0, pixels], [0, 0, pixels, pixels], [1, 1, 1, 1]]
        )
        low = np.maximum(np.floor(corners.min(axis=1)).astype(int) - 2, 0)
        high = np.ceil(corners.max(axis=1)).astype(int) + 2
        part = image[low[1] : high[1], low[0] : high[0]]
        if part.size:
            size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
            x_scale, y_scale = size[0] / part.shape[1], size[1] / part.shape[0]
            image = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
            # The shrunk part has a frame of its own: pixel centres lie at halves.
            back = np.array(
                [
                    [1 / x_scale, 0, low[0] + 0.5 / x_scale - 0.5],
                    [0, 1 / y_scale, low[1] + 0.5 / y_scale - 0.5],
                    [0, 0, 1],
                ]
            )
            transform = transform @ back
    return np.asarray(
        cv2.warpAffine(
            image,
            transform,
            (pixels, pixels),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )
