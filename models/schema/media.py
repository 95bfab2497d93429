"""What is known of an uploaded file before and after it is decoded."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SoundFacts(_Facts):
    """The one audio track that is used."""

    codec: str
    sample_rate_hz: int
    channels: int
    start_seconds: float
    """Time of the first sample on the media clock, which the picture shares: the file's own clock,
    counted from `MediaFacts.start_seconds`."""
    track: int
    """Index among the file's audio tracks."""
    tracks: int
    """How many audio tracks the file has; the default one is used, and the report says so."""


class PictureFacts(_Facts):
    """The one video track that is used."""

    codec: str
    width_pixels: int
    """Upright width, after the container's rotation."""
    height_pixels: int
    rotation_degrees: int
    """Clockwise rotation that makes the stored picture upright: 0, 90, 180 or 270."""
    frame_rate_hz: float
    """Average frame rate as the container states it: for people, never trusted."""
    bit_depth: int
    high_dynamic_range: bool
    colour_matrix: str = "unknown"
    """Matrix coefficients as ffprobe names them (ITU-T H.273), e.g. `bt709`, `smpte170m`."""
    start_seconds: float
    """Time of the first frame on the same clock as the sound's."""
    track: int
    """Index among the file's video tracks, attached pictures counted."""
    tracks: int
    """How many moving pictures the file has; the default one is used."""


class MediaFacts(_Facts):
    """What the probe says. Lengths and counts in here are the container's claims."""

    container: str
    """ffprobe's format name, from the content and never from the file's name."""
    size_bytes: int
    claimed_seconds: float | None
    start_seconds: float = 0.0
    """Where the file's own clock starts; the media clock counts from here."""
    sound: SoundFacts | None
    picture: PictureFacts | None


class Loudness(_Facts):
    """EBU R128 / ITU-R BS.1770-4."""

    integrated_lufs: float | None
    """None where the recording is silent (below the absolute gate of -70 LUFS) or shorter than one
    gating block (0.4 s)."""
    range_lu: float
    true_peak_dbfs: float | None


class DecodeSummary(_Facts):
    """What decoding found: the facts that are believed."""

    sound_seconds: float
    """Length of the decoded sound, gaps in its timestamps included as silence."""
    sound_start_seconds: float
    picture_seconds: float
    """Time from the first frame to the end of the last."""
    picture_start_seconds: float
    frames: int
    variable_frame_rate: bool
    loudness: Loudness | None
    damaged: bool
    """True when the decoder met broken data and went on."""
    silence_filled_seconds: float
    """Silence put where the sound's timestamps had gaps."""
