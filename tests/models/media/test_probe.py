"""What is admitted, what is refused, and that nothing else is opened to find out."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest

from models.media.limits import MediaLimits
from models.media.probe import probe
from models.schema.errors import BrokenMedia, LimitExceeded, UnsupportedMedia
from models.schema.media import MediaFacts
from tests.models.media.conftest import H264, MakeMedia, decode_all, moving, tone


def _probe(path: Path, limits: MediaLimits | None = None) -> MediaFacts:
    with path.open("rb") as file:
        return probe(file, limits or MediaLimits())


_ADMITTED = {
    "a.wav": [],
    "a.flac": [],
    "a.mp3": [],
    "a.m4a": ["-c:a", "aac"],
    "a.aac": ["-c:a", "aac"],
    "a.ogg": ["-c:a", "libvorbis"],
    "a.opus": ["-c:a", "libopus"],
    "a.webm": ["-c:a", "libopus"],
    "a.aiff": [],
    "a.mka": ["-c:a", "flac"],
    "alac.m4a": ["-c:a", "alac"],
}


@pytest.mark.parametrize("name", _ADMITTED)
def test_every_admitted_kind_of_sound_is_read_whatever_its_name(name: str, make: MakeMedia) -> None:
    path = make(name, *tone(1.0), *_ADMITTED[name])
    misnamed = path.with_name(f"{path.name}.png")
    misnamed.write_bytes(path.read_bytes())
    decoded = decode_all(misnamed)
    assert decoded.facts.sound is not None
    assert decoded.facts.picture is None
    assert decoded.summary.sound_seconds == pytest.approx(1.0, abs=0.06)
    assert decoded.summary.damaged is False


def _playlists(target: Path) -> dict[str, bytes]:
    return {
        "hls": f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{target}\n"
        "#EXT-X-ENDLIST\n".encode(),
        "hls_data": b"#EXTM3U\n#EXTINF:1,\ndata:audio/wav;base64,UklGRg==\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
        f'<AdaptationSet mimeType="audio/wav"><Representation id="1" bandwidth="1"><BaseURL>'
        f"file://{target}</BaseURL></Representation></AdaptationSet></Period></MPD>".encode(),
        "svg": f'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
        f'<image href="file://{target}"/></svg>'.encode(),
        "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n",
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        b"m=audio 5004 RTP/AVP 0\n",
        "image_sequence": str(target).encode(),
        "text": b"not a recording\n" * 100,
    }


@pytest.mark.parametrize("kind", _playlists(Path("/x")))
def test_what_can_name_other_files_is_refused_and_opens_none(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "target.wav"
    target.write_bytes(b"RIFF" + bytes(100))
    os.utime(target, (0, 0))
    upload = tmp_path / "upload.mp4"
    upload.write_bytes(_playlists(target)[kind])
    with pytest.raises(UnsupportedMedia):
        _probe(upload)
    assert target.stat().st_atime == 0


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + 3 * width)))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_still_image_is_refused_with_a_line_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(_png(8, 8))
    with pytest.raises(UnsupportedMedia, match="still image"):
        _probe(path)


def test_a_cover_is_not_a_picture_track(make: MakeMedia, tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    cover.write_bytes(_png(64, 64))
    path = make(
        "cover.mp3",
        *tone(1.0),
        *("-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy"),
        *("-disposition:v", "attached_pic"),
    )
    facts = _probe(path)
    assert facts.picture is None
    assert facts.sound is not None
    assert decode_all(path).summary.frames == 0


def test_the_default_sound_track_is_chosen_and_their_number_told(make: MakeMedia) -> None:
    path = make(
        "two.mkv",
        *tone(1.0, 48_000),
        *tone(1.0, 16_000),
        *("-map", "0", "-map", "1", "-c:a", "flac"),
        *("-disposition:a:0", "0", "-disposition:a:1", "default"),
    )
    decoded = decode_all(path)
    assert decoded.facts.sound is not None
    assert decoded.facts.sound.tracks == 2
    assert decoded.facts.sound.track == 1
    assert decoded.pieces[0].sample_rate_hz == 16_000


def test_limits_of_the_container_are_told_before_the_work(make: MakeMedia) -> None:
    video = make("both.mp4", *moving(1, "160x120"), *tone(1.0), *H264, "-c:a", "aac")
    surround = make("7.1.wav", *tone(0.6, 44_100, "7.1"))
    many = make("many.mkv", *tone(0.3), *(["-map", "0"] * 40), "-c:a", "pcm_s16le")
    for path, limits, words in (
        (video, MediaLimits(pixels=10_000), "160 x 120 pixels"),
        (video, MediaLimits(size_bytes=1000), "at most 1,000"),
        (video, MediaLimits(streams=1), "more than 1 tracks"),
        (many, MediaLimits(), "more than 32 tracks"),
        (surround, MediaLimits(channels=6), "8 channels"),
        (surround, MediaLimits(sample_rate_hz=8000), "44,100 samples"),
        (surround, MediaLimits(decoded_seconds=0.4), "longer than"),
    ):
        with pytest.raises(LimitExceeded, match=words):
            _probe(path, limits)


def test_a_claim_alone_refuses_nothing(make: MakeMedia) -> None:
    path = make("both.mp4", *moving(1, "160x120"), *tone(1.0), *H264, "-c:a", "aac")
    content = bytearray(path.read_bytes())
    # Movie header, version 0: the length stands 16 bytes behind the box's type and version.
    position = content.index(b"mvhd") + 20
    content[position : position + 4] = struct.pack(">I", 0x7FFFFFFF)
    liar = path.with_name("liar.mp4")
    liar.write_bytes(content)
    decoded = decode_all(liar)
    assert decoded.facts.claimed_seconds is not None
    assert decoded.facts.claimed_seconds > 1_000_000
    assert decoded.summary.picture_seconds == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\x1a\x45\xdf\xa3" + bytes(50), b"ID3\x04"])
def test_what_is_cut_off_at_the_head_is_broken(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(BrokenMedia):
        _probe(path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for place in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
        try:
            with pytest.raises(UnsupportedMedia, match="regular"):
                probe(descriptor, MediaLimits())
        finally:
            os.close(descriptor)


def test_the_caller_keeps_content_and_position(make: MakeMedia) -> None:
    path = make("a.wav", *tone(1.0))
    with path.open("rb") as file:
        file.seek(7)
        probe(file, MediaLimits())
        assert file.tell() == 7
