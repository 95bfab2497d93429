"""Log-mel spectrogram at the parameters of StyleTTS 2 and Kokoro.

Equal to what StyleTTS 2 trains on (https://github.com/yl4579/StyleTTS2, `meldataset.py`):
`torchaudio.transforms.MelSpectrogram(n_mels=80, n_fft=2048, win_length=1200, hop_length=300)` of
24 kHz sound, then `log(1e-5 + mel)`. That call leaves torchaudio's `sample_rate` at its default
of 16,000, so the HTK filter bank is laid out over 0-8 kHz and stretched over the 0-12 kHz that
the transform's bins hold. Models trained so expect it so. They further take (x + 4) / 4, which is
left to training.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.schema.voice import Backend
from models.voice.samples import Samples

RATE_HZ = 24_000
HOP_SAMPLES = 300
"""12.5 ms."""
WINDOW_SAMPLES = 1_200
"""50 ms, a periodic Hann window in the middle of the transform."""
MEL_BANDS = 80
_TRANSFORM_SAMPLES = 2_048
_FILTER_BANK_RATE_HZ = 16_000
_OFFSET = 1e-5
_HALF = _TRANSFORM_SAMPLES // 2
_BLOCK_FRAMES = 256

HOPS_PER_SECOND = RATE_HZ // HOP_SAMPLES
LOG_MEL_FLOOR = float(np.log(_OFFSET))


def log_mel_backend() -> Backend:
    """Name and parameters of this spectrogram."""
    return Backend(
        name="styletts2-log-mel",
        version="1",
        weights_sha256=None,
        parameters={
            "rate_hz": RATE_HZ,
            "n_fft": _TRANSFORM_SAMPLES,
            "window_samples": WINDOW_SAMPLES,
            "window": "hann",
            "hop_samples": HOP_SAMPLES,
            "mel_bands": MEL_BANDS,
            "mel_scale": "htk",
            "filter_bank_rate_hz": _FILTER_BANK_RATE_HZ,
            "power": 2,
            "centred": True,
            "padding": "reflect",
            "log_offset": _OFFSET,
        },
    )


@cache
def filter_bank() -> NDArray[np.float32]:
    """Triangular HTK filters without area normalisation, (80, 1025) float32.

    `torchaudio.functional.melscale_fbanks` with `norm=None, mel_scale="htk"`.
    """
    frequencies = np.linspace(0, _FILTER_BANK_RATE_HZ // 2, _HALF + 1)
    top = 2595.0 * np.log10(1.0 + (_FILTER_BANK_RATE_HZ / 2) / 700.0)
    points = 700.0 * (10.0 ** (np.linspace(0, top, MEL_BANDS + 2) / 2595.0) - 1.0)
    widths = np.diff(points)
    slopes = points[:, None] - frequencies[None, :]
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@cache
def _window() -> NDArray[np.float32]:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    return hann.astype(np.float32)


def _frames(samples: Samples, count: int) -> NDArray[np.float32]:
    import scipy.fft

    # Only the middle 1,200 of the 2,048 samples are under the window, and a power spectrum does
    # not see where in the transform they lie.
    inset = (_TRANSFORM_SAMPLES - WINDOW_SAMPLES) // 2
    windows = np.lib.stride_tricks.sliding_window_view(samples[inset:], WINDOW_SAMPLES)
    out = np.empty((MEL_BANDS, count), np.float32)
    for first in range(0, count, _BLOCK_FRAMES):
        last = min(count, first + _BLOCK_FRAMES)
        block = windows[first * HOP_SAMPLES : (last - 1) * HOP_SAMPLES + 1 : HOP_SAMPLES]
        spectrum = scipy.fft.rfft(block * _window(), _TRANSFORM_SAMPLES, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        out[:, first:last] = np.log(_OFFSET + filter_bank() @ power.T)
    return out


class LogMel:
    """The spectrogram of a mono 24 kHz stream, equal to that of the whole whatever the pieces.

    Frame i is centred on sample 300 i; n samples give 1 + n // 300 frames. Both ends are
    continued by reflection, as torch does.
    """

    def __init__(self) -> None:
        self._kept: Samples = np.zeros(0, np.float32)
        self._begun = False
        self._total = 0
        self._made = 0

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Takes (n,); returns the frames that became known, (80, t) float32."""
        self._total += len(samples)
        self._kept = np.concatenate([self._kept, samples])
        if not self._begun:
            if len(self._kept) <= _TRANSFORM_SAMPLES:
                return np.zeros((MEL_BANDS, 0), np.float32)
            self._kept = np.concatenate([self._kept[_HALF:0:-1], self._kept])
            self._begun = True
        return self._take()

    def finish(self) -> NDArray[np.float32]:
        """The frames that were still missing; none where there were no samples at all."""
        if not self._total:
            return np.zeros((MEL_BANDS, 0), np.float32)
        before = 0 if self._begun else _HALF
        padded = np.pad(self._kept, (before, _HALF), mode="reflect")
        count = 1 + self._total // HOP_SAMPLES - self._made
        self._made += count
        return _frames(padded, count)

    def _take(self) -> NDArray[np.float32]:
        count = max(0, (len(self._kept) - _TRANSFORM_SAMPLES) // HOP_SAMPLES)
        if not count:
            return np.zeros((MEL_BANDS, 0), np.float32)
        made = _frames(self._kept, count)
        # What stays is longer than half a transform, which the reflection at the end needs.
        self._kept = self._kept[count * HOP_SAMPLES :].copy()
        self._made += count
        return made


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """The spectrogram of whole samples (n,) at 24 kHz, (80, 1 + n // 300) float32."""
    stream = LogMel()
    return np.concatenate([stream.push(samples), stream.finish()], axis=1)
