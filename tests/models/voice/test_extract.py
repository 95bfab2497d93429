from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from models.schema.media import Loudness
from models.schema.purposes import Purpose
from models.voice.extract import VoiceExtractor
from models.voice.log_mel import log_mel
from models.voice.settings import VoiceSettings
from models.voice.suitability import voice_verdicts

from .conftest import Recording, Run, pieces_of

pytestmark = pytest.mark.weights


@pytest.mark.media
def test_segments_have_the_shapes_of_the_contract(recording: Recording, extract: Run) -> None:
    sound = recording("voices/ls1688/*", most=3)
    loudness = Loudness(integrated_lufs=-23.0, range_lu=4.0, true_peak_dbfs=-2.0)
    segments, measured = extract(sound, 16_000, loudness=loudness, start_seconds=1.5)
    assert segments
    for segment in segments:
        utterance, tensors = segment.utterance, segment.tensors
        frames = tensors["log_mel"].shape[1]
        length = utterance.end_seconds - utterance.start_seconds
        assert length + 1e-3 >= 3.0 and length <= 12.0 + 1e-3
        assert 0 < utterance.speech_seconds <= length
        assert utterance.start_seconds >= 1.5
        assert frames == pytest.approx(length * 80, abs=2)
        assert tensors["log_mel"].dtype == np.float32
        for name in ("f0_hz", "voicing", "energy"):
            assert tensors[name].shape == (frames,)
            assert tensors[name].dtype == np.float32
        assert tensors["samples"].dtype == np.int16
        assert len(tensors["samples"]) == pytest.approx(frames * 300, abs=300)
        assert tensors["voicing"].min() >= 0 and tensors["voicing"].max() <= 1
        middle = log_mel(tensors["samples"].astype(np.float32) / 32_767)[:, 4 : frames - 5]
        assert np.abs(middle - tensors["log_mel"][:, 4 : frames - 5]).mean() < 0.1
    numbers = measured.measurements
    assert numbers.loudness == loudness
    assert numbers.sound_seconds == pytest.approx(len(sound) / 16_000)
    assert numbers.utterances == tuple(segment.utterance for segment in segments)
    assert set(numbers.backends) == {"activity", "log_mel", "f0", "speaker_embedding"}
    assert numbers.f0_median_hz == pytest.approx(190, abs=25)
    assert measured.embedding is not None
    assert np.linalg.norm(measured.embedding) == pytest.approx(1, abs=1e-5)
    assert measured.plots["waveform"].shape[0] == 2


@pytest.mark.media
def test_the_pieces_do_not_change_what_is_found(recording: Recording, extract: Run) -> None:
    sound = recording("voices/ls2033/*", most=2)
    one, whole = extract(sound, 16_000, piece_samples=len(sound))
    two, cut = extract(sound, 16_000, piece_samples=3_217)
    assert [s.utterance for s in one] == [s.utterance for s in two]
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a.tensors["log_mel"], b.tensors["log_mel"], atol=2e-3)
        np.testing.assert_array_equal(a.tensors["f0_hz"], b.tensors["f0_hz"])
    assert whole.embedding is not None and cut.embedding is not None
    assert float(whole.embedding @ cut.embedding) > 0.9999
    assert whole.measurements.speech_intervals == cut.measurements.speech_intervals


@pytest.mark.media
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 192_000])
def test_other_rates_and_channels_give_the_same_speech(
    recording: Recording, extract: Run, rate_hz: int
) -> None:
    reference = recording("voices/ls1688/*0003.flac")
    sound = recording("voices/ls1688/*0003.flac", rate_hz=rate_hz)
    stereo = np.stack([sound, sound], axis=1)
    _, expected = extract(reference, 16_000)
    _, found = extract(stereo, rate_hz)
    assert found.measurements.speech_seconds == pytest.approx(
        expected.measurements.speech_seconds, abs=0.4
    )
    assert found.measurements.f0_median_hz == pytest.approx(
        expected.measurements.f0_median_hz or 0, rel=0.05
    )


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.5, 8.0])
def test_sound_without_speech_yields_nothing_and_says_so(extract: Run, seconds: float) -> None:
    samples = np.zeros(int(seconds * 48_000), np.float32)
    segments, measured = extract(samples, 48_000, transcript="Words nobody said.")
    assert segments == []
    assert measured.embedding is None
    numbers = measured.measurements
    assert numbers.speakers == 0
    assert numbers.speech_seconds == 0
    assert numbers.utterances == ()
    assert numbers.signal_to_noise_db is None
    codes = [v.code for v in voice_verdicts(measured, list(Purpose), VoiceSettings())]
    assert set(codes) == ({"no_speech"} if len(samples) else {"no_sound"})


@pytest.mark.media
def test_a_single_word_gives_no_segment_and_no_embedding(
    recording: Recording, extract: Run
) -> None:
    word = recording("voices/ls1688/*0003.flac")[8_000 : 8_000 + 16_000]
    padded = np.concatenate([np.zeros(16_000, np.float32), word, np.zeros(32_000, np.float32)])
    segments, measured = extract(padded, 16_000)
    assert segments == []
    assert measured.embedding is None
    assert 0 < measured.measurements.speech_seconds < 1.6
    codes = {v.code for v in voice_verdicts(measured, [Purpose.VOICE_CLONING], VoiceSettings())}
    assert "speech_too_short" in codes


@pytest.mark.media
def test_broken_samples_are_silence_not_poison(recording: Recording, extract: Run) -> None:
    sound = recording("voices/ls1688/*0003.flac").copy()
    sound[1_000:1_200] = np.nan
    sound[2_000:2_100] = np.inf
    sound[3_000] = 3e38
    segments, measured = extract(sound, 16_000)
    assert segments
    for segment in segments:
        assert all(np.isfinite(tensor).all() for tensor in segment.tensors.values())
    assert measured.embedding is not None and np.isfinite(measured.embedding).all()
    assert all(np.isfinite(plot).all() for plot in measured.plots.values())


@pytest.mark.media
def test_memory_does_not_grow_with_the_recording(recording: Recording) -> None:
    sound = recording("voices/ls2609/*0001.flac")

    def peak(repeats: int) -> int:
        extractor = VoiceExtractor(16_000, 1, VoiceSettings(transcribe=False, most_windows=20))
        tracemalloc.start()
        try:
            for _ in range(repeats):
                for piece in pieces_of(sound, 16_000):
                    for _segment in extractor.push(piece):
                        pass
            for _segment in extractor.finish(None):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(15) < peak(5) + 2_000_000


@pytest.mark.media
def test_a_given_transcript_without_a_recogniser_is_spread_over_the_utterances(
    recording: Recording, extract: Run
) -> None:
    text = "There is iron in all our blood, a grain is good. But his has too much of steel."
    segments, measured = extract(recording("voices/ls1688/*0000.flac"), 16_000, transcript=text)
    parts = [segment.utterance.transcript for segment in segments]
    assert " ".join(part for part in parts if part) == text
    assert measured.measurements.language is None
