"""Recordings that ffmpeg makes for these tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from models.media.decode import Frame, SoundPiece, decode
from models.media.limits import MediaLimits
from models.media.probe import probe
from models.schema.media import DecodeSummary, MediaFacts

MakeMedia = Callable[..., Path]


class Decoded:
    """Everything one pass gave."""

    def __init__(
        self,
        facts: MediaFacts,
        pieces: list[SoundPiece],
        frames: list[Frame],
        order: list[float],
        summary: DecodeSummary,
    ) -> None:
        self.facts = facts
        self.pieces = pieces
        self.frames = frames
        self.order = order
        self.summary = summary

    @property
    def samples(self) -> int:
        return sum(len(piece.samples) for piece in self.pieces)


def decode_all(
    path: Path,
    limits: MediaLimits | None = None,
    *,
    sound: bool = True,
    picture: bool = True,
    longest_side_pixels: int = 1280,
) -> Decoded:
    limits = limits or MediaLimits()
    with path.open("rb") as file:
        facts = probe(file, limits)
        pieces: list[SoundPiece] = []
        frames: list[Frame] = []
        order: list[float] = []
        with decode(
            file,
            facts,
            limits,
            sound=sound,
            picture=picture,
            longest_side_pixels=longest_side_pixels,
        ) as stream:
            for item in stream:
                if isinstance(item, SoundPiece):
                    pieces.append(item)
                    order.append(item.start_seconds)
                else:
                    frames.append(item)
                    order.append(item.time_seconds)
            return Decoded(facts, pieces, frames, order, stream.summary)


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> MakeMedia:
    """`make("name.mp4", *ffmpeg_arguments)`: a recording, made once a session."""
    folder = tmp_path_factory.mktemp("media")

    def _make(name: str, *arguments: str) -> Path:
        path = folder / name
        if not path.exists():
            subprocess.run(
                ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(path)],
                check=True,
                timeout=60,
            )
        return path

    return _make


def moving(seconds: float = 1.0, size: str = "320x240", rate: float = 25) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


def tone(seconds: float = 1.0, rate: int = 48_000, layout: str = "mono") -> list[str]:
    source = f"sine=440:r={rate}:d={seconds},aformat=channel_layouts={layout}"
    return ["-f", "lavfi", "-i", source]


H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
