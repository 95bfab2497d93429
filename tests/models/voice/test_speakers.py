from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.schema.voice import Backend
from models.voice.samples import Samples
from models.voice.speakers import SpeakerWindows, label_voices
from models.voice.thresholds import SpeakerThresholds

from .conftest import Recording, Run

THRESHOLDS = SpeakerThresholds(
    same_voice_in_few_windows=0.8,
    same_voice_in_many_windows=0.84,
    same_voice_in_turns=0.78,
    same_voice_across_uploads=0.75,
)


def _cloud(centre: int, count: int, seed: int, spread: float = 0.03) -> NDArray[np.float32]:
    points = np.random.default_rng(seed).standard_normal((count, 64)) * spread
    points[:, centre] += 1
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_well_separated_voices_are_counted_and_the_most_frequent_comes_first() -> None:
    windows = np.concatenate([_cloud(0, 10, 1), _cloud(1, 30, 2), _cloud(2, 6, 3)])
    labels = label_voices(windows, thresholds=THRESHOLDS, least_windows=4)
    assert labels.tolist() == [1] * 10 + [0] * 30 + [2] * 6


def test_one_cloud_is_one_voice() -> None:
    for count in (1, 2, 8, 100):
        labels = label_voices(_cloud(0, count, count), thresholds=THRESHOLDS, least_windows=4)
        assert not labels.any()


def test_a_few_strange_windows_are_not_a_second_voice() -> None:
    windows = np.concatenate([_cloud(0, 30, 1), _cloud(1, 3, 2)])
    assert not label_voices(windows, thresholds=THRESHOLDS, least_windows=4).any()


def test_mixed_windows_between_turns_do_not_hide_two_voices() -> None:
    turns = []
    for turn in range(8):
        pure = _cloud(turn % 2, 3, turn)
        mixed = _cloud(0, 2, 50 + turn) + _cloud(1, 2, 80 + turn)
        mixed += 1.2 * pure[:2]
        turns += [pure, mixed / np.linalg.norm(mixed, axis=1, keepdims=True)]
    common = np.zeros(64, np.float32)
    common[5] = 1.1  # what the voices share
    windows = np.concatenate(turns) + common
    windows /= np.linalg.norm(windows, axis=1, keepdims=True)
    assert label_voices(windows, thresholds=THRESHOLDS, least_windows=4).max() == 1


class _CountingEncoder:
    """A window is the mean of its second of sound: enough to follow the thinning."""

    backend = Backend(name="counting", version="1", weights_sha256=None, parameters={})

    def windows(self, speech: Samples, step_seconds: float) -> NDArray[np.float32]:
        starts = np.arange(0, len(speech), round(step_seconds * 16_000))
        return speech[starts][:, None]

    def embed(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        angle = windows[:, 0]
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_what_is_kept_does_not_grow_and_stays_even_over_the_recording() -> None:
    kept = SpeakerWindows(_CountingEncoder(), step_seconds=0.8, most_windows=100)
    for minute in range(60):
        kept.add(np.full(60 * 16_000, 0.0 if minute < 45 else 1.5, np.float32))
    speakers = kept.separate(thresholds=THRESHOLDS, least_windows=4)
    assert speakers.count == 2
    assert speakers.first_share == pytest.approx(0.75, abs=0.05)


def test_no_speech_is_nobody() -> None:
    kept = SpeakerWindows(_CountingEncoder(), step_seconds=0.8, most_windows=100)
    kept.add(np.zeros(0, np.float32))
    assert kept.separate(thresholds=THRESHOLDS, least_windows=4).count == 0


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize("speaker", ["ls1688", "ls1998", "ls2033", "ls2609", "ls3005", "ls3331"])
def test_a_single_speaker_is_not_split(recording: Recording, extract: Run, speaker: str) -> None:
    _, measured = extract(recording(f"voices/{speaker}/*", most=3), 16_000)
    assert measured.measurements.speakers == 1
    assert measured.measurements.second_speaker_seconds == 0


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize(
    ("first", "second"),
    [("103-", "125-"), ("125-", "1116-"), ("1263-", "1098-"), ("103-", "1116-")],
)
def test_two_joined_speakers_are_told_apart(
    recording: Recording, extract: Run, first: str, second: str
) -> None:
    sounds = [recording(f"voices_many/{name}*", most=1) for name in (first, second)]
    numbers = extract(np.concatenate(sounds), 16_000)[1].measurements
    assert numbers.speakers == 2
    share = min(map(len, sounds)) / sum(map(len, sounds))
    assert numbers.second_speaker_seconds / numbers.speech_seconds == pytest.approx(share, abs=0.2)


@pytest.mark.media
@pytest.mark.weights
def test_a_conversation_in_short_turns_has_two_voices(recording: Recording, extract: Run) -> None:
    one = recording("voices/ls1688/*", most=2)
    two = recording("voices/ls2033/*", most=3)
    turn = int(2.6 * 16_000)
    turns = [
        part
        for first in range(0, 7 * turn, turn)
        for part in (one[first : first + turn], two[first : first + turn])
    ]
    assert extract(np.concatenate(turns), 16_000)[1].measurements.speakers == 2


def test_each_stretch_of_speech_is_known_by_whose_it_is() -> None:
    def said(*angles: float) -> Samples:
        return np.repeat(np.array(angles, np.float32), 16_000)

    windows = SpeakerWindows(_CountingEncoder(), step_seconds=1.0, most_windows=100)
    for stretch in ([0.0] * 6, [1.5] * 5, [0.0, 1.5, 0.0], [0.0] * 4):
        windows.add(said(*stretch))
    heard = windows.separate(thresholds=THRESHOLDS, least_windows=4)
    assert (heard.count, heard.of_stretch) == (2, (0, 1, None, 0))


def test_thinned_windows_stay_with_their_stretches() -> None:
    windows = SpeakerWindows(_CountingEncoder(), step_seconds=1.0, most_windows=20)
    for turn in range(12):
        windows.add(np.full(6 * 16_000, 1.5 * (turn % 2), np.float32))
    heard = windows.separate(thresholds=THRESHOLDS, least_windows=2)
    assert heard.of_stretch == tuple(turn % 2 for turn in range(12))
