"""The one ffmpeg command that decodes an upload."""

from __future__ import annotations

import os
from typing import Any

import ffmpeg

from models.media.admitted import CONTAINERS, PICTURE_DECODERS, SOUND_DECODERS
from models.media.contained import address_of
from models.media.limits import MediaLimits
from models.schema.media import MediaFacts, PictureFacts

_MOST_THREADS = 4
"""Frame threads each hold pictures; more than four gain little at 1080p and cost memory."""
_INTERLEAVE_MICROSECONDS = 500_000
"""How far apart sound and picture may be in the muxer before it stops waiting for the other; its
default of 10 s would hold 400 MB of raw 720p once the sound has ended."""


def decoder_arguments(
    facts: MediaFacts,
    descriptor: int,
    limits: MediaLimits,
    *,
    sound: bool,
    picture: bool,
    longest_side_pixels: int,
) -> list[str]:
    """Arguments, program first, of an ffmpeg that writes one NUT stream to its stdout.

    Sound and picture each read the file through an input of their own: ffmpeg then asks the one
    that is behind, so neither waits in memory for the other, however the file interleaves them.
    The input of the sound may open no picture decoder, not even to look.
    """
    outputs = []
    options: dict[str, Any] = {"format": "nut", "max_interleave_delta": _INTERLEAVE_MICROSECONDS}
    if sound and facts.sound is not None:
        source = _source(facts, descriptor, limits, SOUND_DECODERS, vn=None)
        outputs.append(source[f"a:{facts.sound.track}"])
        # ebur128 computes in float64 and passes samples on as they are.
        options |= {"filter:a": "ebur128=peak=true:framelog=verbose", "codec:a": "pcm_f32le"}
    if picture and facts.picture is not None:
        source = _source(
            facts, descriptor, limits, PICTURE_DECODERS, an=None, max_pixels=limits.pixels
        )
        outputs.append(source[f"v:{facts.picture.track}"])
        options |= {
            "filter:v": _picture_filters(facts.picture, longest_side_pixels),
            "codec:v": "rawvideo",
            "fps_mode": "passthrough",
            "enc_time_base:v": -1,
        }
    command = ffmpeg.output(*outputs, "pipe:1", map_metadata=-1, map_chapters=-1, **options)
    command = command.global_args("-nostdin", "-hide_banner", "-nostats")
    command = command.global_args("-loglevel", "repeat+level+info")
    return [str(argument) for argument in ffmpeg.compile(command)]


def picture_size(picture: PictureFacts, longest_side_pixels: int) -> tuple[int, int]:
    """Width and height of the decoded frames: scaled down to the longest side, never up."""
    width, height = picture.width_pixels, picture.height_pixels
    scale = longest_side_pixels / max(width, height)
    if scale >= 1.0:
        return width, height
    # Even sides keep the chroma planes of 4:2:0 aligned.
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _source(
    facts: MediaFacts,
    descriptor: int,
    limits: MediaLimits,
    decoders: dict[str, str],
    **options: Any,
) -> Any:
    container = facts.container.split(",")[0]
    if container == "mov":
        # External references of QuickTime ("dref") can name other files.
        options |= {"enable_drefs": 0, "use_absolute_path": 0}
    return ffmpeg.input(
        address_of(descriptor),
        format=container,
        protocol_whitelist="file",
        format_whitelist=",".join(CONTAINERS),
        codec_whitelist=",".join(sorted(set(decoders.values()))),
        max_streams=limits.streams,
        # Both inputs count from the start that the probe found. Left alone, each would count from
        # what it sees, and the one that may not look at the picture sees another start.
        seek_timestamp=1,
        itsoffset=f"{-facts.start_seconds:.6f}",
        threads=min(len(os.sched_getaffinity(0)), _MOST_THREADS),
        sn=None,
        dn=None,
        **options,
    )


def _picture_filters(picture: PictureFacts, longest_side_pixels: int) -> str:
    width, height = picture_size(picture, longest_side_pixels)
    if picture.high_dynamic_range:
        # Linear light with 100 cd/m2 as white, BT.2020 to BT.709 primaries, Hable's curve.
        return (
            f"zscale=w={width}:h={height}:pin=bt2020:min=bt2020nc:t=linear:npl=100,"
            "format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,"
            "zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
        )
    if width % 2 or height % 2:
        # Padding works in whole chroma samples, so an odd size is only scaled.
        return f"scale=w={width}:h={height}:flags=bilinear:out_range=tv,setsar=1,format=yuv420p"
    # A recording may change shape on the way (a phone is turned): such frames are fitted inside.
    shape = width / height
    same = f"lt(abs(dar/{shape:.6f}-1)\\,0.02)"
    fitted_width = f"if({same}\\,{width}\\,max(2\\,min({width}\\,trunc({height}*dar/2)*2)))"
    fitted_height = f"if({same}\\,{height}\\,max(2\\,min({height}\\,trunc({width}/dar/2)*2)))"
    return (
        f"scale=w={fitted_width}:h={fitted_height}:flags=bilinear:out_range=tv,"
        f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1,format=yuv420p"
    )
