"""What an uploaded file may cost at most."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from models.schema.errors import LimitExceeded


class MediaLimits(BaseModel):
    """Limits on an upload and on the process that decodes it.

    They hold against decoded facts, never against what the container claims.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_bytes: int = Field(default=2 * 1024**3, gt=0)
    """Half an hour of 1080p phone video at 8 Mbit/s is 1.8 GB."""
    decoded_seconds: float = Field(default=2 * 3600.0, gt=0)
    """Two hours: twice the longest recording that the benchmarks measure (60 minutes)."""
    least_seconds: float = Field(default=0.0, ge=0)
    """Shorter recordings are refused. 0 admits all: whether one suffices is a verdict's matter."""
    pixels: int = Field(default=4096 * 2304, gt=0)
    """Largest picture of H.264 level 5.2 (ITU-T H.264 table A-1: MaxFS 36,864 macroblocks)."""
    streams: int = Field(default=32, gt=0)
    """Tracks of every kind; cameras and editors write fewer than ten."""
    channels: int = Field(default=8, gt=0)
    """7.1, the largest layout that AAC, Opus (mapping family 1) and FLAC define by name."""
    sample_rate_hz: int = Field(default=192_000, gt=0)
    """The highest rate of AES5's family that recorders write."""
    frames_per_second: float = Field(default=240.0, gt=0)
    """Slow motion of phones; over the whole picture no more frames than this times its length."""
    memory_bytes: int = Field(default=2 * 1024**3, gt=0)
    """Private memory of the child (RLIMIT_DATA).

    RLIMIT_DATA counts private writable pages, thread stacks and heaps, but not the 300 MB that
    the shared libraries of Debian's ffmpeg map. 1080p HEVC on four threads needs below 300 MB;
    a picture of `pixels` is 28 MB in 10-bit, and a decoder holds up to 17 of them a thread set.
    """
    output_bytes: int = Field(default=2 * 1024**4, gt=0)
    """Raw bytes from the child: 1280 x 1280 at 60 fps for two hours is 1.1 TB. Bounds work, not
    memory."""
    probe_seconds: float = Field(default=30.0, gt=0)
    """Wall time for the probe, which reads a few MiB; a healthy file takes 0.1 s."""
    stall_seconds: float = Field(default=30.0, gt=0)
    """Longest single wait for the decoder's next bytes."""
    wall_factor: float = Field(default=10.0, gt=0)
    """Seconds of waiting for the decoder allowed for each decoded second, after the first
    `stall_seconds`. One core decodes 4K HEVC at about 0.3 of real time. The time that the reader
    takes for itself does not count."""


def too_long(limits: MediaLimits) -> LimitExceeded:
    """The refusal of a recording that lasts longer than allowed."""
    return LimitExceeded(
        f"The recording is longer than the {limits.decoded_seconds:,.0f} seconds that are "
        "admitted.",
        remedy="Upload a shorter part of it.",
        code="too_long",
    )


def too_slow() -> LimitExceeded:
    """The refusal of a recording whose decoding takes too long."""
    return LimitExceeded(
        "Decoding the recording takes too long.",
        remedy="Export the recording again in a common format and upload that file.",
        code="decoding_too_slow",
    )
