from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.voice.log_mel import LogMel, filter_bank, log_mel


def _noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


def test_the_filter_bank_is_the_one_of_styletts2() -> None:
    # torchaudio's default is HTK without normalisation at a sample rate of 16 kHz.
    reference = librosa.filters.mel(sr=16_000, n_fft=2048, n_mels=80, htk=True, norm=None)
    np.testing.assert_allclose(filter_bank(), reference, atol=1e-5)


@pytest.mark.parametrize("samples", [1_500, 24_000, 50_001])
def test_the_spectrogram_is_torchs(samples: int) -> None:
    sound = _noise(samples)
    spectrum = torch.stft(
        torch.from_numpy(sound),
        n_fft=2048,
        hop_length=300,
        win_length=1200,
        window=torch.hann_window(1200),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    mel = torch.from_numpy(filter_bank()) @ spectrum.abs().square()
    expected = torch.log(1e-5 + mel).numpy()
    np.testing.assert_allclose(log_mel(sound), expected, atol=2e-3)


@settings(deadline=None, max_examples=40)
@given(
    samples=st.integers(0, 9_000),
    pieces=st.lists(st.integers(0, 4_000), max_size=12),
)
def test_pieces_give_the_spectrogram_of_the_whole(samples: int, pieces: list[int]) -> None:
    sound = _noise(samples, seed=samples)
    stream = LogMel()
    parts = [stream.push(part) for part in np.split(sound, np.cumsum(pieces))]
    parts.append(stream.finish())
    streamed = np.concatenate(parts, axis=1)
    assert streamed.shape == (80, 1 + samples // 300 if samples else 0)
    np.testing.assert_allclose(streamed, log_mel(sound), atol=1e-4)


def test_silence_is_the_floor() -> None:
    np.testing.assert_allclose(log_mel(np.zeros(24_000, np.float32)), np.log(1e-5), atol=1e-5)
