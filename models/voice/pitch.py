"""Fundamental frequency with voicing.

Autocorrelation with a path search: P. Boersma (1993), "Accurate short-term analysis of the
fundamental frequency and the harmonics-to-noise ratio of a sampled sound", Proc. Institute of
Phonetic Sciences Amsterdam 17, 97-110, with the constants that Praat uses.

Chosen by measurement on one core (frames of 12.5 ms, 60-500 Hz): synthetic pulse trains at no, 20
and 10 dB of noise, where the truth is known, and 18 shared utterances against Praat.

    method              speed   synthetic: gross, voicing wrong   Praat: gross, voicing wrong
    this one            207x    0.0 %   1.2 %                     1.2 %    6.1 %
    pYIN (librosa)        7x    0.0 %   5.0 %                     1.6 %   21.7 %
    DIO + StoneMask      47x    0.1 %   6.3 %                     2.8 %   19.5 %
    Harvest               4x    0.2 %   8.7 %                     5.7 %   26.8 %

Gross: more than 20 % off, of the frames that both call voiced. Speed in multiples of real time.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.schema.voice import Backend
from models.voice.log_mel import HOP_SAMPLES
from models.voice.log_mel import RATE_HZ as INPUT_RATE_HZ
from models.voice.samples import Samples

FLOOR_HZ = 60.0
"""Below the lowest speaking voices."""
CEILING_HZ = 500.0
"""Above children's and excited voices; Praat's default is 600, StyleTTS 2 expects below 500."""
_RATE_HZ = 12_000
"""Half the input's rate: F0 and its first harmonics lie far below 6 kHz, noise does not."""
_HOP = HOP_SAMPLES * _RATE_HZ // INPUT_RATE_HZ
_PERIODS = 3
_WINDOW = int(_PERIODS * _RATE_HZ / FLOOR_HZ)
_TRANSFORM = 1_024
_SHORTEST_LAG = int(_RATE_HZ / CEILING_HZ)
_LONGEST_LAG = int(_RATE_HZ / FLOOR_HZ) + 1
_CANDIDATES = 8
_SILENCE = 0.03
_VOICING = 0.45
_OCTAVE_COST = 0.01
_OCTAVE_JUMP_COST = 0.35
_VOICED_UNVOICED_COST = 0.14
_STEP_CORRECTION = 0.01 * _RATE_HZ / _HOP
"""Boersma's costs are for steps of 10 ms."""


def pitch_backend() -> Backend:
    """Name and parameters of this method."""
    return Backend(
        name="boersma-autocorrelation",
        version="1",
        weights_sha256=None,
        parameters={
            "floor_hz": FLOOR_HZ,
            "ceiling_hz": CEILING_HZ,
            "silence_threshold": _SILENCE,
            "voicing_threshold": _VOICING,
            "octave_cost": _OCTAVE_COST,
            "octave_jump_cost": _OCTAVE_JUMP_COST,
            "voiced_unvoiced_cost": _VOICED_UNVOICED_COST,
            "rate_hz": _RATE_HZ,
        },
    )


def fundamental_frequency(
    samples: Samples, frames: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """F0 in Hz, 0 where unvoiced, and periodicity in [0, 1]; each (frames,) float32.

    `samples` (n,) at 24 kHz; frame i is centred on sample 300 i, as the log-mel's.
    """
    import soxr

    nothing = np.zeros(frames, np.float32)
    if frames == 0 or not len(samples):
        return nothing, nothing
    half_rate = soxr.resample(samples.astype(np.float64), INPUT_RATE_HZ, _RATE_HZ)
    half_rate = half_rate - half_rate.mean()
    peak = float(np.abs(half_rate).max(initial=0.0))
    if peak < 1e-6:
        return nothing, nothing
    lag_correlation, local_peak = _autocorrelation(half_rate, frames)
    lags, correlations = _peaks(lag_correlation)
    return _path(lags, correlations, local_peak / peak)


@cache
def _window() -> NDArray[np.float64]:
    return np.hanning(_WINDOW + 2)[1:-1]


@cache
def _window_autocorrelation() -> NDArray[np.float64]:
    spectrum = np.fft.rfft(_window(), _TRANSFORM)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: _LONGEST_LAG + 2]
    return np.asarray(correlation / correlation[0])


def _autocorrelation(
    samples: NDArray[np.float64], frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normalised autocorrelation (frames, lags) and each window's middle peak (frames,)."""
    import scipy.fft

    needed = (frames - 1) * _HOP + _WINDOW
    before = _WINDOW // 2
    padded = np.pad(samples, (before, max(0, needed - before - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:frames]
    windows = windows - windows.mean(axis=1, keepdims=True)
    middle = slice(_WINDOW // 3, 2 * _WINDOW // 3)
    local_peak = np.abs(windows[:, middle]).max(axis=1)
    spectrum = scipy.fft.rfft(windows * _window(), _TRANSFORM, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    raw = scipy.fft.irfft(power, _TRANSFORM, axis=1)[:, : _LONGEST_LAG + 2]
    normalised = raw / np.maximum(raw[:, :1], 1e-20) / _window_autocorrelation()
    return normalised, local_peak


def _peaks(correlation: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The strongest maxima: lag in samples and correlation, both (frames, 8), 0 where none."""
    left = correlation[:, _SHORTEST_LAG - 1 : _LONGEST_LAG]
    here = correlation[:, _SHORTEST_LAG : _LONGEST_LAG + 1]
    right = correlation[:, _SHORTEST_LAG + 1 : _LONGEST_LAG + 2]
    is_peak = (here > left) & (here >= right) & (here > 0.5 * _VOICING)
    curvature = np.where(is_peak, 2 * here - left - right, 1.0)
    shift = np.where(is_peak, 0.5 * (right - left) / curvature, 0.0)
    height = np.where(is_peak, here + 0.25 * (right - left) * shift, 0.0)
    # Noise in the division by the window's own correlation can exceed 1 (Boersma, eq. 21).
    height = np.where(height > 1, 1 / np.maximum(height, 1e-9), height)
    lag = np.arange(_SHORTEST_LAG, _LONGEST_LAG + 1) + shift
    strength = np.where(is_peak, height - _OCTAVE_COST * np.log2(FLOOR_HZ / _RATE_HZ * lag), -1e3)
    best = np.argpartition(-strength, _CANDIDATES - 1, axis=1)[:, :_CANDIDATES]
    rows = np.arange(len(correlation))[:, None]
    found = is_peak[rows, best]
    return np.where(found, lag[rows, best], 0.0), np.where(found, height[rows, best], 0.0)


def _path(
    lags: NDArray[np.float64], correlations: NDArray[np.float64], relative_peak: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The cheapest path through the candidates and the unvoiced one (Boersma, section 4)."""
    frames = len(lags)
    voiced = lags > 0
    frequency = np.where(voiced, _RATE_HZ / np.maximum(lags, 1.0), 1.0)
    in_range = voiced & (frequency >= FLOOR_HZ) & (frequency <= CEILING_HZ)
    strength = np.where(
        in_range, correlations - _OCTAVE_COST * np.log2(FLOOR_HZ / frequency), -np.inf
    )
    quiet = np.maximum(0.0, 2 - relative_peak / (_SILENCE / (1 + _VOICING)))
    local = np.concatenate([(_VOICING + quiet)[:, None], strength], axis=1)
    octaves = np.log2(frequency)
    total = local[0]
    came_from = np.zeros((frames, _CANDIDATES + 1), np.int64)
    cost = np.zeros((_CANDIDATES + 1, _CANDIDATES + 1))
    cost[0, 1:] = cost[1:, 0] = _VOICED_UNVOICED_COST * _STEP_CORRECTION
    jump = _OCTAVE_JUMP_COST * _STEP_CORRECTION
    columns = np.arange(_CANDIDATES + 1)
    for frame in range(1, frames):
        cost[1:, 1:] = jump * np.abs(octaves[frame - 1][:, None] - octaves[frame][None, :])
        reach = total[:, None] - cost
        origin = reach.argmax(axis=0)
        came_from[frame] = origin
        total = reach[origin, columns] + local[frame]
    chosen = np.empty(frames, np.int64)
    chosen[-1] = int(total.argmax())
    for frame in range(frames - 1, 0, -1):
        chosen[frame - 1] = came_from[frame, chosen[frame]]
    rows = np.arange(frames)
    index = np.maximum(chosen - 1, 0)
    is_voiced = chosen > 0
    f0 = np.where(is_voiced, frequency[rows, index], 0.0)
    periodicity = np.where(is_voiced, correlations[rows, index], correlations.max(axis=1))
    return f0.astype(np.float32), np.clip(periodicity, 0, 1).astype(np.float32)


class PitchRange:
    """Median and range of F0 over a recording, from a histogram of tenths of a semitone."""

    _STEPS_PER_OCTAVE = 120

    def __init__(self) -> None:
        top = int(np.log2(CEILING_HZ / FLOOR_HZ) * self._STEPS_PER_OCTAVE) + 1
        self._counts = np.zeros(top + 1, np.int64)

    def add(self, f0_hz: NDArray[np.float32]) -> None:
        """Takes (t,) in Hz, 0 where unvoiced."""
        voiced = f0_hz[f0_hz > 0].astype(np.float64)
        steps = np.round(np.log2(voiced / FLOOR_HZ) * self._STEPS_PER_OCTAVE).astype(np.int64)
        steps = np.clip(steps, 0, len(self._counts) - 1)
        self._counts += np.bincount(steps, minlength=len(self._counts))

    @property
    def median_hz(self) -> float | None:
        """Median of the voiced frames; None where there are none."""
        step = self._step(0.5)
        return None if step is None else FLOOR_HZ * 2 ** (step / self._STEPS_PER_OCTAVE)

    @property
    def range_semitones(self) -> float | None:
        """From the 5th to the 95th percentile; None where nothing is voiced."""
        low, high = self._step(0.05), self._step(0.95)
        if low is None or high is None:
            return None
        return (high - low) * 12 / self._STEPS_PER_OCTAVE

    def _step(self, quantile: float) -> int | None:
        total = int(self._counts.sum())
        if not total:
            return None
        return int(np.searchsorted(self._counts.cumsum(), quantile * total))
