from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from models.voice.pitch import PitchRange, fundamental_frequency

from .conftest import Recording

RATE = 24_000


def _voice(contour_hz: np.ndarray, formants: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Glottal pulses through resonances."""
    phase = np.floor(np.cumsum(contour_hz) / RATE)
    sound = np.concatenate([[0.0], np.diff(phase) > 0]).astype(np.float64)
    for frequency, width in formants:
        radius = np.exp(-np.pi * width / RATE)
        sound = lfilter(
            [1], [1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2], sound
        )
    return 0.05 * sound / np.sqrt(np.mean(sound**2))


@pytest.mark.parametrize("noise_db", [None, 20, 10])
@pytest.mark.parametrize("base_hz", [75, 110, 220, 330])
def test_gliding_pulse_trains_are_followed(base_hz: int, noise_db: int | None) -> None:
    time = np.arange(4 * RATE) / RATE
    contour = base_hz * 2 ** (0.3 * np.sin(2 * np.pi * 0.7 * time))
    sound = _voice(contour, ((600, 80), (1200, 90), (2500, 120)))
    voiced = np.floor(time * 2) % 2 == 0
    sound = sound * voiced
    if noise_db is not None:
        noise = np.random.default_rng(0).standard_normal(len(sound))
        sound = sound + 0.05 * 10 ** (-noise_db / 20) * noise
    truth = np.where(voiced, contour, 0)[::300]
    f0, voicing = fundamental_frequency(sound.astype(np.float32), len(truth))
    both = (f0 > 0) & (truth > 0)
    gross = np.abs(f0[both] / truth[both] - 1) > 0.2
    assert gross.mean() < 0.005
    assert ((f0 > 0) != (truth > 0)).mean() < 0.04
    fine = np.abs(f0[both] / truth[both] - 1)[~gross]
    assert np.median(fine) < 0.01
    assert voicing[truth > 0].mean() > 0.7


@settings(deadline=None, max_examples=20)
@given(hz=st.floats(62, 480), level_db=st.floats(-60, 0))
def test_a_harmonic_tone_is_its_own_pitch_at_any_level(hz: float, level_db: float) -> None:
    time = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6))
    sound = (tone / np.abs(tone).max() * 10 ** (level_db / 20)).astype(np.float32)
    f0, _ = fundamental_frequency(sound, 81)
    assert np.abs(f0[5:-5] / hz - 1).max() < 0.01


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(1).standard_normal(2 * RATE).astype(np.float32) * 0.1
    assert (fundamental_frequency(noise, 161)[0] > 0).mean() < 0.05
    silence, voicing = fundamental_frequency(np.zeros(RATE, np.float32), 81)
    assert not silence.any()
    assert not voicing.any()
    assert fundamental_frequency(np.zeros(0, np.float32), 0)[0].shape == (0,)


@pytest.mark.media
def test_real_voices_agree_with_praat(recording: Recording) -> None:
    parselmouth = pytest.importorskip("parselmouth")
    for pattern in ("voices/ls1688/*0000.flac", "voices/ls2609/*0001.flac"):
        sound = recording(pattern, rate_hz=RATE)
        frames = 1 + len(sound) // 300
        f0, _ = fundamental_frequency(sound, frames)
        pitch = parselmouth.Sound(sound.astype(np.float64), RATE).to_pitch_ac(
            time_step=0.0125, pitch_floor=60, pitch_ceiling=500
        )
        reference = np.nan_to_num([pitch.get_value_at_time(i * 0.0125) for i in range(frames)])
        both = (f0 > 0) & (reference > 0)
        assert both.mean() > 0.3
        assert (np.abs(f0[both] / reference[both] - 1) > 0.2).mean() < 0.03
        assert ((f0 > 0) != (reference > 0)).mean() < 0.12


def test_the_range_is_read_in_semitones() -> None:
    range_ = PitchRange()
    assert range_.median_hz is None
    assert range_.range_semitones is None
    range_.add(np.array([0, 100, 0], np.float32))
    range_.add(np.repeat(np.array([100, 150, 200], np.float32), 100))
    assert range_.median_hz == pytest.approx(150, rel=0.01)
    assert range_.range_semitones == pytest.approx(12, abs=0.2)
