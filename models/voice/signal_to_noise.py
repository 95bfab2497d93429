"""Signal-to-noise ratio from speech and pauses."""

from __future__ import annotations

import math

from models.voice.activity import FRAME_SECONDS
from models.voice.spectra import ActivitySpectra

_LEAST_SECONDS = 0.15
"""Less speech or pause than this does not give a level."""
HIGHEST_DB = 96.0
"""The range of 16-bit sound; digital silence in the pauses says no more than that."""
LOWEST_DB = -20.0


def signal_to_noise_db(spectra: ActivitySpectra) -> float | None:
    """Power of speech over power of the pauses, in dB above 80 Hz, within [-20, 96].

    The noise is taken to go on under the speech, so its power is subtracted from that of the
    speech frames. None where there is too little speech or pause to compare.
    """
    least = _LEAST_SECONDS / FRAME_SECONDS
    if spectra.speech_frames < least or spectra.pause_frames < least:
        return None
    noise = spectra.pause_level()
    speech = spectra.speech_level - noise
    if speech <= 0:
        return LOWEST_DB
    return min(HIGHEST_DB, max(LOWEST_DB, 10 * math.log10(speech / noise)))
