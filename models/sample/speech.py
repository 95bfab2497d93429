"""Speech for the sample, read by an offline reader."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.schema.errors import ToolMissing

SENTENCES = (
    "Hello. This short film is a sample, made on this machine a moment ago.",
    "Nobody said these words. A program reads them aloud, and the picture is one photograph.",
    "The photograph is an official portrait of an astronaut, and NASA gave it to the public.",
    "A few lines of arithmetic turn the head, close the eyes now and then, and open the mouth.",
    "So please do not judge the acting. It is here to show what happens to a recording of yours.",
    "First we ask who is speaking, and what the recording may be used for.",
    "Without a clear yes to each purpose, nothing is kept, and the copy that was sent is deleted.",
    "Then the sound is measured: how loud it is, how clear, and how much of it is speech.",
    "The picture is measured too: where the face is, which way it looks, and how sharp it is.",
    "All that was found is encrypted, piece by piece, under a key that belongs to one person.",
    "If that person changes their mind, the key is destroyed, and the pieces can be read no more.",
    "At the end there is a report, in plain words, with advice for a better recording.",
    "Sit near a window, speak as you would to a friend, and leave the room quiet around you.",
    "That is all. Thank you for trying it, and for looking closely at the result.",
)
_PAUSE_SECONDS = 0.4
_PEAK = 0.6
# Below what a room gives, but not the digital silence that no microphone records.
_NOISE_FLOOR = 10 ** (-72 / 20)


@dataclass(frozen=True)
class Speech:
    """float32 mono samples in [-1, 1], and samples a second."""

    samples: NDArray[np.float32]
    rate: int


def read_aloud(speech_seconds: float) -> Speech:
    """Read the sample's text, again from its start if need be, until it holds that much speech.

    Sentences are apart by a short pause, which does not count. Raises ToolMissing where neither
    flite nor espeak-ng is installed.
    """
    reader = _reader()
    pieces: list[NDArray[np.float32]] = []
    spoken = 0.0
    with tempfile.TemporaryDirectory(prefix="likeness-sample-") as scratch:
        wav = Path(scratch) / "sentence.wav"
        for sentence in cycle(SENTENCES):
            subprocess.run(
                [argument.format(wav=wav, text=sentence) for argument in reader],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            samples, rate = _read(wav)
            pieces += [samples, np.zeros(round(_PAUSE_SECONDS * rate), np.float32)]
            spoken += _sounding_seconds(samples, rate)
            if spoken >= speech_seconds:
                break
    whole = np.concatenate([pieces[1], *pieces])
    whole *= _PEAK / np.abs(whole).max()
    whole += np.random.default_rng(0).standard_normal(len(whole), np.float32) * _NOISE_FLOOR
    return Speech(whole, rate)


def _reader() -> list[str]:
    """The command that reads `{text}` into `{wav}`; flite's voice is the more natural one."""
    if shutil.which("flite"):
        return ["flite", "-voice", "slt", "-t", "{text}", "-o", "{wav}"]
    if shutil.which("espeak-ng"):
        return ["espeak-ng", "-v", "en-us+f3", "-s", "150", "-w", "{wav}", "{text}"]
    raise ToolMissing(
        "No program that reads text aloud is installed, so that the sample cannot be made.",
        remedy="Install one: apt-get install flite, or apt-get install espeak-ng.",
    )


def _read(wav: Path) -> tuple[NDArray[np.float32], int]:
    with wave.open(str(wav)) as reading:
        raw = np.frombuffer(reading.readframes(reading.getnframes()), "<i2")
        return raw.astype(np.float32) / np.float32(2**15), reading.getframerate()


def _sounding_seconds(samples: NDArray[np.float32], rate: int) -> float:
    """Seconds within 35 dB of the loudest 20 ms, and the stops of up to 80 ms between them."""
    level = loudness(samples, rate, per_second=50)
    loud = level > level.max() * 10 ** (-35 / 20)
    return float((np.convolve(loud, np.ones(5), mode="same") > 0).sum()) / 50


def loudness(samples: NDArray[np.float32], rate: int, *, per_second: int) -> NDArray[np.float32]:
    """Root mean square of consecutive pieces, float32 (pieces,), `per_second` of them a second."""
    edges = np.arange(0, len(samples), rate / per_second).astype(np.int64)
    energy = np.add.reduceat(np.square(samples, dtype=np.float64), edges)
    count = np.diff(np.append(edges, len(samples)))
    return np.sqrt(energy / count).astype(np.float32)
