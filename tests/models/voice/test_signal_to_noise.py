from __future__ import annotations

import numpy as np
import pytest

from models.voice.activity import FRAME_SAMPLES, ActivityDetector
from models.voice.bandwidth import bandwidth_hz
from models.voice.signal_to_noise import HIGHEST_DB, signal_to_noise_db
from models.voice.spectra import ActivitySpectra

from .conftest import Recording, Samples


def spectra_of(sound: Samples, rate_hz: int = 16_000) -> ActivitySpectra:
    """Spectra of a whole recording, its activity detected at 16 kHz."""
    import soxr

    detector = ActivityDetector()
    heard = sound if rate_hz == 16_000 else soxr.resample(sound, rate_hz, 16_000)
    probabilities = np.concatenate([detector.push(heard), detector.finish()])
    spectra = ActivitySpectra(rate_hz)
    spectra.push_samples(sound)
    spectra.push_activity(probabilities, last=True)
    return spectra


def _synthetic(speech_db: float, noise_db: float, block: int) -> ActivitySpectra:
    """Bursts of noise as speech over noise, with the activity given, in blocks of frames."""
    rng = np.random.default_rng(0)
    active = np.repeat(np.arange(40) % 2 == 0, 10)
    envelope = np.repeat(active, FRAME_SAMPLES)
    sound = rng.standard_normal(len(envelope)) * 10 ** (noise_db / 20)
    sound += rng.standard_normal(len(envelope)) * envelope * 10 ** (speech_db / 20)
    probabilities = active.astype(np.float32)
    spectra = ActivitySpectra(16_000)
    for first in range(0, len(active), block):
        spectra.push_samples(
            sound[first * FRAME_SAMPLES : (first + block) * FRAME_SAMPLES].astype(np.float32)
        )
        spectra.push_activity(probabilities[first : first + block])
    spectra.push_activity(np.zeros(0, np.float32), last=True)
    return spectra


@pytest.mark.parametrize("ratio", [40, 20, 10, 0])
@pytest.mark.parametrize("block", [1, 3, 64, 400])
def test_a_known_ratio_is_measured_whatever_the_pieces(ratio: int, block: int) -> None:
    found = signal_to_noise_db(_synthetic(-20, -20 - ratio, block))
    assert found == pytest.approx(ratio, abs=1)


def test_there_is_no_ratio_without_speech_or_without_pauses() -> None:
    for probability in (0.0, 1.0):
        spectra = ActivitySpectra(16_000)
        spectra.push_samples(np.full(16_000, 0.1, np.float32))
        spectra.push_activity(np.full(31, probability, np.float32), last=True)
        assert signal_to_noise_db(spectra) is None


def test_digital_silence_in_the_pauses_gives_the_highest_ratio() -> None:
    assert signal_to_noise_db(_synthetic(-10, -400, 64)) == HIGHEST_DB


def test_hum_and_offset_below_speech_are_not_noise() -> None:
    spectra = ActivitySpectra(16_000)
    time = np.arange(100 * FRAME_SAMPLES) / 16_000
    active = np.repeat(np.arange(10) % 2 == 0, 10 * FRAME_SAMPLES)
    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal(len(time)) * active + 1e-3 * rng.standard_normal(len(time))
    sound += 0.2 + 0.1 * np.sin(2 * np.pi * 25 * time)
    spectra.push_samples(sound.astype(np.float32))
    spectra.push_activity(np.repeat(np.arange(10) % 2 == 0, 10).astype(np.float32), last=True)
    found = signal_to_noise_db(spectra)
    assert found is not None
    assert found > 35


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize("ratio", [20, 10, 5])
@pytest.mark.parametrize("speaker", ["ls1688", "ls2033", "ls3331"])
def test_real_speech_mixed_with_noise_reads_the_ratio_of_the_mixture(
    recording: Recording, speaker: str, ratio: int
) -> None:
    sound = recording(f"voices/{speaker}/*", most=3)
    clean = spectra_of(sound)
    power = clean.speech_level
    noise = np.random.default_rng(0).standard_normal(len(sound))
    mixed = sound + np.float32(np.sqrt(power * 10 ** (-ratio / 10))) * noise.astype(np.float32)
    found = signal_to_noise_db(spectra_of(mixed))
    assert found is not None
    assert found == pytest.approx(ratio, abs=2)


def test_nobody_speaking_has_no_bandwidth() -> None:
    assert bandwidth_hz(ActivitySpectra(48_000)) == 0.0


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
@pytest.mark.parametrize("speaker", ["ls1688", "ls2609", "ljspeech"])
def test_a_telephone_recording_stays_narrow_at_any_rate(
    recording: Recording, speaker: str, rate_hz: int
) -> None:
    import soxr
    from scipy.signal import butter, sosfilt

    narrow = recording(f"voices/{speaker}/*", most=2, rate_hz=8_000)
    band = butter(6, [300, 3_400], "band", fs=8_000, output="sos")
    companded = sosfilt(band, narrow)
    code = np.sign(companded) * np.log1p(255 * np.abs(companded)) / np.log(256)
    code = np.round(code * 128) / 128  # the 8 bits of G.711
    telephone = np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255
    upsampled = soxr.resample(telephone.astype(np.float32), 8_000, rate_hz)
    rounded = (np.round(upsampled * 32_768) / 32_768).astype(np.float32)
    assert 3_300 <= bandwidth_hz(spectra_of(rounded, rate_hz)) <= 4_000


@pytest.mark.media
@pytest.mark.weights
def test_wideband_speech_at_48_khz_reaches_its_own_bandwidth(recording: Recording) -> None:
    sound = recording("voices/ls1688/*", most=2, rate_hz=48_000)
    assert 7_000 <= bandwidth_hz(spectra_of(sound, 48_000)) <= 8_100
    studio = recording("voices/ljspeech/*.wav", most=2, rate_hz=48_000)
    assert 10_000 <= bandwidth_hz(spectra_of(studio, 48_000)) <= 11_500
