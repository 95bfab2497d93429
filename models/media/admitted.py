"""The closed lists of what is opened: containers and codecs.

The container list is what keeps out everything that can name other files or addresses: playlists
(hls, dash, concat), image sequences (image2), SVG, subtitles. libavformat asks the same list for
containers nested in others (an AVI's subtitle track, for one).
"""

from __future__ import annotations

CONTAINERS = ("wav", "w64", "flac", "mp3", "mov", "aac", "ogg", "matroska", "aiff", "amr", "avi")
"""Names of libavformat demuxers. `mov` is mp4, m4a, 3gp too; `matroska` is webm too."""

_PCM = tuple(
    f"pcm_{sample}"
    for sample in (
        *("u8", "s8", "s16le", "s16be", "u16le", "u16be", "s24le", "s24be", "u24le", "u24be"),
        *("s32le", "s32be", "u32le", "u32be", "s64le", "f32le", "f32be", "f64le", "f64be"),
        *("alaw", "mulaw"),
    )
)

SOUND_DECODERS: dict[str, str] = {
    **{name: name for name in _PCM},
    "aac": "aac",
    "ac3": "ac3",
    "adpcm_ima_qt": "adpcm_ima_qt",
    "adpcm_ima_wav": "adpcm_ima_wav",
    "adpcm_ms": "adpcm_ms",
    "alac": "alac",
    "amr_nb": "amrnb",
    "amr_wb": "amrwb",
    "eac3": "eac3",
    "flac": "flac",
    "gsm_ms": "gsm_ms",
    "mp2": "mp2float",
    "mp3": "mp3float",
    "opus": "opus",
    "speex": "speex",
    "vorbis": "vorbis",
    "wmav2": "wmav2",
}
"""Codec name, as ffprobe prints it, to the one decoder that may open it."""

PICTURE_DECODERS: dict[str, str] = {
    "av1": "libdav1d",
    "dvvideo": "dvvideo",
    "h263": "h263",
    "h264": "h264",
    "hevc": "hevc",
    "mjpeg": "mjpeg",
    "mpeg1video": "mpeg1video",
    "mpeg2video": "mpeg2video",
    "mpeg4": "mpeg4",
    "msmpeg4v3": "msmpeg4",
    "prores": "prores",
    "theora": "theora",
    "vp8": "vp8",
    "vp9": "vp9",
}
"""As `SOUND_DECODERS`, for the picture."""

BESIDE_DECODERS = (
    *("png", "bmp", "gif", "webp", "tiff"),
    *("mov_text", "srt", "subrip", "ssa", "ass", "webvtt", "text", "dvbsub", "dvdsub", "pgssub"),
)
"""What may stand beside sound and picture: covers and subtitles. The probe, which opens a decoder
for every track, may open these; decoding never does."""

_STILL_IMAGES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"8BPS",
    b"\x00\x00\x01\x00",
    b"\xff\x0a",
    b"\x00\x00\x00\x0cJXL ",
    b"\x00\x00\x00\x0cjP  ",
)
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
_RECORDINGS = (b"RIFF", b"riff", b"RF64", b"fLaC", b"ID3", b"OggS", b"\x1a\x45\xdf\xa3", b"FORM")
_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp")


def is_still_image(head: bytes) -> bool:
    """Whether the first 16 bytes are those of a photograph or drawing."""
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    return head.startswith(_STILL_IMAGES) or (head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS)


def looks_like_recording(head: bytes) -> bool:
    """Whether the first 16 bytes are those of an admitted container, sound or damaged."""
    mpeg_sync = len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return head.startswith((*_RECORDINGS, b"#!AMR")) or head[4:8] in _MOV_ATOMS or mpeg_sync
