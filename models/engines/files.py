"""Files in the scratch folder as engines written in Python read and write them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.engines.contract import (
    CannotGoOn,
    Complaint,
    File,
    FileRole,
    Generated,
    MediaType,
    Phone,
)

Tensors = dict[str, NDArray[np.generic]]
_FULL_SCALE = 32_768


def write_tensors(folder: Path, name: str, role: FileRole, tensors: Tensors) -> File:
    """Write a safetensors file; whole and closed when this returns."""
    from safetensors.numpy import save_file

    contiguous = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    file = File(name=name, role=role, media_type=MediaType.SAFETENSORS)
    save_file(contiguous, folder / name)
    return file


def read_tensors(folder: Path, file: File) -> Tensors:
    """The tensors of a file. Raises CannotGoOn where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(folder / file.name))
    except (SafetensorError, OSError):
        damaged = file.role is FileRole.CHECKPOINT
        raise CannotGoOn(
            Complaint.CORRUPT_CHECKPOINT if damaged else Complaint.UNUSABLE_SAMPLES
        ) from None


def read_sound(folder: Path, file: File) -> tuple[NDArray[np.float32], int]:
    """Samples (n,) in [-1, 1) and their rate in Hz. Raises CannotGoOn where it is damaged."""
    try:
        with wave.open(str(folder / file.name), "rb") as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
            return samples.astype(np.float32) / np.float32(_FULL_SCALE), sound.getframerate()
    except (OSError, EOFError, ValueError, wave.Error):
        raise CannotGoOn(Complaint.UNUSABLE_SAMPLES) from None


def write_sound(
    folder: Path,
    samples: NDArray[np.floating],
    rate_hz: int,
    *,
    name: str = "speech.wav",
    role: FileRole = FileRole.OUTPUT,
) -> File:
    """Write samples (n,) as 16 bit PCM; those beyond [-1, 1) are clipped.

    Raises CannotGoOn where one is not finite.
    """
    if not np.isfinite(samples).all():
        raise CannotGoOn(Complaint.NOT_FINITE)
    scaled = np.clip(np.rint(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
    file = File(name=name, role=role, media_type=MediaType.WAV)
    with wave.open(str(folder / name), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(scaled.astype("<i2").tobytes())
    return file


def speech(
    folder: Path, samples: NDArray[np.floating], rate_hz: int, phones: tuple[Phone, ...] = ()
) -> Generated:
    """Write what a voice engine generated, and say so."""
    file = write_sound(folder, samples, rate_hz)
    seconds = len(samples) / rate_hz
    return Generated(file=file, seconds=seconds, sample_rate_hz=rate_hz, phones=phones)
