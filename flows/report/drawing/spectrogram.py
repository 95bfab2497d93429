"""The log-mel spectrogram as a picture, its frequency axis, and the F0 line over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from flows.report.drawing.paths import Floats, broken_line, summarised
from flows.report.drawing.pictures import png
from flows.report.drawing.time_axis import TimeAxis
from flows.report.drawing.waveform import bin_places, bin_seconds
from models.schema.voice import Backend, MeasuredVoice

HEIGHT: Final = 100.0
PITCH_LEAST_HZ: Final = 50.0
PITCH_MOST_HZ: Final = 600.0
"""Speaking voices, with room: the pitch range of Praat's default is 50 to 800 Hz."""
_PITCH_TICKS_HZ: Final = (75, 150, 300, 600)
_FREQUENCY_TICKS_HZ: Final = (200, 500, 1000, 2000, 4000, 8000, 16000)
_FEWEST_LEVELS: Final = 60
"""Contrast is stretched to what is there, but silence is not blown up to look like sound."""


@dataclass(frozen=True)
class Level:
    """A labelled height: percent from the top."""

    percent: float
    hertz: int


@dataclass(frozen=True)
class Spectrogram:
    """The picture between `left_percent` and `left_percent + width_percent` of the time axis."""

    picture: str
    left_percent: float
    width_percent: float
    frequencies: tuple[Level, ...]
    pitch: str
    """The F0 line on a scale of its own, logarithmic from 50 to 600 Hz, broken where unvoiced; the
    median of each stretch in a long recording."""
    pitch_levels: tuple[Level, ...]


def spectrogram(voice: MeasuredVoice, axis: TimeAxis, starts_at: float) -> Spectrogram | None:
    """None where no sound was read. The plot's first bin begins at `starts_at` seconds."""
    import cv2

    plot = voice.plots.get("log_mel")
    if plot is None or plot.ndim != 2 or plot.shape[1] == 0:
        return None
    bands, bins = plot.shape
    levels = plot[::-1].astype(np.float64)
    low, high = np.percentile(levels, (2, 99.9))
    high = max(high, low + _FEWEST_LEVELS)
    shown = np.clip((levels - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    left = axis.percent(starts_at)
    right = axis.percent(starts_at + bins * bin_seconds(voice, axis, starts_at, bins))
    return Spectrogram(
        picture=png(cv2.applyColorMap(shown, cv2.COLORMAP_MAGMA)),
        left_percent=left,
        width_percent=round(max(right - left, 0.1), 3),
        frequencies=_frequency_levels(voice.measurements.backends.get("log_mel"), bands),
        pitch=_pitch(voice, axis, starts_at),
        pitch_levels=tuple(Level(_pitch_percent(hertz), hertz) for hertz in _PITCH_TICKS_HZ),
    )


def _pitch(voice: MeasuredVoice, axis: TimeAxis, starts_at: float) -> str:
    f0 = voice.plots.get("f0_hz")
    if f0 is None or not f0.size:
        return ""
    hertz = f0.astype(np.float64)
    voiced = np.isfinite(hertz) & (hertz > 0)
    held = np.clip(np.where(voiced, hertz, 1.0), PITCH_LEAST_HZ, PITCH_MOST_HZ)
    heights: Floats = np.where(voiced, _pitch_height(held), np.nan)
    x = bin_places(voice, axis, starts_at, len(hertz))
    if axis.is_long:
        summary = summarised(x, heights)
        return broken_line(summary.x, summary.median)
    return broken_line(x, heights)


def _pitch_height(hertz: Floats) -> Floats:
    span = np.log(PITCH_MOST_HZ / PITCH_LEAST_HZ)
    return np.asarray(HEIGHT * (1 - np.log(hertz / PITCH_LEAST_HZ) / span))


def _pitch_percent(hertz: float) -> float:
    return round(float(_pitch_height(np.array([hertz]))[0]), 2)


def _frequency_levels(backend: Backend | None, bands: int) -> tuple[Level, ...]:
    """Where round frequencies lie among the bands of the backend that made them.

    Bands are spaced evenly in mel (HTK: 2595 log10(1 + f / 700)) up to half the filter bank's own
    rate, and stretched to the sound's rate where the two differ (models/voice/log_mel.py).
    """
    parameters = backend.parameters if backend is not None else {}
    rate = float(parameters.get("rate_hz", 24_000))
    own_rate = float(parameters.get("filter_bank_rate_hz", rate))
    top = _mel(own_rate / 2)
    found = []
    for hertz in _FREQUENCY_TICKS_HZ:
        # Band b, counted from 0, is centred on (b + 1) / (bands + 1) of the mel range, and its row
        # of the picture on (b + 0.5) / bands of the height.
        band = _mel(hertz * own_rate / rate) / top * (bands + 1) - 1
        height = (band + 0.5) / bands
        if 0 <= height <= 1:
            found.append(Level(round(100 * (1 - height), 2), hertz))
    return tuple(found)


def _mel(hertz: float) -> float:
    return 2595.0 * float(np.log10(1.0 + hertz / 700.0))
