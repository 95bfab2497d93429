"""What an untrusted file says it is."""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from typing import Any, BinaryIO

from models.media.admitted import (
    BESIDE_DECODERS,
    CONTAINERS,
    PICTURE_DECODERS,
    SOUND_DECODERS,
    is_still_image,
    looks_like_recording,
)
from models.media.contained import ContainedProcess, address_of, open_descriptor
from models.media.limits import MediaLimits, too_long
from models.media.packet_length import packets_exceed
from models.schema.errors import BrokenMedia, LimitExceeded, UnsupportedMedia
from models.schema.media import MediaFacts, PictureFacts, SoundFacts

_ENTRIES = (
    "format=format_name,duration,start_time"
    ":stream=codec_type,codec_name,codec_tag_string,width,height,sample_rate,channels,start_time,"
    "avg_frame_rate,r_frame_rate,pix_fmt,color_space,color_transfer,sample_aspect_ratio"
    ":stream_disposition=default,attached_pic,still_image,timed_thumbnails"
    ":stream_side_data=rotation"
)
"""Never tags: they are the uploader's words and may be of any size."""
_DECODERS = (*SOUND_DECODERS.values(), *PICTURE_DECODERS.values(), *BESIDE_DECODERS)
_REPORT_BYTES = 1 << 20
_PROTECTION_BYTES = 1 << 16
_ENCRYPTED_TAGS = {"encv", "enca", "drms", "drmi", "drmt"}
"""Sample entries of protected tracks: ISO/IEC 14496-12 8.12, and FairPlay's."""
_HDR_TRANSFERS = {"smpte2084", "arib-std-b67"}
"""PQ and HLG (ITU-R BT.2100)."""


def probe(source: BinaryIO | int, limits: MediaLimits) -> MediaFacts:
    """Read what the container says: type by content, the sound and the picture that will be used.

    `source` is an open regular file, of which position and content stay as they are. Lengths in the
    result are claims; one that is too long is refused here only when the packets agree.

    Raises UnsupportedMedia (a still image, a playlist, a container or codec that is not admitted, a
    protected recording), BrokenMedia (empty or unreadable), LimitExceeded (too large, too long, too
    many pixels, tracks or channels, too slow to read), ToolMissing.
    """
    descriptor = open_descriptor(source)
    size = os.fstat(descriptor).st_size
    if size == 0:
        raise BrokenMedia("The file is empty.")
    if size > limits.size_bytes:
        raise LimitExceeded(
            f"The file has {size:,} bytes; at most {limits.size_bytes:,} are admitted.",
            remedy="Upload a shorter or smaller recording.",
            code="too_large",
        )
    head = os.pread(descriptor, 16, 0)
    if is_still_image(head):
        raise UnsupportedMedia("The file is a still image, not a recording.", code="still_image")
    facts = _facts(_report(descriptor, head, limits), size, limits)
    claims_too_much = (facts.claimed_seconds or 0.0) > limits.decoded_seconds
    if claims_too_much and _packets_agree(descriptor, facts, limits):
        raise too_long(limits)
    return facts


def _packets_agree(descriptor: int, facts: MediaFacts, limits: MediaLimits) -> bool:
    tracks = [("a", facts.sound), ("v", facts.picture)]
    kind, track = next((kind, track.track) for kind, track in tracks if track is not None)
    return packets_exceed(
        descriptor, f"{kind}:{track}", limits, longest_seconds=limits.decoded_seconds
    )


def _report(descriptor: int, head: bytes, limits: MediaLimits) -> dict[str, Any]:
    arguments = [
        *("ffprobe", "-loglevel", "repeat+level+error", "-print_format", "json"),
        *("-show_entries", _ENTRIES, "-max_streams", str(limits.streams)),
        *("-protocol_whitelist", "file", "-format_whitelist", ",".join(CONTAINERS)),
        *("-codec_whitelist", ",".join(_DECODERS)),
        address_of(descriptor),
    ]
    with ContainedProcess(
        arguments,
        descriptor=descriptor,
        limits=limits,
        wait_seconds=limits.probe_seconds,
        processor_seconds=limits.probe_seconds,
    ) as child:
        text = bytearray()
        while len(text) <= _REPORT_BYTES and (piece := child.read()):
            text += piece
        if len(text) > _REPORT_BYTES or child.messages.mention("exceeds max_streams"):
            raise _too_many_tracks(limits)
        status = child.finish()
        if child.messages.mention("exceeds max_streams"):
            raise _too_many_tracks(limits)
        refused = child.messages.mention("Format not on whitelist")
        foreign_codec = child.messages.mention("Codec (")
    if status != 0 and _is_protected(descriptor):
        raise _protected()
    if status != 0 and foreign_codec:
        raise UnsupportedMedia("A track of the file is coded in a way that is not admitted.")
    if refused or (status != 0 and not looks_like_recording(head)):
        raise UnsupportedMedia("The file is not a recording of an admitted type.")
    try:
        report = json.loads(text)
    except ValueError:
        report = {}
    if status != 0 or not isinstance(report, dict) or not report.get("streams"):
        raise BrokenMedia("The file is damaged: neither sound nor picture can be read from it.")
    return report


def _facts(report: dict[str, Any], size: int, limits: MediaLimits) -> MediaFacts:
    streams = report["streams"]
    if len(streams) > limits.streams:
        raise _too_many_tracks(limits)
    origin = _number(report["format"].get("start_time")) or 0.0
    sounds = [stream for stream in streams if stream.get("codec_type") == "audio"]
    videos = [stream for stream in streams if stream.get("codec_type") == "video"]
    pictures = [stream for stream in videos if not _is_attached(stream)]
    if not sounds and not pictures:
        raise UnsupportedMedia("The file holds neither a sound track nor a moving picture.")
    return MediaFacts(
        container=report["format"]["format_name"],
        size_bytes=size,
        claimed_seconds=_number(report["format"].get("duration")),
        start_seconds=origin,
        sound=_sound(sounds, origin, limits) if sounds else None,
        picture=_picture(pictures, videos, origin, limits) if pictures else None,
    )


def _sound(sounds: list[dict[str, Any]], origin: float, limits: MediaLimits) -> SoundFacts:
    stream = _default(sounds)
    codec = _codec(stream, SOUND_DECODERS, "sound")
    channels = int(stream.get("channels", 0))
    rate = int(stream.get("sample_rate", 0))
    if channels < 1 or rate < 1:
        raise BrokenMedia("The sound track is damaged: it states no sample rate or no channels.")
    if channels > limits.channels:
        raise LimitExceeded(
            f"The sound has {channels} channels; at most {limits.channels} are admitted.",
            remedy="Mix the recording down to stereo or mono.",
            code="too_many_channels",
        )
    if rate > limits.sample_rate_hz:
        raise LimitExceeded(
            f"The sound has {rate:,} samples a second; at most {limits.sample_rate_hz:,} are "
            "admitted.",
            remedy="Export the sound at 48,000 samples a second.",
            code="sample_rate_too_high",
        )
    return SoundFacts(
        codec=codec,
        sample_rate_hz=rate,
        channels=channels,
        start_seconds=_start(stream, origin),
        track=next(index for index, each in enumerate(sounds) if each is stream),
        tracks=len(sounds),
    )


def _picture(
    pictures: list[dict[str, Any]],
    videos: list[dict[str, Any]],
    origin: float,
    limits: MediaLimits,
) -> PictureFacts:
    stream = _default(pictures)
    codec = _codec(stream, PICTURE_DECODERS, "picture")
    width, height = int(stream.get("width", 0)), int(stream.get("height", 0))
    if width < 1 or height < 1:
        raise BrokenMedia("The picture is damaged: it states no size.")
    if width * height > limits.pixels:
        raise LimitExceeded(
            f"The picture has {width} x {height} pixels; at most {limits.pixels:,} are admitted.",
            remedy="Export the recording at 1920 x 1080 or smaller.",
            code="too_many_pixels",
        )
    # Anamorphic recordings state the shape of a pixel; the facts count square ones.
    width = max(1, round(width * _pixel_aspect(stream)))
    rotation = _rotation(stream)
    if rotation in (90, 270):
        width, height = height, width
    pixel_format = str(stream.get("pix_fmt", ""))
    depth = re.search(r"(?:p|gray|gbrp)(9|10|12|14|16)(?:le|be)$", pixel_format)
    return PictureFacts(
        codec=codec,
        width_pixels=width,
        height_pixels=height,
        rotation_degrees=rotation,
        frame_rate_hz=_ratio(stream.get("avg_frame_rate")) or _ratio(stream.get("r_frame_rate")),
        bit_depth=int(depth.group(1)) if depth else 8,
        high_dynamic_range=stream.get("color_transfer") in _HDR_TRANSFERS,
        colour_matrix=str(stream.get("color_space", "unknown")),
        start_seconds=_start(stream, origin),
        track=next(index for index, each in enumerate(videos) if each is stream),
        tracks=len(pictures),
    )


def _start(stream: dict[str, Any], origin: float) -> float:
    start = _number(stream.get("start_time"))
    return 0.0 if start is None else start - origin


def _default(streams: list[dict[str, Any]]) -> dict[str, Any]:
    """The track that the container marks as default, else the first."""
    return next(
        (each for each in streams if each.get("disposition", {}).get("default")), streams[0]
    )


def _is_attached(stream: dict[str, Any]) -> bool:
    """Cover art and thumbnails are pictures beside the recording, not of it."""
    disposition = stream.get("disposition", {})
    return any(
        disposition.get(name) for name in ("attached_pic", "still_image", "timed_thumbnails")
    )


def _codec(stream: dict[str, Any], admitted: dict[str, str], what: str) -> str:
    if stream.get("codec_tag_string") in _ENCRYPTED_TAGS:
        raise _protected()
    codec = str(stream.get("codec_name", "unknown"))
    if codec in ("unknown", "none"):
        raise BrokenMedia(f"The {what} track is damaged: it does not say how it is coded.")
    if codec not in admitted:
        raise UnsupportedMedia(f"The {what} is coded as {codec}, which is not admitted.")
    return codec


def _rotation(stream: dict[str, Any]) -> int:
    """Clockwise quarter turns to upright; ffprobe counts counter-clockwise."""
    for data in stream.get("side_data_list", []):
        angle = _number(data.get("rotation"))
        if angle is not None:
            return round(-angle / 90.0) % 4 * 90
    return 0


def _pixel_aspect(stream: dict[str, Any]) -> float:
    aspect = _ratio(str(stream.get("sample_aspect_ratio", "1:1")).replace(":", "/"))
    # Beyond this the statement is a mistake: the widest in use is 2.35:1 anamorphic film, squeezed
    # by two.
    return aspect if 0.25 <= aspect <= 4.0 else 1.0


def _ratio(text: Any) -> float:
    """`30000/1001` as a number; 0 where it is none."""
    try:
        return float(Fraction(str(text)))
    except (ValueError, ZeroDivisionError):
        return 0.0


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _is_protected(descriptor: int) -> bool:
    """Whether an unreadable file names protection in its first part, where mp4 states it."""
    head = os.pread(descriptor, _PROTECTION_BYTES, 0)
    return head[4:8] in (b"ftyp", b"styp", b"moov") and any(
        name in head for name in (b"encv", b"enca", b"pssh", b"drms")
    )


def _protected() -> UnsupportedMedia:
    return UnsupportedMedia(
        "The recording is protected against copying (DRM).",
        remedy="Upload a recording of your own that is not protected.",
        code="protected",
    )


def _too_many_tracks(limits: MediaLimits) -> LimitExceeded:
    return LimitExceeded(
        f"The file holds more than {limits.streams} tracks.",
        remedy="Export the recording with one picture and one sound track.",
        code="too_many_tracks",
    )
