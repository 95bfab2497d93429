from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soxr

from models.face.detection import load_detector
from models.face.settings import FaceSettings
from models.sample import make_sample
from models.sample.portrait import SIZE, Portrait, Pose
from models.sample.speech import read_aloud
from models.schema.errors import ToolMissing
from models.voice.activity import ActivityDetector, SpeechTracker

EXTREMES = (
    Pose(),
    Pose(right=7, yaw=0.115, roll=0.035, nearer=0.012),
    Pose(right=-7, yaw=-0.115, roll=-0.035, nearer=-0.012),
    Pose(down=5, pitch=0.08),
    Pose(down=-4, pitch=-0.07),
)


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return Portrait()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    make_sample(path, speech_seconds=2.0)
    return path


def test_the_film_has_h264_and_aac_of_one_length_at_25_frames_a_second(film: Path) -> None:
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(film)],
        check=True,
        capture_output=True,
    )
    picture, sound = json.loads(probe.stdout)["streams"]
    assert (picture["codec_name"], sound["codec_name"]) == ("h264", "aac")
    assert (picture["width"], picture["height"], picture["r_frame_rate"]) == (SIZE, SIZE, "25/1")
    assert float(picture["duration"]) == pytest.approx(float(sound["duration"]), abs=0.1)


def test_the_same_machine_makes_the_same_film(film: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mp4"
    make_sample(again, speech_seconds=2.0)
    assert again.read_bytes() == film.read_bytes()


@pytest.mark.weights
def test_it_holds_the_speech_it_promises_as_a_voice_activity_detector_counts() -> None:
    speech = read_aloud(45.0)
    heard = soxr.resample(speech.samples, speech.rate, 16_000).astype(np.float32)
    detector, tracker = ActivityDetector(), SpeechTracker(threshold=0.5, longest_seconds=12.0)
    probabilities = np.concatenate([detector.push(heard), detector.finish()])
    intervals = tracker.push(probabilities) + tracker.finish(len(heard))
    seconds = sum(end - start for start, end in intervals) / 16_000
    assert 45.0 <= seconds < 55.0
    assert np.abs(speech.samples).max() < 0.7


def test_one_face_is_found_in_every_pose(portrait: Portrait) -> None:
    detector = load_detector(FaceSettings(detector="hog"))
    for pose in EXTREMES:
        for mouth, eyes_closed in ((0.0, 0.0), (1.0, 1.0)):
            frame = portrait.draw(pose, mouth=mouth, eyes_closed=eyes_closed)
            assert len(detector.detect(frame, 480)) == 1


def test_the_head_moves_and_the_borders_stay(portrait: Portrait) -> None:
    still = portrait.draw(Pose(), mouth=0.0, eyes_closed=0.0)
    for pose in EXTREMES[1:]:
        moved = portrait.draw(pose, mouth=0.0, eyes_closed=0.0)
        for border in (np.s_[:, :8], np.s_[:, -8:], np.s_[-8:, :]):
            assert np.array_equal(moved[border], still[border])
        assert np.abs(moved.astype(int) - still)[100:350, 250:480].mean() > 3


def test_the_mouth_opens_the_more_the_further_and_nothing_above_it_moves(
    portrait: Portrait,
) -> None:
    frames = [
        portrait.draw(Pose(), mouth=mouth, eyes_closed=0.0).astype(int)
        for mouth in (0, 0.3, 0.6, 1)
    ]
    mouth = np.s_[310:345, 345:375]
    dark = [int((frame[mouth].sum(axis=2) < 330).sum()) for frame in frames]
    assert dark == sorted(dark)
    assert dark[-1] > dark[0] + 100
    assert all(np.array_equal(frame[:270], frames[0][:270]) for frame in frames)


def test_without_a_reader_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing) as missing:
        make_sample(tmp_path / "sample.mp4")
    assert "apt-get install" in missing.value.remedy
    assert not (tmp_path / "sample.mp4").exists()
