"""Speaker embeddings: a vector that is close for recordings of one voice.

The default is Resemblyzer's published encoder (https://github.com/resemble-ai/Resemblyzer 0.1.4,
Apache-2.0; L. Wan et al. (2018), "Generalized end-to-end loss for speaker verification") in a
module of our own. A stronger model implements `SpeakerEncoder`; embeddings of different backends
are never compared (invariant 12).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from models.schema.errors import BadUsage
from models.schema.voice import Backend
from models.voice.samples import Samples
from models.weights import digest, locate

if TYPE_CHECKING:
    import torch

RATE_HZ = 16_000
WINDOW_SECONDS = 1.6
"""What the default encoder was trained on (160 frames of 10 ms)."""

_WEIGHTS = "speaker-encoder"
_MEL_WINDOW = 400
_MEL_HOP = 160
_MEL_BANDS = 40
_WINDOW_FRAMES = 160
_LEAST_COVERAGE = 0.75
"""A last window that is filled less than this is left out, as in the package."""
_LEVEL_DBFS = -30.0
"""Speech quieter than this is raised to it, as in the package."""


class SpeakerEncoder(Protocol):
    """Turns speech into unit vectors."""

    @property
    def backend(self) -> Backend:
        """What computes the embeddings."""

    def windows(self, speech: Samples, step_seconds: float) -> NDArray[np.float32]:
        """Inputs for the 1.6 s windows that begin every `step_seconds`, (windows, ...) float32.

        `speech` (n,) at 16 kHz without its pauses. There is at least one window; the last may be
        filled up with silence. Windows of many stretches can be embedded in one batch.
        """

    def embed(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings of a batch of windows, (windows, D) float32, each with L2 norm 1."""


def load_speaker_encoder(name: str) -> SpeakerEncoder:
    """The encoder called `name`, loaded once a process; raises BadUsage, WeightsMissing."""
    if name == "resemblyzer":
        return _resemblyzer()
    raise BadUsage(
        f"'{name}' is not a speaker encoder.", remedy="Set the speaker encoder to 'resemblyzer'."
    )


def mean_embedding(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The normalised mean of embeddings (n, D), (D,) with L2 norm 1."""
    mean = windows.mean(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


@cache
def _slaney_filter_bank() -> NDArray[np.float32]:
    """Area-normalised triangles on Slaney's mel scale, (40, 201), as `librosa.filters.mel`."""
    linear_step, knee_hz = 200.0 / 3, 1000.0
    log_step = np.log(6.4) / 27.0

    def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        knee = knee_hz / linear_step
        return np.where(
            mel < knee,
            mel * linear_step,
            knee_hz * np.exp(log_step * (np.maximum(mel, knee) - knee)),
        )

    top = knee_hz / linear_step + np.log(RATE_HZ / 2 / knee_hz) / log_step
    points = to_hz(np.linspace(0, top, _MEL_BANDS + 2))
    frequencies = np.linspace(0, RATE_HZ / 2, _MEL_WINDOW // 2 + 1)
    widths = np.diff(points)
    slopes = points[:, None] - frequencies[None, :]
    weights = np.maximum(
        0.0, np.minimum(-slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None])
    )
    return (weights * (2.0 / (points[2:] - points[:-2]))[:, None]).astype(np.float32)


def _mel(samples: Samples) -> NDArray[np.float32]:
    """Mel power spectrogram (frames, 40) with 25 ms Hann windows every 10 ms, centred."""
    import scipy.fft

    padded = np.pad(samples, _MEL_WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _MEL_WINDOW)[::_MEL_HOP]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_MEL_WINDOW) / _MEL_WINDOW)).astype(np.float32)
    spectrum = scipy.fft.rfft(frames * hann, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.asarray(power @ _slaney_filter_bank().T, np.float32)


class Resemblyzer:
    """Three LSTM layers over 1.6 s of mel spectrogram; 256 non-negative values."""

    def __init__(self) -> None:
        import torch

        checkpoint = torch.load(locate(_WEIGHTS), map_location="cpu", weights_only=True)
        state = checkpoint["model_state"]
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._lstm = torch.nn.LSTM(_MEL_BANDS, 256, 3, batch_first=True)
        self._linear = torch.nn.Linear(256, 256)
        for module, prefix in ((self._lstm, "lstm."), (self._linear, "linear.")):
            module.load_state_dict(
                {
                    name.removeprefix(prefix): value
                    for name, value in state.items()
                    if name.startswith(prefix)
                }
            )
            module.to(self._device).eval().requires_grad_(False)
        self.backend = Backend(
            name="resemblyzer",
            version="0.1.4",
            weights_sha256=digest(_WEIGHTS),
            parameters={
                "rate_hz": RATE_HZ,
                "window_frames": _WINDOW_FRAMES,
                "mel_bands": _MEL_BANDS,
                "level_dbfs": _LEVEL_DBFS,
            },
        )

    def windows(self, speech: Samples, step_seconds: float) -> NDArray[np.float32]:
        """See `SpeakerEncoder`: mel spectrograms (windows, 160, 40)."""
        starts = _window_starts(len(speech), max(1, round(step_seconds * RATE_HZ / _MEL_HOP)))
        needed = (starts[-1] + _WINDOW_FRAMES) * _MEL_HOP
        spectrogram = _mel(np.pad(_raised(speech), (0, max(0, needed - len(speech)))))
        return np.stack([spectrogram[start : start + _WINDOW_FRAMES] for start in starts])

    def embed(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `SpeakerEncoder`: 256 values."""
        import torch

        # One thread is faster: a step of the recurrence is too small to share, and threads that
        # wait for each other stand still whenever the machine has other work.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._run(windows)
        finally:
            torch.set_num_threads(threads)

    def _run(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            return self._forward(torch.from_numpy(windows).to(self._device)).cpu().numpy()

    def _forward(self, windows: torch.Tensor) -> torch.Tensor:
        import torch

        hidden: torch.Tensor
        _, (hidden, _) = self._lstm(windows)
        raw = torch.relu(self._linear(hidden[-1]))
        embeddings: torch.Tensor = raw / raw.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return embeddings


@cache
def _resemblyzer() -> Resemblyzer:
    return Resemblyzer()


def _raised(speech: Samples) -> Samples:
    power = float(np.square(speech, dtype=np.float64).mean()) if len(speech) else 0.0
    target = 10 ** (_LEVEL_DBFS / 10)
    if 0 < power < target:
        return speech * np.float32(np.sqrt(target / power))
    return speech


def _window_starts(samples: int, step_frames: int) -> list[int]:
    """First frames of the windows, by the package's rule (`compute_partial_slices`)."""
    frames = -(-(samples + 1) // _MEL_HOP)
    count = max(1, frames - _WINDOW_FRAMES + step_frames + 1)
    starts = list(range(0, count, step_frames))
    covered = (samples - starts[-1] * _MEL_HOP) / (_WINDOW_FRAMES * _MEL_HOP)
    return starts[:-1] if covered < _LEAST_COVERAGE and len(starts) > 1 else starts
