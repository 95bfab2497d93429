"""Plots are where the numbers say, and nothing is drawn where nothing was measured."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from flows.report.content import ReportContent
from flows.report.drawing.paths import broken_line, filled_between, runs, summarised
from flows.report.drawing.pictures import face_strip, spread
from flows.report.drawing.spectrogram import spectrogram
from flows.report.drawing.time_axis import TimeAxis
from flows.report.drawing.tracks import face_tracks
from flows.report.drawing.waveform import waveform
from models.schema.face import Gap, MeasuredFace
from models.schema.voice import MeasuredVoice

LAW = settings(deadline=None, max_examples=40)
CENTRES = st.lists(st.floats(0, 100), max_size=16).map(sorted)


@pytest.fixture
def voice(talking_head: Any) -> MeasuredVoice:
    content: ReportContent = talking_head()
    assert content.voice is not None
    return content.voice


@pytest.fixture
def face(talking_head: Any) -> MeasuredFace:
    content: ReportContent = talking_head()
    assert content.face is not None
    return content.face


@LAW
@given(stn.arrays(np.bool_, st.integers(0, 40)))
def test_runs_are_the_true_stretches(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
    again = np.zeros_like(mask)
    for first, last in runs(mask):
        assert mask[first:last].all()
        again[first:last] = True
    assert (again == mask).all()


@LAW
@given(stn.arrays(np.float64, st.integers(0, 40), elements=st.floats(allow_infinity=True)))
def test_a_line_breaks_where_there_is_no_number(y: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    line = broken_line(np.arange(len(y), dtype=float), y)
    assert line.count("M") == len(runs(np.isfinite(y)))
    assert "nan" not in line and "inf" not in line


def test_a_shape_breaks_where_there_is_no_number() -> None:
    y = np.array([1.0, np.nan, 2.0])
    assert filled_between(np.arange(3.0), y, np.zeros(3)).count("z") == 2


@LAW
@given(stn.arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 100)))
def test_a_summary_lies_within_what_it_summarises(y: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    summary = summarised(np.linspace(0, 1000, len(y)), y)
    there = np.isfinite(summary.median)
    assert there.any()
    assert (summary.low[there] <= summary.median[there] + 1e-9).all()
    assert (summary.median[there] <= summary.high[there] + 1e-9).all()
    assert summary.low[there].min() >= y.min() - 1e-9
    assert summary.high[there].max() <= y.max() + 1e-9


@LAW
@given(CENTRES)
def test_faces_stay_in_order_on_the_plot_and_do_not_overlap(centres: list[float]) -> None:
    places = spread(centres, 6.25)
    assert all(3.125 - 1e-6 <= place <= 96.875 + 1e-6 for place in places)
    steps = np.diff(places)
    assert (steps >= 6.25 - 1e-6).all()


def test_faces_that_have_room_stand_exactly_at_their_time() -> None:
    assert spread([10.0, 40.0, 80.0], 6.25) == pytest.approx([10.0, 40.0, 80.0])


def test_the_strip_shows_each_face_at_its_time_with_its_quality(face: MeasuredFace) -> None:
    strip = face_strip(face, TimeAxis(0, 48), most=16)
    assert strip is not None
    assert [shown.seconds for shown in strip.faces] == pytest.approx(face.plots["strip_seconds"])
    assert [shown.quality for shown in strip.faces] == pytest.approx(face.plots["strip_quality"])
    narrow = face_strip(face, TimeAxis(0, 48), most=6)
    assert narrow is not None and len(narrow.faces) == 6


def test_the_waveform_is_scaled_to_the_recordings_own_peak(voice: MeasuredVoice) -> None:
    quiet = replace(voice, plots=voice.plots | {"waveform": voice.plots["waveform"] * 0.01})
    loud, soft = (waveform(v, TimeAxis(0, 48), 0.0) for v in (voice, quiet))
    assert loud is not None and soft is not None
    assert loud.scale == 0.5
    assert soft.scale == 0.005


def test_silence_is_drawn_as_a_line_not_as_sound(voice: MeasuredVoice) -> None:
    silent = replace(voice, plots=voice.plots | {"waveform": np.zeros((2, 50), np.float32)})
    drawn = waveform(silent, TimeAxis(0, 48), 0.0)
    assert drawn is not None
    heights = {float(y) for y in re.findall(r"[\d.]+", drawn.shape)[1::2]}
    assert heights <= {49.8, 50.2}


def test_sound_that_begins_late_is_drawn_late(voice: MeasuredVoice) -> None:
    axis = TimeAxis(0, 60)
    drawn, picture = waveform(voice, axis, 12.0), spectrogram(voice, axis, 12.0)
    assert drawn is not None and picture is not None
    first = float(drawn.shape[1:].split(" ")[0])
    assert first == pytest.approx(200, abs=1)
    assert (picture.left_percent, picture.width_percent) == pytest.approx((20, 80), abs=0.01)


@pytest.mark.parametrize("hertz", [500, 1000, 2000, 4000, 8000])
def test_a_tone_lies_at_its_label_on_the_frequency_axis(voice: MeasuredVoice, hertz: int) -> None:
    from models.voice.log_mel import log_mel, log_mel_backend

    tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(24_000) / 24_000)
    mel = log_mel(tone.astype(np.float32))
    plot = np.clip((mel - mel.min()) / (mel.max() - mel.min()) * 255, 0, 255).astype(np.uint8)
    facts = voice.measurements.model_copy(update={"backends": {"log_mel": log_mel_backend()}})
    drawn = spectrogram(
        MeasuredVoice(facts, None, voice.plots | {"log_mel": plot}), TimeAxis(0, 1), 0.0
    )
    assert drawn is not None
    content = base64.b64decode(drawn.picture.split(",")[1])
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    brightest = float(picture[:, 40].argmax() + 0.5) / len(picture) * 100
    label = next(level.percent for level in drawn.frequencies if level.hertz == hertz)
    assert brightest == pytest.approx(label, abs=100 / 80)


def test_the_pitch_line_is_broken_where_nothing_is_voiced(voice: MeasuredVoice) -> None:
    f0 = np.array([0, 120, 121, 0, 0, 130, 0], np.float32)
    drawn = spectrogram(replace(voice, plots=voice.plots | {"f0_hz": f0}), TimeAxis(0, 48), 0.0)
    assert drawn is not None and drawn.pitch.count("M") == 2


def test_a_pitch_lies_at_its_label_on_the_pitch_axis(voice: MeasuredVoice) -> None:
    f0 = np.full(3, 150, np.float32)
    drawn = spectrogram(replace(voice, plots=voice.plots | {"f0_hz": f0}), TimeAxis(0, 48), 0.0)
    assert drawn is not None
    label = next(level.percent for level in drawn.pitch_levels if level.hertz == 150)
    assert float(drawn.pitch.split(" ")[1]) == pytest.approx(label, abs=0.1)


def test_gaps_are_shown_and_no_line_crosses_them(face: MeasuredFace) -> None:
    tracks = face_tracks(face, TimeAxis(0, 48), frontal_degrees=25)
    assert tracks is not None
    (gap,) = face.measurements.gaps
    left = gap.start_seconds / 48 * 1000
    assert tracks.gaps.startswith(f"M{left:.2f} ")
    assert [angle.line.count("M") for angle in tracks.angles] == [2, 2, 2]
    assert tracks.mouth.shape.count("M") == 2


def test_a_long_recording_is_drawn_as_medians_with_a_band(talking_head: Any) -> None:
    content: ReportContent = talking_head(7200.0)
    assert content.face is not None
    tracks = face_tracks(content.face, TimeAxis(0, 7200), frontal_degrees=25)
    assert tracks is not None
    assert all(angle.band for angle in tracks.angles)
    assert all(len(angle.line) < 4_000 for angle in tracks.angles)


def test_what_was_never_seen_has_no_line_and_no_number(face: MeasuredFace) -> None:
    plots = face.plots | {
        "pose": np.full_like(face.plots["pose"], np.nan),
        "mouth_opening": np.full_like(face.plots["mouth_opening"], np.nan),
    }
    facts = face.measurements.model_copy(
        update={"gaps": (Gap(start_seconds=0, end_seconds=48),), "faces": 0}
    )
    tracks = face_tracks(
        replace(face, measurements=facts, plots=plots), TimeAxis(0, 48), frontal_degrees=25
    )
    assert tracks is not None
    assert [(angle.line, angle.least) for angle in tracks.angles] == [("", None)] * 3
    assert tracks.mouth.shape == ""
