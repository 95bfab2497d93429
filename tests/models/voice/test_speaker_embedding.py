from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest

from models.schema.errors import BadUsage
from models.voice.speaker_embedding import (
    _slaney_filter_bank,
    load_speaker_encoder,
    mean_embedding,
)

from .conftest import Recording


def test_the_mel_filters_are_librosas() -> None:
    reference = librosa.filters.mel(sr=16_000, n_fft=400, n_mels=40)
    np.testing.assert_allclose(_slaney_filter_bank(), reference, atol=1e-6)


def test_an_unknown_encoder_is_bad_usage() -> None:
    with pytest.raises(BadUsage):
        load_speaker_encoder("nothing")


@pytest.mark.weights
@pytest.mark.media
def test_embeddings_equal_the_packages(recording: Recording) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        resemblyzer = pytest.importorskip("resemblyzer")
        package = resemblyzer.VoiceEncoder("cpu", verbose=False)
    encoder = load_speaker_encoder("resemblyzer")
    for pattern, gain in (
        ("voices/ls1688/*0003.flac", 1.0),
        ("voices/ls2609/*0001.flac", 0.1),
        ("voices/ljspeech/*0001.wav", 1.0),
    ):
        speech = recording(pattern) * np.float32(gain)
        raised = resemblyzer.audio.normalize_volume(speech, -30, increase_only=True)
        expected, partials, _ = package.embed_utterance(raised, return_partials=True, rate=1.25)
        ours = encoder.embed(encoder.windows(speech, 0.8))
        assert ours.shape == partials.shape
        assert (ours * partials).sum(axis=1).min() > 0.999
        assert float(mean_embedding(ours) @ expected) > 0.999


@pytest.mark.weights
def test_embeddings_are_unit_vectors_even_of_silence_and_scraps() -> None:
    encoder = load_speaker_encoder("resemblyzer")
    for samples in (1, 1_000, 25_600, 60_000):
        embeddings = encoder.embed(encoder.windows(np.zeros(samples, np.float32), 0.8))
        assert embeddings.shape[1] == 256
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)
