"""Voice activity: where somebody speaks.

Silero VAD 6.2.3 (https://github.com/snakers4/silero-vad, MIT) through onnxruntime, in its
sequence export: one call for many frames, the recurrent state carried between calls, so the
probabilities do not depend on how the sound is cut into pieces.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.schema.voice import Backend
from models.voice.samples import Samples
from models.weights import digest, locate

if TYPE_CHECKING:
    import onnxruntime

RATE_HZ = 16_000
FRAME_SAMPLES = 512
"""32 ms, the network's frame."""
FRAME_SECONDS = FRAME_SAMPLES / RATE_HZ
_CONTEXT_SAMPLES = 64
"""The network sees the end of the frame before."""
_BLOCK_FRAMES = 64
"""2 s a call: longer blocks are hardly faster, and delay segments."""
_WEIGHTS = "silero-vad"
_MINIMUM_SPEECH_SAMPLES = RATE_HZ * 250 // 1000
_MINIMUM_SILENCE_SAMPLES = RATE_HZ * 100 // 1000
_PAD_SAMPLES = RATE_HZ * 30 // 1000
"""The package's own defaults: 250 ms of speech, 100 ms of silence, 30 ms of padding."""
_HYSTERESIS = 0.15
"""Speech ends below the threshold less this (the package's default)."""


@cache
def _session() -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(locate(_WEIGHTS)), sess_options=options, providers=["CPUExecutionProvider"]
    )


def activity_backend(threshold: float) -> Backend:
    """Name and parameters of this detector."""
    return Backend(
        name="silero-vad",
        version="6.2.3",
        weights_sha256=digest(_WEIGHTS),
        parameters={"threshold": threshold, "frame_samples": FRAME_SAMPLES, "rate_hz": RATE_HZ},
    )


class ActivityDetector:
    """Probability of speech for each 32 ms frame of a mono 16 kHz stream.

    Raises WeightsMissing at the first block when the network is not pulled.
    """

    def __init__(self) -> None:
        self._waiting: list[Samples] = []
        self._waiting_samples = 0
        self._context: Samples = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._hidden = np.zeros((1, 1, 128), np.float32)
        self._cell = np.zeros((1, 1, 128), np.float32)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Takes (n,); returns the probabilities of the frames that became known, in order."""
        self._waiting.append(samples)
        self._waiting_samples += len(samples)
        if self._waiting_samples < _BLOCK_FRAMES * FRAME_SAMPLES:
            return np.zeros(0, np.float32)
        joined = np.concatenate(self._waiting)
        whole = len(joined) // FRAME_SAMPLES * FRAME_SAMPLES
        self._waiting = [joined[whole:]]
        self._waiting_samples = len(joined) - whole
        return self._run(joined[:whole])

    def finish(self) -> NDArray[np.float32]:
        """The probabilities of what is left, the last frame padded with silence."""
        joined = np.concatenate(self._waiting) if self._waiting else np.zeros(0, np.float32)
        self._waiting, self._waiting_samples = [], 0
        if not len(joined):
            return np.zeros(0, np.float32)
        return self._run(np.pad(joined, (0, -len(joined) % FRAME_SAMPLES)))

    def _run(self, samples: Samples) -> NDArray[np.float32]:
        frames = samples.reshape(-1, FRAME_SAMPLES)
        found = []
        for first in range(0, len(frames), 512):
            block = frames[first : first + 512]
            contexts = np.concatenate([self._context[None], block[:-1, -_CONTEXT_SAMPLES:]])
            self._context = block[-1, -_CONTEXT_SAMPLES:].copy()
            values, self._hidden, self._cell = _session().run(
                ["speech_probs", "hn", "cn"],
                {
                    "input": np.concatenate([contexts, block], axis=1),
                    "h": self._hidden,
                    "c": self._cell,
                },
            )
            found.append(np.asarray(values, np.float32).reshape(-1))
        return np.concatenate(found)


class SpeechTracker:
    """Turns frame probabilities into intervals of speech, as silero-vad's own rule does.

    Speech begins at a frame of at least `threshold`, ends at the first frame below `threshold`
    less 0.15 that is followed by 100 ms without speech, lasts at least 250 ms, and is padded with
    30 ms. Speech longer than `longest_seconds` without such a pause is cut at its least probable
    frame, so that nothing has to be held for longer; the parts touch.
    """

    def __init__(self, threshold: float, longest_seconds: float) -> None:
        self._threshold = threshold
        self._leave = max(threshold - _HYSTERESIS, 0.01)
        self._longest_frames = int(longest_seconds / FRAME_SECONDS)
        self._frame = 0
        self._start: int | None = None
        self._cut = False
        self._silence_from: int | None = None
        self._open: list[float] = []

    @property
    def seconds(self) -> float:
        """How much has been heard."""
        return self._frame * FRAME_SECONDS

    @property
    def open_since(self) -> int | None:
        """Sample at which the speech that is still going on began, padding included."""
        if self._start is None:
            return None
        return self._start if self._cut else max(0, self._start - _PAD_SAMPLES)

    def push(self, probabilities: NDArray[np.float32]) -> list[tuple[int, int]]:
        """Intervals (start, end) in samples at 16 kHz that ended within these frames."""
        ended = []
        for value in probabilities.tolist():
            interval = self._step(value)
            if interval is not None:
                ended.append(interval)
        return ended

    def finish(self, samples: int) -> list[tuple[int, int]]:
        """What is still open when the stream ends after `samples` samples."""
        start, begun, self._start = self.open_since, self._start, None
        if start is None or begun is None:
            return []
        if not self._cut and samples - begun <= _MINIMUM_SPEECH_SAMPLES:
            return []
        return [(start, samples)]

    def _step(self, probability: float) -> tuple[int, int] | None:
        here = self._frame * FRAME_SAMPLES
        self._frame += 1
        if self._start is None:
            if probability >= self._threshold:
                self._start, self._cut, self._silence_from, self._open = here, False, None, []
                self._open.append(probability)
            return None
        self._open.append(probability)
        if probability >= self._threshold:
            self._silence_from = None
        elif probability < self._leave:
            if self._silence_from is None:
                self._silence_from = here
            if here - self._silence_from >= _MINIMUM_SILENCE_SAMPLES:
                return self._close(self._silence_from)
        if len(self._open) >= self._longest_frames:
            return self._split()
        return None

    def _close(self, end: int) -> tuple[int, int] | None:
        assert self._start is not None
        start, whole = self.open_since, end - self._start
        cut, self._start = self._cut, None
        if not cut and whole <= _MINIMUM_SPEECH_SAMPLES:
            return None
        assert start is not None
        return start, end + _PAD_SAMPLES

    def _split(self) -> tuple[int, int]:
        assert self._start is not None
        start = self.open_since
        assert start is not None
        # The last three quarters: neither part is a scrap.
        first = len(self._open) // 4
        at = first + int(np.argmin(self._open[first:]))
        at = max(at, 1)
        middle = self._start + at * FRAME_SAMPLES + FRAME_SAMPLES // 2
        self._open = self._open[at:]
        self._start, self._cut = middle, True
        return start, middle
