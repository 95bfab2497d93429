"""The sample as a file: frames of the portrait and the speech, encoded by ffmpeg."""

from __future__ import annotations

import math
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.sample.portrait import SIZE, Portrait, Pose
from models.sample.speech import Speech, loudness, read_aloud
from models.schema.errors import LikenessError, ToolMissing

FRAMES_PER_SECOND = 25
_BLINK_SECONDS = 0.28
_BLINK_EVERY_SECONDS = (2.2, 5.0)


def make_sample(out: Path, *, speech_seconds: float = 45.0) -> None:
    """Write the sample to `out`, an mp4: H.264 of 720 x 720 pixels at 25 frames a second, and AAC.

    The same programs make the same film. Raises ToolMissing where ffmpeg, a reader or the portrait
    is missing.
    """
    speech = read_aloud(speech_seconds)
    with tempfile.TemporaryDirectory(prefix="likeness-sample-") as scratch:
        sound = Path(scratch) / "speech.wav"
        _write(speech, sound)
        try:
            encoder = subprocess.Popen(
                [*_encoder(sound), str(out.absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            raise ToolMissing(
                "ffmpeg is not installed, so that the sample cannot be made.",
                remedy="Install it: apt-get install ffmpeg.",
            ) from None
        assert encoder.stdin is not None
        try:
            with encoder.stdin:
                for frame in _frames(speech):
                    encoder.stdin.write(frame.tobytes())
        except BrokenPipeError:
            pass
        finally:
            code = encoder.wait()
        if code != 0:
            raise LikenessError(
                "ffmpeg could not write the sample.",
                remedy="Check that the folder is writable and that its disk has room.",
            )


def _frames(speech: Speech) -> Iterator[NDArray[np.uint8]]:
    mouth = _mouth(speech)
    emphasis = _smoothed(mouth, seconds=0.9)
    closed = _eyes_closed(len(mouth))
    portrait = Portrait()
    for n in range(len(mouth)):
        pose = _pose(n / FRAMES_PER_SECOND, float(emphasis[n]))
        yield portrait.draw(pose, mouth=float(mouth[n]), eyes_closed=float(closed[n]))


def _mouth(speech: Speech) -> NDArray[np.float32]:
    """How far the mouth opens in each frame, 0 to 1: the speech's loudness, compressed."""
    level = _smoothed(
        loudness(speech.samples, speech.rate, per_second=4 * FRAMES_PER_SECOND), seconds=0.09 * 4
    )
    level = level[::4] / np.percentile(level, 97)
    return np.power((level - 0.08).clip(0.0) / 0.92, 0.8).clip(0.0, 1.0).astype(np.float32)


def _eyes_closed(frames: int) -> NDArray[np.float32]:
    """0 open to 1 closed in each frame; blinks come at irregular times."""
    seconds = np.arange(frames) / FRAMES_PER_SECOND
    closed = np.zeros(frames)
    chance = np.random.default_rng(7)
    at = 1.3
    while at < seconds[-1]:
        closed = np.maximum(closed, 1.0 - np.abs(seconds - at) / (_BLINK_SECONDS / 2))
        at += chance.uniform(*_BLINK_EVERY_SECONDS)
    shut = closed.clip(0.0, 1.0)
    return np.asarray(shut * shut * (3.0 - 2.0 * shut), np.float32)


def _pose(seconds: float, emphasis: float) -> Pose:
    """Slow sways whose periods share no multiple, and a nod with each stressed stretch."""

    def sway(period: float, phase: float) -> float:
        return math.sin(2 * math.pi * (seconds / period + phase))

    return Pose(
        right=5.0 * sway(7.3, 0.1) + 2.0 * sway(3.1, 0.6),
        down=2.5 * sway(5.7, 0.3) + 3.0 * (emphasis - 0.4),
        roll=0.025 * sway(6.1, 0.8) + 0.010 * sway(2.7, 0.2),
        yaw=0.085 * sway(8.9, 0.4) + 0.030 * sway(3.7, 0.9),
        pitch=0.040 * sway(4.9, 0.5) + 0.07 * (emphasis - 0.4),
        nearer=0.012 * sway(11.3, 0.0),
    )


def _smoothed(values: NDArray[np.float32], *, seconds: float) -> NDArray[np.float32]:
    """By a Hann window of that length, in frames of the film."""
    window = np.hanning(max(3, round(seconds * FRAMES_PER_SECOND)) + 2)
    return np.convolve(values, window / window.sum(), mode="same").astype(np.float32)


def _write(speech: Speech, path: Path) -> None:
    with wave.open(str(path), "wb") as writing:
        writing.setnchannels(1)
        writing.setsampwidth(2)
        writing.setframerate(speech.rate)
        writing.writeframes((speech.samples * (2**15 - 1)).astype("<i2").tobytes())


def _encoder(sound: Path) -> list[str]:
    # The number of threads is fixed because x264's output depends on it.
    return [
        *("ffmpeg", "-nostdin", "-loglevel", "error", "-y"),
        *("-f", "rawvideo", "-pixel_format", "bgr24", "-video_size", f"{SIZE}x{SIZE}"),
        *("-framerate", str(FRAMES_PER_SECOND), "-i", "pipe:0", "-i", str(sound)),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"),
        *("-threads", "2", "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-f", "mp4"),
    ]
