"""A report's content as a real talking head would give it, made without any model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.report.content import ConsentLine, LineageLine, ReportContent
from models.schema.face import FaceMeasurements, Gap, MeasuredFace
from models.schema.kinds import kind_named
from models.schema.media import DecodeSummary, Loudness, MediaFacts, PictureFacts, SoundFacts
from models.schema.purposes import Purpose
from models.schema.verdict import Level, Verdict
from models.schema.voice import (
    Backend,
    MeasuredVoice,
    SpeechInterval,
    Utterance,
    VoiceMeasurements,
)

Builder = Callable[..., ReportContent]
Picture = NDArray[np.uint8]

SAID = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
)
RECEIVED = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
UPLOAD = "upl_7f3c9a52e01b4d6f"
MOST_BINS = 2400


@pytest.fixture
def talking_head() -> Builder:
    """Builds the content of an admitted video; keywords replace its fields."""

    def build(seconds: float = 48.0, **replaced: Any) -> ReportContent:
        content = ReportContent(
            upload=UPLOAD,
            received_at=RECEIVED,
            made_at=RECEIVED + timedelta(seconds=41),
            state="admitted",
            media=_media(seconds),
            decoded=_decoded(seconds),
            voice=measured_voice(seconds),
            face=measured_face(seconds),
            verdicts=_verdicts(),
            consent=_consent(),
            lineage=_lineage(),
            seconds=38.4,
        )
        return replace(content, **replaced)

    return build


def measured_voice(seconds: float) -> MeasuredVoice:
    """Sentences of 3 s with pauses of 1 s: harmonics under a moving pitch, noise in the pauses."""
    bins = min(int(seconds * 80), MOST_BINS)
    step = seconds / bins
    time = (np.arange(bins) + 0.5) * step
    random = np.random.default_rng(7)
    talks = (time % 4.0) < 3.0
    syllables = np.abs(np.sin(2 * np.pi * 2.1 * time)) ** 0.7
    level = np.where(talks, 0.05 + 0.45 * syllables, 0.004) * random.uniform(0.6, 1.0, bins)
    f0 = np.where(talks & (syllables > 0.3), 190 + 45 * np.sin(1.7 * time) - 8 * (time % 4), 0)
    mel = 2595 * np.log10(1 + 8000 / 700) * (np.arange(80) + 1) / 81
    hertz = 1.5 * 700 * (10 ** (mel / 2595) - 1)
    formants = sum(
        np.exp(-(((hertz[:, None] - centre) / width) ** 2))
        for centre, width in (
            (500 + 250 * np.sin(3 * time), 180),
            (1600 + 500 * np.sin(2.3 * time), 260),
            (2800 + 200 * np.cos(time), 420),
        )
    )
    power = np.log(1e-5 + level**2 * (0.02 + formants) * 8)
    power += random.normal(0, 0.4, power.shape)
    log_mel = np.clip((power + 11.5) / 15.5 * 255, 0, 255).astype(np.uint8)
    starts = np.arange(0, max(seconds - 3, 0.1), 4.0)
    return MeasuredVoice(
        measurements=VoiceMeasurements(
            backends={
                "activity": _backend("silero-vad", threshold=0.5),
                "log_mel": _backend(
                    "styletts2-log-mel", rate_hz=24_000, filter_bank_rate_hz=16_000, mel_bands=80
                ),
                "f0": _backend("boersma-autocorrelation", floor_hz=60.0),
            },
            sound_seconds=seconds,
            speech_seconds=3.0 * len(starts),
            speech_intervals=tuple(
                SpeechInterval(start_seconds=float(s), end_seconds=float(s) + 3) for s in starts
            )[:2000],
            utterances=tuple(
                Utterance(
                    start_seconds=float(s),
                    end_seconds=float(s) + 3,
                    speech_seconds=2.8,
                    transcript=SAID[n % len(SAID)],
                    language="en",
                )
                for n, s in enumerate(starts)
            ),
            loudness=Loudness(integrated_lufs=-21.4, range_lu=6.2, true_peak_dbfs=-3.1),
            clipped_fraction=0.0,
            signal_to_noise_db=17.0,
            bandwidth_hz=10_900.0,
            f0_median_hz=188.0,
            f0_range_semitones=8.3,
            speakers=1,
            second_speaker_seconds=0.0,
            language="en",
        ),
        embedding=None,
        plots={
            "waveform": np.stack([-level, level * 0.9]).astype(np.float32),
            "log_mel": log_mel,
            "f0_hz": f0.astype(np.float32),
            "bin_seconds": np.array([step]),
        },
    )


def measured_face(seconds: float) -> MeasuredFace:
    """The portrait inside scikit-image's wheel in changing light, nodding; 3 s without a face."""
    frames = int(seconds * 25)
    count = min(frames, MOST_BINS)
    time = np.arange(count) * seconds / count
    unseen_seconds = min(3.0, seconds / 4)
    gap = Gap(start_seconds=0.4 * seconds, end_seconds=0.4 * seconds + unseen_seconds)
    unseen = (time >= gap.start_seconds) & (time < gap.end_seconds)
    pose = np.stack(
        [22 * np.sin(0.5 * time), 9 * np.sin(1.3 * time) - 4, 5 * np.cos(0.9 * time)], axis=1
    )
    pose[unseen] = np.nan
    mouth = np.where((time % 4) < 3, 0.28 * np.abs(np.sin(2 * np.pi * 2.1 * time)), 0.02)
    mouth[unseen] = np.nan
    at = np.linspace(0.02 * seconds, 0.98 * seconds, 16)
    at = at[(at < gap.start_seconds) | (at >= gap.end_seconds)]
    return MeasuredFace(
        measurements=FaceMeasurements(
            backends={
                "detector": _backend("yunet", score=0.6),
                "mesh": _backend("mediapipe-face-mesh", points=468),
                "identity": _backend("dlib-resnet", distance=0.53),
            },
            frames=frames,
            frames_with_face=int(frames * (1 - unseen_seconds / seconds)),
            picture_seconds=seconds,
            faces=1,
            main_track=0,
            second_face_seconds=0.0,
            shots=1,
            gaps=(gap,),
            frontal_fraction=0.93,
            face_height_pixels=231.0,
            sharpness=142.0,
            exposure=0.47,
            yaw_degrees_range=(-21.0, 21.5),
            pitch_degrees_range=(-12.0, 4.6),
        ),
        embedding=None,
        portraits=np.stack([_portrait(256, light) for light in (1.0, 0.9, 1.08, 0.8, 0.7)]),
        plots={
            "strip": np.stack([_portrait(96, 0.7 + 0.03 * n) for n in range(len(at))]),
            "strip_seconds": at,
            "strip_quality": np.linspace(0.55, 0.97, len(at)).astype(np.float32),
            "pose": pose.astype(np.float32),
            "mouth_opening": mouth.astype(np.float32),
            "pose_seconds": time,
        },
    )


def _portrait(pixels: int, light: float) -> Picture:
    import cv2

    face = cv2.resize(_astronaut(), (pixels, pixels), interpolation=cv2.INTER_AREA)
    return np.clip(face * light, 0, 255).astype(np.uint8)


@cache
def _astronaut() -> Picture:
    import cv2
    import skimage

    whole = cv2.imread(str(Path(skimage.__file__).parent / "data" / "astronaut.png"))
    assert whole is not None
    return whole[0:256, 96:352].astype(np.uint8)


def _backend(name: str, **parameters: float | int | str | bool) -> Backend:
    return Backend(name=name, version="1", weights_sha256="5f" * 32, parameters=parameters)


def _media(seconds: float) -> MediaFacts:
    return MediaFacts(
        container="mov,mp4,m4a,3gp,3g2,mj2",
        size_bytes=14_337_902,
        claimed_seconds=seconds,
        sound=SoundFacts(
            codec="aac", sample_rate_hz=48_000, channels=2, start_seconds=0, track=0, tracks=2
        ),
        picture=PictureFacts(
            codec="hevc",
            width_pixels=1080,
            height_pixels=1920,
            rotation_degrees=90,
            frame_rate_hz=25,
            bit_depth=10,
            high_dynamic_range=True,
            start_seconds=0,
            track=0,
            tracks=1,
        ),
    )


def _decoded(seconds: float) -> DecodeSummary:
    return DecodeSummary(
        sound_seconds=seconds,
        sound_start_seconds=0.0,
        picture_seconds=seconds,
        picture_start_seconds=0.0,
        frames=int(seconds * 25),
        variable_frame_rate=False,
        loudness=None,
        damaged=False,
        silence_filled_seconds=0.0,
    )


def _verdicts() -> tuple[Verdict, ...]:
    def verdict(code: str, level: Level, purpose: Purpose, english: str, chinese: str) -> Verdict:
        return Verdict(code=code, level=level, purpose=purpose, english=english, chinese=chinese)

    return (
        verdict(
            "speech_suffices",
            Level.GOOD,
            Purpose.VOICE_CLONING,
            "36 s of clean speech of one voice suffice to clone it.",
            "36 秒一个人的清晰语音足以克隆该声音。",
        ),
        verdict(
            "noisy",
            Level.ADVICE,
            Purpose.VOICE_CLONING,
            "Speech stands only 17 dB above the noise: record in a quiet room, closer to the "
            "microphone.",
            "语音仅比噪声高 17 分贝：请在安静的房间里、靠近麦克风录制。",
        ),
        verdict(
            "face_too_short",
            Level.INSUFFICIENT,
            Purpose.DIGITAL_HUMAN,
            "The face is seen for 8.1 s; a talking head needs at least 10 s. Record about 2 "
            "minutes.",
            "人脸只出现了 8.1 秒；制作数字人至少需要 10 秒。请录制约 2 分钟。",
        ),
        verdict(
            "face_larger",
            Level.ADVICE,
            Purpose.DIGITAL_HUMAN,
            "The face is 231 pixels high; from 256 on skin and teeth come out sharp. Come closer, "
            "or record at a higher resolution.",
            "人脸高度为 231 像素；达到 256 像素时皮肤和牙齿才清晰。请靠近镜头，或提高录制分辨率。",
        ),
    )


def _consent() -> tuple[ConsentLine, ...]:
    return (
        ConsentLine(Purpose.VOICE_CLONING, True, RECEIVED, "self", "declared"),
        ConsentLine(
            Purpose.DIGITAL_HUMAN, True, RECEIVED, "self", "document", policy_version="2025-11-11"
        ),
        ConsentLine(
            Purpose.MODEL_IMPROVEMENT,
            False,
            RECEIVED,
            "self",
            "declared",
            ("The person withdrew consent for this purpose.",),
            ("本人已撤回对这一用途的同意。",),
        ),
    )


def _lineage() -> tuple[LineageLine, ...]:
    def line(kind: str, count: int, size: int, expires_at: datetime | None = None) -> LineageLine:
        about, comes_from = kind_named(kind).about, kind_named(kind).comes_from
        return LineageLine(kind, about, count, size, comes_from, expires_at)

    return (
        line("voice_segment", 9, 2_900_000),
        line("voice_profile", 1, 1_620),
        line("face_segment", 12, 71_000_000),
        line("face_profile", 1, 990_000),
        line("measurements", 1, 1_480_000),
        line("original", 1, 14_337_902, RECEIVED + timedelta(days=30)),
    )
