"""Real bandwidth: how far up the recording carries speech, whatever its sample rate."""

from __future__ import annotations

import numpy as np

from models.voice.spectra import ActivitySpectra

_SMOOTHING_HZ = 120.0
_ABOVE_PAUSES_DB = 3.0
"""Speech adds at least its own power again to what the pauses hold."""
_BELOW_PEAK_DB = 65.0
"""Below this lie a resampler's images and the rounding of 16-bit sound, not fricatives."""


def bandwidth_hz(spectra: ActivitySpectra) -> float:
    """Highest frequency at which speech stands out of the pauses and of the resampler's floor.

    0 where nobody speaks.
    """
    if not spectra.speech_frames:
        return 0.0
    frequencies = spectra.frequencies_hz
    width = max(1, round(_SMOOTHING_HZ / frequencies[1]))
    kernel = np.ones(width) / width
    speech = np.convolve(spectra.speech_power, kernel, "same")
    pauses = np.convolve(spectra.pause_power, kernel, "same")
    voice = frequencies >= 100.0
    floor = speech[voice].max(initial=0.0) * 10 ** (-_BELOW_PEAK_DB / 10)
    carries = voice & (speech > floor) & (speech > pauses * 10 ** (_ABOVE_PAUSES_DB / 10))
    if not carries.any():
        return 0.0
    return float(frequencies[np.flatnonzero(carries)[-1]])
