"""What an engine gives back is what it says: plain files in its folder, of the form they claim."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from models.engines.contract import File, MediaType
from models.schema.errors import EngineFailed, LikenessError

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS: Final = 64 * 1024**2
_CHUNK_BYTES: Final = 64 * 1024**2


def check_file(folder: Path, file: File, *, most_bytes: int) -> None:
    """Raises EngineFailed unless a named file is there, a plain file of its own, and opens."""
    with _opened(folder, file) as content:
        status = os.fstat(content.fileno())
        if status.st_nlink != 1:
            raise _wrong(file, "has another name besides")
        if not 0 < status.st_size <= most_bytes:
            raise _wrong(file, "is empty" if status.st_size == 0 else "is too large")
        if not _opens(file.media_type, content):
            raise _wrong(file, f"is no readable {file.media_type}")


def sound_of(folder: Path, file: File) -> tuple[int, float]:
    """Sample rate in Hz and length in seconds of a wav file that was checked."""
    with wave.open(str(folder / file.name), "rb") as sound:
        return sound.getframerate(), sound.getnframes() / sound.getframerate()


def _wrong(file: File, what: str) -> EngineFailed:
    return EngineFailed(f"A file of role {file.role} that the engine gave {what}.")


def _opened(folder: Path, file: File) -> BinaryIO:
    """The file, to which no link may lead; one that is no plain file does not block."""
    *parents, name = file.name.split("/")
    plain = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with contextlib.ExitStack() as opened:
            at = os.open(folder, plain | os.O_DIRECTORY)
            opened.callback(os.close, at)
            for parent in parents:
                at = os.open(parent, plain | os.O_DIRECTORY, dir_fd=at)
                opened.callback(os.close, at)
            descriptor = os.open(name, plain, dir_fd=at)
    except OSError:
        raise _wrong(file, "is not there") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _wrong(file, "is no plain file")
    return os.fdopen(descriptor, "rb")


def _opens(media_type: MediaType, content: BinaryIO) -> bool:
    check: dict[MediaType, Callable[[BinaryIO], bool]] = {
        MediaType.SAFETENSORS: _is_safetensors,
        MediaType.WAV: _is_wav,
        MediaType.PNG: _is_png,
        MediaType.MP4: _is_mp4,
    }
    try:
        return check[media_type](content)
    except (EOFError, ValueError, struct.error, wave.Error):
        return False


def _is_safetensors(content: BinaryIO) -> bool:
    """Whether the header is sound and describes every byte that follows."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(f"/proc/self/fd/{content.fileno()}", framework="np") as tensors:
            return bool(tensors.keys())
    except (SafetensorError, OSError):
        return False


def _is_wav(content: BinaryIO) -> bool:
    """Whether it is PCM, 16 bit, mono, and holds the samples that it announces."""
    with wave.open(content, "rb") as sound:
        frames = sound.getnframes()
        sound.setpos(max(0, frames - 1))
        return (
            sound.getnchannels() == 1
            and sound.getsampwidth() == 2
            and sound.getframerate() > 0
            and len(sound.readframes(1)) == 2
        )


def _is_png(content: BinaryIO) -> bool:
    """Whether every chunk is whole up to the last one (PNG, third edition, section 5)."""
    if content.read(8) != _PNG_SIGNATURE:
        return False
    first = True
    while True:
        length, kind = struct.unpack(">I4s", content.read(8))
        if length > _CHUNK_BYTES or first is not (kind == b"IHDR"):
            return False
        data = content.read(length)
        if struct.unpack(">I", content.read(4))[0] != zlib.crc32(kind + data):
            return False
        if first:
            width, height = struct.unpack(">II", data[:8])
            if not 0 < width * height <= _PNG_PIXELS:
                return False
        if kind == b"IEND":
            return content.read(1) == b""
        first = False


def _is_mp4(content: BinaryIO) -> bool:
    """Whether ffprobe, contained, finds a picture in it."""
    from models.media.limits import MediaLimits
    from models.media.probe import probe
    from models.schema.errors import ToolMissing

    try:
        facts = probe(content, MediaLimits())
    except ToolMissing:
        raise
    except LikenessError:
        return False
    return facts.picture is not None and "mp4" in facts.container
