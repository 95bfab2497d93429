from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.voice.samples import Mono, RecentSamples, Resampler, finite


def test_nan_and_infinity_become_silence() -> None:
    samples = np.array([[0.5], [np.nan], [np.inf], [-np.inf], [3e38]], np.float32)
    assert finite(samples)[:, 0].tolist() == [0.5, 0, 0, 0, 8.0]


def test_one_silent_channel_does_not_silence_the_other() -> None:
    tone = np.sin(np.arange(1000) / 5).astype(np.float32)
    assert np.abs(Mono().push(np.stack([tone, 0 * tone], axis=1))).max() > 0.4


def test_channels_in_antiphase_are_not_cancelled() -> None:
    tone = np.sin(np.arange(1000) / 5).astype(np.float32)
    mono = Mono()
    mono.push(np.zeros((100, 2), np.float32))
    assert np.abs(mono.push(np.stack([tone, -0.9 * tone], axis=1))).max() == pytest.approx(1, 0.01)


def test_speech_in_the_centre_of_surround_sound_stays() -> None:
    surround = np.zeros((1000, 6), np.float32)
    surround[:, 2] = 0.6
    assert Mono().push(surround)[0] == pytest.approx(0.2)


@settings(deadline=None, max_examples=25)
@given(
    rate=st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000]),
    pieces=st.lists(st.integers(0, 20_000), max_size=6),
)
def test_resampling_does_not_depend_on_the_pieces(rate: int, pieces: list[int]) -> None:
    sound = np.sin(2 * np.pi * 440 * np.arange(rate // 4) / rate).astype(np.float32)
    stream = Resampler(rate, 16_000)
    parts = [stream.push(part) for part in np.split(sound, np.cumsum(pieces))]
    parts.append(stream.push(np.zeros(0, np.float32), last=True))
    whole = Resampler(rate, 16_000).push(sound, last=True)
    joined = np.concatenate(parts)
    assert len(joined) == pytest.approx(4_000, abs=1)
    np.testing.assert_allclose(joined, whole[: len(joined)], atol=1e-5)
    expected = np.sin(2 * np.pi * 440 * np.arange(4_000) / 16_000)
    np.testing.assert_allclose(joined[500:3500], expected[500:3500], atol=0.01)


@given(
    lengths=st.lists(st.integers(0, 50), min_size=1, max_size=8),
    forgotten=st.integers(0, 100),
    first=st.integers(0, 200),
    length=st.integers(0, 100),
)
def test_recent_samples_are_found_by_their_position(
    lengths: list[int], forgotten: int, first: int, length: int
) -> None:
    sound = np.arange(sum(lengths), dtype=np.float32)
    recent = RecentSamples()
    for part in np.split(sound, np.cumsum(lengths)):
        recent.push(part)
    recent.forget_before(forgotten)
    start = max(first, min(forgotten, len(sound)))
    expected = sound[start : max(start, first + length)]
    assert recent.between(first, first + length).tolist() == expected.tolist()
    assert recent.end == len(sound)
