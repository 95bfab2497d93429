from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.voice.clipping import ClippingMeter


def _fraction(samples: np.ndarray, cuts: list[int] | None = None) -> float:
    meter = ClippingMeter(samples.shape[1])
    for part in np.split(samples, sorted(cuts or [])):
        meter.push(part)
    return meter.fraction


def test_a_sine_driven_over_full_scale_is_clipped_by_the_share_of_its_flat_tops() -> None:
    sine = np.sin(2 * np.pi * 100 * np.arange(48_000) / 48_000)
    clipped = np.clip(2 * sine, -1, 1).astype(np.float32)[:, None]
    share = 1 - 2 / np.pi * np.arcsin(0.5)
    assert _fraction(clipped) == pytest.approx(share, abs=0.01)


def test_single_peaks_at_full_scale_are_not_clipping() -> None:
    samples = np.zeros((1000, 1), np.float32)
    samples[::10] = 1.0
    samples[1::10] = -1.0
    assert _fraction(samples) == 0.0


def test_one_clipped_channel_of_two_counts_half() -> None:
    samples = np.stack([np.ones(300), np.zeros(300)], axis=1).astype(np.float32)
    assert _fraction(samples) == 0.5


def test_no_samples_are_not_clipped() -> None:
    assert ClippingMeter(2).fraction == 0.0


@given(
    flags=st.lists(st.sampled_from([0.0, 0.5, 1.0, -1.0]), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=12),
)
def test_how_the_sound_is_cut_does_not_matter(flags: list[float], cuts: list[int]) -> None:
    samples = np.array(flags, np.float32)[:, None]
    runs = "".join("1" if abs(value) >= 0.9999 else "0" for value in flags).split("0")
    expected = sum(len(run) for run in runs if len(run) >= 3) / len(flags)
    assert _fraction(samples, cuts) == pytest.approx(expected)
