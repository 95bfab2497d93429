"""Short-time power spectra of speech and of pauses, summed over a recording.

Signal-to-noise ratio and bandwidth are both read from these sums, at the recording's own rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.voice.activity import FRAME_SECONDS
from models.voice.samples import RecentSamples, Samples

_LEVEL_STEP_DB = 0.5
_LOWEST_DB = -140.0
_LEVELS = 300
_HIGH_PASS_HZ = 80.0
"""Below speech: hum, rumble and offset do not count as noise between words."""
_GUARD_FRAMES = 1
"""Frames beside speech hold its onset and reverberation: neither speech nor pause."""
_SPEECH = 0.5
_PAUSE = 0.15


class ActivitySpectra:
    """Follows the recording at its own rate and the probabilities of speech for its 32 ms frames.

    Memory does not grow.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._frame_samples = max(64, round(FRAME_SECONDS * sample_rate_hz))
        self._transform = 1 << (self._frame_samples - 1).bit_length()
        bins = self._transform // 2 + 1
        self.frequencies_hz = np.fft.rfftfreq(self._transform, 1 / sample_rate_hz)
        self._speech_sum = np.zeros(bins)
        self._pause_sum = np.zeros(bins)
        self.speech_frames = 0
        self.pause_frames = 0
        self._speech_level_sum = 0.0
        self._pause_levels = np.zeros(_LEVELS, np.int64)
        self._recent = RecentSamples()
        self._frame = 0
        self._probabilities = np.zeros(0, np.float32)
        self._powers = np.zeros((0, bins), np.float32)
        self._window = np.hanning(self._frame_samples + 1)[:-1].astype(np.float32)
        # The sum of squares of the window makes a spectrum's sum the frame's mean square.
        self._scale = 2.0 / (float(np.square(self._window).sum()) * self._transform)

    def push_samples(self, mono: Samples) -> None:
        """Takes (n,) at the recording's rate."""
        self._recent.push(mono)

    def push_activity(self, probabilities: NDArray[np.float32], *, last: bool = False) -> None:
        """Takes the next probabilities; their samples have come in before them."""
        import scipy.fft

        if len(probabilities):
            starts = [
                round((self._frame + i) * FRAME_SECONDS * self.sample_rate_hz)
                for i in range(len(probabilities))
            ]
            origin = starts[0]
            span = self._recent.between(origin, starts[-1] + self._frame_samples)
            span = np.pad(span, (0, max(0, starts[-1] + self._frame_samples - origin - len(span))))
            frames = np.stack([span[s - origin : s - origin + self._frame_samples] for s in starts])
            spectrum = scipy.fft.rfft(frames * self._window, self._transform, axis=1)
            power = np.square(spectrum.real) + np.square(spectrum.imag)
            self._frame += len(probabilities)
            self._recent.forget_before(round(self._frame * FRAME_SECONDS * self.sample_rate_hz))
            self._probabilities = np.concatenate([self._probabilities, probabilities])
            self._powers = np.concatenate([self._powers, power * np.float32(self._scale)])
        self._count(last)

    def _count(self, last: bool) -> None:
        """Counts the frames whose neighbours on both sides are known."""
        behind = _GUARD_FRAMES if self._frame > len(self._probabilities) else 0
        until = len(self._probabilities) - (0 if last else _GUARD_FRAMES)
        if until <= behind:
            return
        speech = self._probabilities >= _SPEECH
        loud = self._probabilities >= _PAUSE
        near = np.convolve(loud, np.ones(2 * _GUARD_FRAMES + 1), "same") > 0
        counted = slice(behind, until)
        powers = self._powers[counted]
        is_speech, is_pause = speech[counted], ~near[counted]
        levels = powers[:, self.frequencies_hz >= _HIGH_PASS_HZ].sum(axis=1, dtype=np.float64)
        self._speech_sum += powers[is_speech].sum(axis=0, dtype=np.float64)
        self._pause_sum += powers[is_pause].sum(axis=0, dtype=np.float64)
        self.speech_frames += int(is_speech.sum())
        self.pause_frames += int(is_pause.sum())
        self._speech_level_sum += float(levels[is_speech].sum())
        decibels = 10 * np.log10(np.maximum(levels[is_pause], 1e-14))
        bins = np.clip(((decibels - _LOWEST_DB) / _LEVEL_STEP_DB).astype(int), 0, _LEVELS - 1)
        self._pause_levels += np.bincount(bins, minlength=_LEVELS)
        keep = max(0, until - _GUARD_FRAMES)
        self._probabilities = self._probabilities[keep:]
        self._powers = self._powers[keep:].copy()

    @property
    def speech_power(self) -> NDArray[np.float64]:
        """Mean power spectrum of speech frames (bins,), zero where there are none."""
        return self._speech_sum / max(1, self.speech_frames)

    @property
    def pause_power(self) -> NDArray[np.float64]:
        """Mean power spectrum of pause frames (bins,), zero where there are none."""
        return self._pause_sum / max(1, self.pause_frames)

    @property
    def speech_level(self) -> float:
        """Mean square of speech frames above 80 Hz."""
        return self._speech_level_sum / max(1, self.speech_frames)

    def pause_level(self) -> float:
        """Median mean square of pause frames above 80 Hz: clicks and breaths do not move it."""
        middle = int(np.searchsorted(self._pause_levels.cumsum(), (self.pause_frames + 1) / 2))
        return float(10 ** ((_LOWEST_DB + (min(middle, _LEVELS - 1) + 0.5) * _LEVEL_STEP_DB) / 10))
