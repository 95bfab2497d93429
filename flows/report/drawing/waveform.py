"""The waveform, the stretches of speech, and the utterances below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from flows.report.drawing.paths import Floats, bars, filled_between
from flows.report.drawing.time_axis import WIDTH, TimeAxis
from flows.report.transcript import Block, Line
from models.schema.voice import MeasuredVoice

HEIGHT: Final = 100.0
_SCALES: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_NUMBERED_PERCENT_LEAST: Final = 2.2


@dataclass(frozen=True)
class Waveform:
    """Minimum and maximum per bin as a filled shape, and speech as bars behind it."""

    shape: str
    speech: str
    scale: float
    """Amplitude at the plot's upper edge; full scale is 1."""


@dataclass(frozen=True)
class UtteranceMark:
    """Where an utterance, or a block of them, lies on the axis; `number` is that of the first."""

    number: int
    left_percent: float
    width_percent: float
    numbered: bool
    start: str
    end: str
    text: str


def waveform(voice: MeasuredVoice, axis: TimeAxis, starts_at: float) -> Waveform | None:
    """None where no sound was read. The plot's first bin begins at `starts_at` seconds."""
    plot = voice.plots.get("waveform")
    if plot is None or plot.ndim != 2 or plot.shape[1] == 0:
        return None
    low, high = np.nan_to_num(plot.astype(np.float64))
    peak = float(max(np.abs(low).max(), np.abs(high).max()))
    scale = next((s for s in _SCALES if peak <= s), 1.0)
    middle = HEIGHT / 2
    x = bin_places(voice, axis, starts_at, plot.shape[1])
    # Half a unit of height keeps silence visible as a line.
    upper = middle - np.clip(high / scale, -1, 1) * middle - 0.25
    lower = middle - np.clip(low / scale, -1, 1) * middle + 0.25
    return Waveform(filled_between(x, upper, lower), speech_bars(voice, axis), scale)


def speech_bars(voice: MeasuredVoice, axis: TimeAxis) -> str:
    """One bar for every stretch of speech, over the whole height."""
    spans = (
        (axis.x(span.start_seconds), axis.x(span.end_seconds))
        for span in voice.measurements.speech_intervals
    )
    return bars(spans, top=0, bottom=HEIGHT)


def utterance_marks(blocks: Sequence[Block], axis: TimeAxis) -> list[UtteranceMark]:
    """One mark an utterance; where the transcript is in several blocks, one a block."""
    if len(blocks) == 1:
        return [_mark(line, line, line.text or "", axis) for line in blocks[0].lines]
    return [_mark(block.lines[0], block.lines[-1], "", axis) for block in blocks]


def bin_seconds(voice: MeasuredVoice, axis: TimeAxis, starts_at: float, bins: int) -> float:
    """Length of one bin of the sound's plots."""
    stated = voice.plots.get("bin_seconds")
    if stated is not None and stated.size and float(stated.ravel()[0]) > 0:
        return float(stated.ravel()[0])
    return (axis.end_seconds - starts_at) / max(bins, 1)


def bin_places(voice: MeasuredVoice, axis: TimeAxis, starts_at: float, bins: int) -> Floats:
    """Plot coordinate of every bin's middle, float64 (bins,)."""
    length = bin_seconds(voice, axis, starts_at, bins)
    times = starts_at + (np.arange(bins) + 0.5) * length
    share = (times - axis.start_seconds) / (axis.end_seconds - axis.start_seconds)
    return np.asarray(np.clip(share, 0, 1) * WIDTH)


def _mark(first: Line, last: Line, text: str, axis: TimeAxis) -> UtteranceMark:
    left = axis.percent(first.start_seconds)
    width = round(max(axis.percent(last.end_seconds) - left, 0.2), 3)
    return UtteranceMark(
        first.number, left, width, width >= _NUMBERED_PERCENT_LEAST, first.start, last.end, text
    )
