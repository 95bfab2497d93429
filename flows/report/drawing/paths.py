"""Path strings of SVG."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flows.report.drawing.time_axis import WIDTH

_BAR_LEAST: Final = 0.3
_COLUMNS: Final = 240
"""Some three or four pixels each: what a line of the page's width can show."""

Floats = NDArray[np.floating]


def broken_line(x: Floats, y: Floats) -> str:
    """A line through (x, y), both (N,), that breaks where y is not finite.

    A point alone becomes a line of no length, which round caps draw as a dot.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    parts: list[str] = []
    for first, last in runs(finite):
        points = " ".join(f"{x[i]:.1f} {y[i]:.1f}" for i in range(first, last))
        parts.append(f"M{points}" if last - first > 1 else f"M{points}h0")
    return "".join(parts)


def filled_between(x: Floats, upper: Floats, lower: Floats) -> str:
    """The area between two lines, all (N,), broken where either is not finite."""
    finite = np.isfinite(x) & np.isfinite(upper) & np.isfinite(lower)
    parts: list[str] = []
    for first, last in runs(finite):
        there = [f"{x[i]:.1f} {upper[i]:.1f}" for i in range(first, last)]
        back = [f"{x[i]:.1f} {lower[i]:.1f}" for i in range(last - 1, first - 1, -1)]
        parts.append("M" + " ".join(there + back) + "z")
    return "".join(parts)


def bars(spans: Iterable[tuple[float, float]], *, top: float, bottom: float) -> str:
    """A bar for each (left, right), with a least width so that none disappears."""
    parts = []
    for left, right in spans:
        width = max(right - left, _BAR_LEAST)
        parts.append(f"M{left:.2f} {top:g}h{width:.2f}v{bottom - top:g}h-{width:.2f}z")
    return "".join(parts)


@dataclass(frozen=True)
class Summary:
    """A dense line in few columns, each float64 (C,): the median, and the 5th and 95th percentile.

    NaN in columns that have no finite point.
    """

    x: Floats
    median: Floats
    low: Floats
    high: Floats


def summarised(x: Floats, y: Floats) -> Summary:
    """Summarise (x, y), both (N,), x from 0 to 1000, in 240 columns."""
    finite = np.isfinite(y)
    column = np.minimum((x[finite] * _COLUMNS / WIDTH).astype(int), _COLUMNS - 1)
    order = np.argsort(column, kind="stable")
    found, starts = np.unique(column[order], return_index=True)
    levels = np.full((3, _COLUMNS), np.nan)
    for index, part in zip(found, np.split(y[finite][order], starts[1:]), strict=False):
        levels[:, index] = np.percentile(part, (5, 50, 95))
    low, median, high = levels
    return Summary((np.arange(_COLUMNS) + 0.5) * WIDTH / _COLUMNS, median, low, high)


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First index and the one after the last of every stretch of true values in (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
