"""One photograph, set in motion by smooth warps: the head turns, the jaw drops, the eyes close.

The photograph is the portrait of the astronaut Eileen Collins by NASA, in the public domain, as
scikit-image ships it. The positions below were measured on it by eye, in its own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.schema.errors import ToolMissing

Image = NDArray[np.uint8]
Field = NDArray[np.float32]

SIZE = 720
_LEFT, _TOP, _SIDE = 54.0, 0.0, 340.0
_SCALE = SIZE / _SIDE

_HEAD, _HEAD_RADII = (226.0, 98.0), (80.0, 92.0)
_NECK = (226.0, 196.0)
_EYES = (((202.4, 97.6), 103.8, 11.0), ((247.2, 99.9), 106.6, 11.0))
"""Each: the middle of the upper lashes, the y of the lower lid's edge, half the width."""
_LID_FOLD = 7.0
_MOUTH, _MOUTH_HALF_WIDTH, _SMILE = (223.9, 150.3), 20.5, 9.6
"""The lowest point of the line between the upper teeth and the lower lip; it rises to the corners
by `_SMILE`."""
_CHIN, _THROAT = 178.0, 200.0
_JAW_HALF_WIDTH = 52.0
_EDGE = 3.0
"""Over how many pixels of the film the lips shade into the open mouth."""
_OPEN_MOST = 5.5
_THROAT_BGR, _TONGUE_BGR = (26.0, 20.0, 48.0), (74.0, 66.0, 138.0)


@dataclass(frozen=True)
class Pose:
    """How the head is held: shifts in pixels of the film, angles in radians, growth as a part."""

    right: float = 0.0
    down: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    nearer: float = 0.0


class Portrait:
    """Draws the portrait in a pose, with the mouth and the eyes as they are asked for."""

    def __init__(self) -> None:
        self._still = _framed(_photograph())
        self._head = _HeadWarp()
        self._jaw = _JawWarp()
        self._lids = [_LidWarp(*eye) for eye in _EYES]

    def draw(self, pose: Pose, *, mouth: float, eyes_closed: float) -> Image:
        """uint8 (720, 720, 3) BGR; `mouth` and `eyes_closed` from 0, as photographed, to 1."""
        image = self._still.copy()
        self._jaw.apply(image, mouth)
        for lid in self._lids:
            lid.apply(image, eyes_closed)
        self._head.apply(image, pose)
        return image


class _HeadWarp:
    """Moves the head as a rigid body with the depth of an ellipsoid; torso and background stay.

    The background close to the head gives way smoothly, which a plain backdrop does not show.
    """

    def __init__(self) -> None:
        reach = 1.75
        self._area = _area(
            _HEAD[0] - reach * _HEAD_RADII[0],
            _HEAD[0] + reach * _HEAD_RADII[0],
            0.0,
            _NECK[1] + 40.0,
        )
        x, y = _grid(self._area)
        (head_x, head_y), (neck_x, neck_y) = _film(_HEAD), _film(_NECK)
        across = (x - head_x) / (_HEAD_RADII[0] * _SCALE)
        along = (y - head_y) / (_HEAD_RADII[1] * _SCALE)
        away = np.hypot(across, along)
        held = _falling(away, 1.0, reach - 0.05) * _falling(along, 0.75, 1.4)
        depth = np.sqrt(np.clip(1.0 - (away / 1.3) ** 2, 0.0, 1.0)) * _HEAD_RADII[0] * _SCALE
        fields = (x, y, held, held * (x - neck_x), held * (y - neck_y), held * depth)
        self._shape = x.shape
        self._fields = np.stack([field.ravel() for field in fields]).astype(np.float32)

    def apply(self, image: Image, pose: Pose) -> None:
        x, y = (
            np.array(
                [
                    [1.0, 0.0, -pose.right, -pose.nearer, pose.roll, -pose.yaw],
                    [0.0, 1.0, -pose.down, -pose.roll, -pose.nearer, -pose.pitch],
                ],
                np.float32,
            )
            @ self._fields
        )
        _warp(image, self._area, x.reshape(self._shape), y.reshape(self._shape))


class _JawWarp:
    """Lowers all that lies below the line between teeth and lower lip, and darkens the gap."""

    def __init__(self) -> None:
        self._area = _area(
            _MOUTH[0] - _JAW_HALF_WIDTH, _MOUTH[0] + _JAW_HALF_WIDTH, _MOUTH[1] - 14.0, _THROAT
        )
        self._x, self._y = _grid(self._area)
        mouth_x, mouth_y = _film(_MOUTH)
        aside = (self._x - mouth_x) / (_MOUTH_HALF_WIDTH * _SCALE)
        self._line = mouth_y - _SMILE * _SCALE * np.square(aside).clip(0.0, 1.0)
        self._lip = np.sqrt((1.0 - np.square(aside)).clip(0.0)) * _falling(np.abs(aside), 0.5, 1.0)
        self._jaw = _falling(np.abs(aside), 0.35, _JAW_HALF_WIDTH / _MOUTH_HALF_WIDTH)

    def apply(self, image: Image, mouth: float) -> None:
        if mouth <= 0.0:
            return
        opened = mouth * _OPEN_MOST * _SCALE
        came_from = self._y
        for _ in range(4):
            came_from = self._y - opened * self._share(came_from)
        under = (self._y - self._line).clip(0.0)
        in_gap = (self._line - came_from).clip(0.0)
        came_from = np.where(under > 0.0, np.maximum(came_from, self._line), self._y)
        _warp(image, self._area, self._x, came_from)
        depth = (under / (under + in_gap + 1.0))[..., None]
        inside = np.array(_THROAT_BGR) * (1.0 - depth) + np.array(_TONGUE_BGR) * depth
        shade = (np.minimum(under, in_gap) / _EDGE).clip(0.0, 1.0)[..., None]
        image[self._area] = image[self._area] * (1.0 - shade) + inside * shade

    def _share(self, y: Field) -> Field:
        """How much of the opening a point moves down by: the lip's curve, then the whole jaw."""
        below = 1.0 - _falling(y - self._line, 2.0 * _SCALE, 16.0 * _SCALE)
        ends = _falling(y, (_CHIN - _TOP) * _SCALE, (_THROAT - _TOP) * _SCALE)
        share: Field = (self._lip + (self._jaw - self._lip) * below) * ends
        return share


class _LidWarp:
    """Draws the skin above an eye, lashes at its end, down over the eye."""

    def __init__(self, lid: tuple[float, float], lower: float, half_width: float) -> None:
        self._area = _area(
            lid[0] - half_width, lid[0] + half_width, lid[1] - _LID_FOLD, lower + 2.0
        )
        self._x, self._y = _grid(self._area)
        lid_x, self._upper = _film(lid)
        self._fold = self._upper - _LID_FOLD * _SCALE
        aside = (self._x - lid_x) / (half_width * _SCALE)
        bow = (lower - lid[1]) * _SCALE * np.square(aside) * 0.5
        self._upper_line = self._upper + bow
        self._lower_line = np.float32((lower - _TOP) * _SCALE)
        self._held = _falling(np.abs(aside), 0.6, 1.0)

    def apply(self, image: Image, closed: float) -> None:
        if closed <= 0.0:
            return
        drop = closed * self._held * (self._lower_line - self._upper_line).clip(0.0)
        edge = self._upper_line + drop
        skin = self._fold + (self._y - self._fold) * (self._upper_line - self._fold) / (
            edge - self._fold
        )
        came_from = np.where(self._y < edge, skin, self._y)
        _warp(image, self._area, self._x, came_from)


def _photograph() -> Image:
    package = find_spec("skimage")
    path = Path(package.origin or "").parent / "data" / "astronaut.png" if package else Path()
    image = cv2.imread(str(path)) if path.is_file() else None
    if image is None:
        raise ToolMissing(
            "scikit-image and its portrait are not installed, so that the sample cannot be made.",
            remedy="Install the pinned packages: make setup.",
        )
    return np.asarray(image, np.uint8)


def _framed(photograph: Image) -> Image:
    """Head and shoulders, enlarged and lightly sharpened."""
    left, top, side = round(_LEFT), round(_TOP), round(_SIDE)
    part = photograph[top : top + side, left : left + side]
    large = cv2.resize(part, (SIZE, SIZE), interpolation=cv2.INTER_LANCZOS4)
    soft = cv2.GaussianBlur(large, (0, 0), 2.0)
    return np.asarray(cv2.addWeighted(large, 1.6, soft, -0.6, 0.0), np.uint8)


def _film(point: tuple[float, float]) -> tuple[float, float]:
    """From pixels of the photograph to pixels of the film."""
    return (point[0] - _LEFT) * _SCALE, (point[1] - _TOP) * _SCALE


def _area(left: float, right: float, top: float, bottom: float) -> tuple[slice, slice]:
    (x0, y0), (x1, y1) = _film((left, top)), _film((right, bottom))
    return (
        slice(max(0, round(y0)), min(SIZE, round(y1))),
        slice(max(0, round(x0)), min(SIZE, round(x1))),
    )


def _grid(area: tuple[slice, slice]) -> tuple[Field, Field]:
    rows, columns = area
    y, x = np.mgrid[rows, columns].astype(np.float32)
    return x, y


def _falling(value: Field, start: float, end: float) -> Field:
    """1 up to `start`, 0 from `end` on, smooth between (smoothstep)."""
    t = ((value - start) / (end - start)).clip(0.0, 1.0)
    fallen: Field = 1.0 - t * t * (3.0 - 2.0 * t)
    return fallen


def _warp(image: Image, area: tuple[slice, slice], from_x: Field, from_y: Field) -> None:
    image[area] = cv2.remap(
        image,
        from_x.astype(np.float32, copy=False),
        from_y.astype(np.float32, copy=False),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
