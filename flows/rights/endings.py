"""What a file's name should end in, by its first bytes: the stored bytes have no name of ours."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Final

LOOKED_AT_BYTES: Final = 4096

_BEGINNINGS: Final = MappingProxyType(
    {
        b"%PDF-": ".pdf",
        b"\x89PNG\r\n": ".png",
        b"\xff\xd8\xff": ".jpg",
        b"fLaC": ".flac",
        b"OggS": ".ogg",
        b"ID3": ".mp3",
        b"\x1aE\xdf\xa3": ".mkv",
    }
)
_MPEG_FRAMES: Final = frozenset({b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"})
_CHUNKED: Final = MappingProxyType({b"WAVE": ".wav", b"AVI ": ".avi", b"AIFF": ".aiff"})


def ending(first: bytes) -> str:
    """Such as `.wav`; `.bin` where the bytes do not say. Reads at most `LOOKED_AT_BYTES`."""
    first = first[:LOOKED_AT_BYTES]
    for beginning, name in _BEGINNINGS.items():
        if first.startswith(beginning):
            return name
    if first[:4] in {b"RIFF", b"FORM"}:
        return _CHUNKED.get(first[8:12], ".bin")
    if first[4:8] == b"ftyp":
        return ".mp4"
    if first[:2] in _MPEG_FRAMES:
        return ".mp3"
    return _text(first)


def _text(first: bytes) -> str:
    # A character may be cut off at the end of what is looked at.
    text = first.decode("utf-8", "replace").rstrip("\ufffd")
    if not text or any(char == "\ufffd" or (char < " " and char not in "\t\r\n") for char in text):
        return ".bin"
    try:
        json.loads(text)
    except ValueError:
        return ".txt"
    return ".json" if text.lstrip()[:1] in {"{", "["} else ".txt"
