from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.voice.activity import ActivityDetector, SpeechTracker

from .conftest import Recording, Samples


def _probabilities(samples: Samples, pieces: int = 8_000) -> np.ndarray:
    detector = ActivityDetector()
    parts = [detector.push(samples[i : i + pieces]) for i in range(0, len(samples), pieces)]
    return np.concatenate([*parts, detector.finish()])


@pytest.mark.weights
@pytest.mark.media
def test_probabilities_do_not_depend_on_the_pieces(recording: Recording) -> None:
    sound = recording("voices/ls1688/*0003.flac")
    np.testing.assert_allclose(
        _probabilities(sound, 777), _probabilities(sound, len(sound)), atol=1e-5
    )


@pytest.mark.weights
@pytest.mark.media
def test_frame_by_frame_export_of_the_same_network_agrees(
    recording: Recording, media: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(media / "weights" / "silero_vad_16k_op15.onnx"))
    sound = recording("voices/ls1688/*0003.flac")
    state = np.zeros((2, 1, 128), np.float32)
    context = np.zeros(64, np.float32)
    expected = []
    for first in range(0, len(sound) - 511, 512):
        frame = sound[first : first + 512]
        out, state = session.run(
            None,
            {
                "input": np.concatenate([context, frame])[None],
                "state": state,
                "sr": np.array(16_000, np.int64),
            },
        )
        context = frame[-64:]
        expected.append(float(out[0, 0]))
    found = _probabilities(sound)[: len(expected)]
    assert np.abs(found - expected).mean() < 0.02
    assert ((found >= 0.5) == (np.array(expected) >= 0.5)).mean() > 0.98


@pytest.mark.weights
def test_noise_tones_and_silence_are_not_speech() -> None:
    time = np.arange(16_000 * 4) / 16_000
    noise = np.random.default_rng(0).standard_normal(len(time)) * 0.05
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    for sound in (noise, tone, np.zeros(len(time))):
        tracker = SpeechTracker(0.5, 12)
        found = tracker.push(_probabilities(sound.astype(np.float32)))
        assert found + tracker.finish(len(time)) == []


def _package_rule(probabilities: list[float], samples: int) -> list[tuple[int, int]]:
    """`get_speech_timestamps_from_probs` of silero-vad 6.2.3 at its defaults, before padding."""
    found, start, silence = [], None, None
    for index, value in enumerate(probabilities):
        here = 512 * index
        if value >= 0.5:
            silence = None
            if start is None:
                start = here
        elif value < 0.35 and start is not None:
            silence = here if silence is None else silence
            if here - silence >= 1600:
                if silence - start > 4000:
                    found.append((start, silence))
                start = silence = None
    if start is not None and samples - start > 4000:
        found.append((start, samples))
    return found


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.95]), st.integers(1, 12)), max_size=25
    )
)
def test_intervals_follow_the_packages_rule(runs: list[tuple[float, int]]) -> None:
    probabilities = [value for value, count in runs for _ in range(count)]
    samples = 512 * len(probabilities)
    tracker = SpeechTracker(0.5, 1e6)
    found = tracker.push(np.array(probabilities, np.float32)) + tracker.finish(samples)
    expected = [
        (max(0, start - 480), end if end == samples else end + 480)
        for start, end in _package_rule(probabilities, samples)
    ]
    assert found == expected


def test_endless_speech_is_cut_where_it_is_least_certain() -> None:
    probabilities = np.full(2_000, 0.9, np.float32)
    probabilities[150::250] = 0.55
    tracker = SpeechTracker(0.5, 12)
    found = tracker.push(probabilities) + tracker.finish(2_000 * 512)
    assert all(end - start <= 12 * 16_000 for start, end in found)
    assert all(one[1] == two[0] for one, two in pairwise(found))
    assert found[0][1] == 150 * 512 + 256
