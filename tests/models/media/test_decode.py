"""Sound and picture come out true: in time, in shape, in level and in colour."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from models.media.decode import SoundPiece, decode
from models.media.limits import MediaLimits
from models.media.probe import probe
from models.schema.errors import BrokenMedia, LimitExceeded
from tests.models.media.conftest import H264, MakeMedia, decode_all, moving, tone

# White for two frames and a beep, both at 1.0 s.
_FLASH = "color=black:s=160x120:r=25:d=2,drawbox=c=white:t=fill:enable='between(t,0.99,1.07)'"
_BEEP = "aevalsrc='0.8*sin(2*PI*1000*t)*between(t,1,1.08)':s=48000:d=2"
_CLAP = ["-f", "lavfi", "-i", _FLASH, "-f", "lavfi", "-i", _BEEP]

_CLAPS = {
    "clap.mp4": [*H264[:2], "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac"],
    "clap.mov": [*H264, "-c:a", "pcm_s16le"],
    "clap.mkv": [*H264[:2], "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "libopus"],
    "clap.webm": ["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis"],
    "clap.avi": ["-c:v", "mpeg4", "-c:a", "pcm_s16le"],
    "clap_fragmented.mp4": [*H264, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
}


def _flash_and_beep(decoded_frames: list, pieces: list[SoundPiece]) -> tuple[float, float]:
    flash = next(frame.time_seconds for frame in decoded_frames if frame.image.mean() > 128)
    for piece in pieces:
        loud = np.flatnonzero(np.abs(piece.samples).max(axis=1) > 0.2)
        if len(loud):
            return flash, piece.start_seconds + loud[0] / piece.sample_rate_hz
    raise AssertionError("no beep")


@pytest.mark.parametrize("name", _CLAPS)
def test_a_clap_is_seen_and_heard_at_the_same_time_in_every_container(
    name: str, make: MakeMedia
) -> None:
    decoded = decode_all(make(name, *_CLAP, *_CLAPS[name]))
    flash, beep = _flash_and_beep(decoded.frames, decoded.pieces)
    # Codecs smear the onset of the beep by a few milliseconds.
    assert beep == pytest.approx(flash, abs=0.025)
    assert decoded.order == sorted(decoded.order)
    assert decoded.summary.damaged is False


@pytest.mark.parametrize("delay", [0.7, 12.0])
def test_delayed_sound_starts_at_its_true_time(delay: float, make: MakeMedia) -> None:
    path = make(
        f"delayed_{delay}.mkv",
        *moving(delay + 1, "160x120", 10),
        *("-itsoffset", str(delay)),
        *tone(1.0),
        *("-map", "0:v", "-map", "1:a", *H264, "-c:a", "pcm_s16le"),
    )
    decoded = decode_all(path)
    alone = decode_all(path, picture=False)
    assert alone.summary.sound_start_seconds == pytest.approx(delay, abs=0.002)
    assert decoded.pieces[0].start_seconds == pytest.approx(delay, abs=0.002)
    assert decoded.summary.sound_start_seconds == pytest.approx(delay, abs=0.002)
    assert decoded.summary.picture_start_seconds == pytest.approx(0.0, abs=0.002)
    assert decoded.order == sorted(decoded.order)


@pytest.mark.parametrize(("sound_seconds", "picture_seconds"), [(3.0, 1.0), (1.0, 3.0)])
def test_sound_longer_or_shorter_than_the_picture_keeps_its_length(
    sound_seconds: float, picture_seconds: float, make: MakeMedia
) -> None:
    path = make(
        f"lengths_{sound_seconds}_{picture_seconds}.mkv",
        *moving(picture_seconds, "160x120"),
        *tone(sound_seconds),
        *(*H264, "-c:a", "flac"),
    )
    summary = decode_all(path).summary
    assert summary.sound_seconds == pytest.approx(sound_seconds, abs=0.01)
    assert summary.picture_seconds == pytest.approx(picture_seconds, abs=0.01)


def test_a_gap_in_the_sound_is_filled_with_silence_and_counted(make: MakeMedia) -> None:
    path = make("gap.mkv", *tone(3.0), "-af", "aselect='lt(t,1)+gt(t,2.0)'", "-c:a", "pcm_s16le")
    decoded = decode_all(path)
    assert decoded.summary.sound_seconds == pytest.approx(3.0, abs=0.05)
    assert decoded.summary.silence_filled_seconds == pytest.approx(1.0, abs=0.05)
    ends = [piece.start_seconds + len(piece.samples) / 48_000 for piece in decoded.pieces]
    starts = [piece.start_seconds for piece in decoded.pieces]
    assert ends[:-1] == pytest.approx(starts[1:])
    sound = np.concatenate([piece.samples for piece in decoded.pieces])
    assert np.abs(sound[int(1.2 * 48_000) : int(1.8 * 48_000)]).max() == 0.0
    assert np.abs(sound[int(2.2 * 48_000) :]).max() > 0.1


def test_pieces_are_at_most_half_a_second_of_float32(make: MakeMedia) -> None:
    decoded = decode_all(make("tone_8k.flac", *tone(3.0, 8_000)))
    assert {piece.samples.dtype for piece in decoded.pieces} == {np.dtype(np.float32)}
    assert max(len(piece.samples) for piece in decoded.pieces) <= 4_000
    assert decoded.samples == 24_000


def test_samples_are_passed_on_unchanged(make: MakeMedia) -> None:
    path = make("noise.wav", "-f", "lavfi", "-i", "anoisesrc=d=1:a=0.9:seed=3:r=22050", "-ac", "2")
    stored = np.frombuffer(path.read_bytes()[-22050 * 4 :], "<i2").reshape(-1, 2)
    decoded = np.concatenate([piece.samples for piece in decode_all(path).pieces])
    np.testing.assert_array_equal(decoded, stored.astype(np.float32) / 32768)


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("5.1", 6), ("7.1", 8)])
def test_every_channel_is_kept(layout: str, channels: int, make: MakeMedia) -> None:
    decoded = decode_all(make(f"{layout}.wav", *tone(0.6, 44_100, layout)))
    assert decoded.pieces[0].samples.shape[1] == channels
    assert decoded.pieces[0].sample_rate_hz == 44_100


@pytest.mark.parametrize("rate", [24, 29.97, 60])
def test_every_frame_of_24_to_60_a_second_arrives_at_its_time(rate: float, make: MakeMedia) -> None:
    decoded = decode_all(make(f"rate_{rate}.mp4", *moving(1, "160x120", rate), *H264))
    times = [frame.time_seconds for frame in decoded.frames]
    assert times == pytest.approx([index / rate for index in range(len(times))], abs=1e-3)
    assert [frame.index for frame in decoded.frames] == list(range(len(times)))
    assert not decoded.summary.variable_frame_rate
    assert decoded.summary.picture_seconds == pytest.approx(len(times) / rate, abs=1e-3)


def test_a_varying_frame_rate_keeps_its_time_stamps(make: MakeMedia) -> None:
    path = make(
        "varying.mkv",
        *moving(2, "160x120"),
        *("-vf", "select='not(mod(n,2))+lt(n,10)'", "-fps_mode", "passthrough", *H264),
    )
    decoded = decode_all(path)
    expected = [n / 25 for n in range(50) if n % 2 == 0 or n < 10]
    assert [f.time_seconds for f in decoded.frames] == pytest.approx(expected, abs=1e-3)
    assert decoded.summary.variable_frame_rate


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_metadata_makes_the_picture_upright(turn: int, make: MakeMedia) -> None:
    # The upper left quarter is red once the picture stands upright.
    upright = "color=blue:s=128x64:r=10:d=0.5,drawbox=w=64:h=32:c=red:t=fill"
    unturn = {90: "transpose=cclock", 180: "hflip,vflip", 270: "transpose=clock"}[turn]
    stored = make(f"stored_{turn}.mp4", "-f", "lavfi", "-i", f"{upright},{unturn}", *H264)
    path = make(
        f"turned_{turn}.mp4",
        *("-i", str(stored), "-c", "copy", "-metadata:s:v", f"rotate={360 - turn}"),
    )
    decoded = decode_all(path)
    assert decoded.facts.picture is not None
    assert decoded.facts.picture.rotation_degrees == turn
    assert decoded.facts.picture.width_pixels == 128
    image = decoded.frames[0].image
    assert image.shape == (64, 128, 3)
    assert image[8, 8, 2] > 200
    assert image[56, 120, 0] > 200
    assert image[8, 120, 0] > 200


def test_a_large_picture_is_scaled_down_and_a_small_one_never_up(make: MakeMedia) -> None:
    path = make("sides.mp4", *moving(0.2, "640x360"), *H264)
    assert decode_all(path, longest_side_pixels=320).frames[0].image.shape == (180, 320, 3)
    assert decode_all(path, longest_side_pixels=1280).frames[0].image.shape == (360, 640, 3)


def test_pixels_that_are_not_square_are_made_square(make: MakeMedia) -> None:
    decoded = decode_all(
        make("anamorphic.mp4", *moving(0.2, "360x288"), "-vf", "setsar=2/1", *H264)
    )
    assert decoded.frames[0].image.shape == (288, 720, 3)
    assert decoded.facts.picture is not None
    assert decoded.facts.picture.width_pixels == 720


@pytest.mark.parametrize(
    ("matrix", "flags"),
    [
        ("bt709", ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"]),
        ("smpte170m", ["-vf", "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p"]),
        ("bt709_full", ["-vf", "scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p"]),
        ("bt709_ten", ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le"]),
    ],
)
def test_colours_are_what_was_filmed(matrix: str, flags: list[str], make: MakeMedia) -> None:
    path = make(
        f"colour_{matrix}.mkv",
        *("-f", "lavfi", "-i", "color=0xC08040:s=64x64:r=10:d=0.3,format=rgb24", *flags),
        *("-c:v", "libx264", "-colorspace", matrix.split("_", maxsplit=1)[0], "-qp", "4"),
    )
    image = decode_all(path).frames[0].image
    assert image[32, 32].tolist() == pytest.approx([0x40, 0x80, 0xC0], abs=5)


@pytest.mark.media
def test_ten_bit_and_hdr_become_ordinary_pictures(media: Path) -> None:
    decoded = decode_all(media / "awkward" / "hlg10-color-test.mp4")
    assert decoded.facts.picture is not None
    assert decoded.facts.picture.high_dynamic_range
    assert decoded.facts.picture.bit_depth == 10
    image = decoded.frames[0].image
    assert image.dtype == np.uint8
    assert image.std() > 10


@pytest.mark.parametrize(("transfer", "white"), [("smpte2084", 150), ("arib-std-b67", 191)])
def test_hdr_greys_stay_grey_and_in_order(transfer: str, white: int, make: MakeMedia) -> None:
    # Left half dark, right half at diffuse white (BT.2408: 58 % PQ, 75 % HLG), in code values.
    grey = f"color=0x404040:s=64x64:r=10:d=0.3,drawbox=x=32:w=32:c=0x{white:02x}{white:02x}"
    tags = ["-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc"]
    path = make(
        f"hdr_{transfer}.mkv",
        *("-f", "lavfi", "-i", f"{grey}{white:02x}:t=fill,format=yuv420p10le"),
        *("-c:v", "libx265", "-x265-params", "log-level=none", *tags),
    )
    decoded = decode_all(path)
    assert decoded.facts.picture is not None
    assert decoded.facts.picture.high_dynamic_range
    image = decoded.frames[0].image.astype(int)
    dark, bright = image[32, 8], image[32, 56]
    assert np.ptp(dark) <= 4
    assert np.ptp(bright) <= 4
    assert dark.mean() + 40 < bright.mean()


def test_loudness_agrees_with_ffmpeg_on_its_own(make: MakeMedia) -> None:
    path = make("loud.wav", *tone(4.0, 44_100), "-af", "volume='if(lt(t,2),0.1,1)':eval=frame")
    loudness = decode_all(path).summary.loudness
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-i", str(path)]
    command += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    integrated = re.findall(r"\bI:\s+(-?[\d.]+) LUFS", text)[-1]
    assert loudness is not None
    assert loudness.integrated_lufs == float(integrated)
    assert loudness.true_peak_dbfs is not None
    assert loudness.true_peak_dbfs == pytest.approx(-18.0, abs=1.0)


def test_silence_has_no_loudness(make: MakeMedia) -> None:
    path = make("silence.wav", "-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "1")
    loudness = decode_all(path).summary.loudness
    assert loudness is not None
    assert loudness.integrated_lufs is None
    assert loudness.true_peak_dbfs is None


def test_sound_alone_opens_no_picture_decoder(make: MakeMedia) -> None:
    path = make("long.mp4", *moving(10, "320x240"), *tone(10.0), *H264, "-c:a", "aac")
    limits = MediaLimits()
    with path.open("rb") as file:
        facts = probe(file, limits)
        with decode(file, facts, limits, sound=True, picture=False) as stream:
            next(stream)
            command = Path(f"/proc/{stream.child.pid}/cmdline").read_bytes().split(b"\0")
            assert all(isinstance(item, SoundPiece) for item in stream)
            # libavformat asks for the picture's decoder and is told no.
            assert stream.child.messages.mention("Codec (h264) not on whitelist")
            assert stream.summary.frames == 0
    assert b"-vn" in command
    assert not any(b"h264" in argument for argument in command)


@pytest.mark.parametrize("picture", [True, False])
def test_a_recording_longer_than_the_limit_is_refused_while_it_is_decoded(
    picture: bool, make: MakeMedia
) -> None:
    path = make("both.mp4", *moving(1, "160x120"), *tone(1.0), *H264, "-c:a", "aac")
    with path.open("rb") as file:
        facts = probe(file, MediaLimits())
        limits = MediaLimits(decoded_seconds=0.5)
        with (
            pytest.raises(LimitExceeded, match="longer than"),
            decode(file, facts, limits, sound=not picture, picture=picture) as stream,
        ):
            list(stream)
        assert not stream.child.running


def test_a_recording_that_is_too_short_is_told_so(make: MakeMedia) -> None:
    path = make("tone_8k.flac", *tone(3.0, 8_000))
    with pytest.raises(LimitExceeded, match=r"3\.00 seconds"):
        decode_all(path, MediaLimits(least_seconds=5.0))


def test_too_many_frames_and_too_much_output_are_refused(make: MakeMedia) -> None:
    path = make("rate_60.mp4", *moving(1, "160x120", 60), *H264)
    with pytest.raises(LimitExceeded, match="frames a second"):
        decode_all(path, MediaLimits(frames_per_second=10.0))
    with pytest.raises(LimitExceeded, match="more data"):
        decode_all(path, MediaLimits(output_bytes=100_000))


def test_a_recording_without_a_decodable_packet_is_broken(make: MakeMedia) -> None:
    good = make("both.mp4", *moving(1, "160x120"), *tone(1.0), *H264, "-c:a", "aac")
    content = bytearray(good.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = bytes(end - start)
    path = good.with_name("zeroed.mp4")
    path.write_bytes(content)
    with pytest.raises(BrokenMedia):
        decode_all(path)


def test_asking_for_nothing_is_a_mistake_of_the_caller(make: MakeMedia) -> None:
    path = make("tone_8k.flac", *tone(3.0, 8_000))
    with path.open("rb") as file:
        facts = probe(file, MediaLimits())
        with pytest.raises(ValueError, match="nothing to decode"):
            decode(file, facts, MediaLimits(), sound=False, picture=True)


def test_leaving_early_leaves_no_child(make: MakeMedia) -> None:
    path = make("long.mp4", *moving(10, "320x240"), *tone(10.0), *H264, "-c:a", "aac")
    with path.open("rb") as file:
        facts = probe(file, MediaLimits())
        with decode(file, facts, MediaLimits(), sound=True, picture=True) as stream:
            next(stream)
            pid = stream.child.pid
        with pytest.raises(ValueError, match="summary"):
            _ = stream.summary
    assert not Path(f"/proc/{pid}").exists()


def test_a_picture_that_changes_shape_on_the_way_is_fitted_inside(make: MakeMedia) -> None:
    parts = [
        make(f"part_{size}.h264", *moving(0.4, size), *H264).read_bytes()
        for size in ("320x240", "240x320")
    ]
    joined = make("part_320x240.h264").with_name("joined.h264")
    joined.write_bytes(b"".join(parts))
    path = make("turned.mkv", "-r", "25", "-f", "h264", "-i", str(joined), "-c", "copy")
    frames = decode_all(path).frames
    assert len(frames) == 20
    assert {frame.image.shape for frame in frames} == {(240, 320, 3)}
    assert frames[-1].image[:, :60].max() < 10
    assert frames[-1].image[:, 80:240].std() > 20
