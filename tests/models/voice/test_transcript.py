from __future__ import annotations

import numpy as np
import pytest

from models.schema.errors import BadUsage
from models.voice.transcript import Word, load_recogniser, spoken, text_of

from .conftest import Recording, Run


def test_words_outside_speech_are_thrown_away() -> None:
    words = [Word(0.5, 0.9, " Hello"), Word(5.0, 5.4, " thanks")]
    assert spoken(words, [(0.4, 2.0)]) == words[:1]
    assert spoken(words, []) == []


def test_words_make_a_line_and_punctuation_alone_is_nothing() -> None:
    assert text_of([Word(0, 1, " Hello,"), Word(1, 2, " world.")]) == "Hello, world."
    assert text_of([Word(0, 1, "你"), Word(1, 2, "好。")]) == "你好。"
    assert text_of([Word(0, 1, " ...")]) is None
    assert text_of([]) is None


def test_an_unknown_recogniser_is_bad_usage() -> None:
    with pytest.raises(BadUsage):
        load_recogniser("nothing")


@pytest.mark.weights
def test_silence_and_noise_have_no_words() -> None:
    recogniser = load_recogniser("whisper-base")
    noise = np.random.default_rng(0).standard_normal(5 * 16_000).astype(np.float32) * 0.01
    assert recogniser.recognise(np.zeros(5 * 16_000, np.float32), "en").words == ()
    assert recogniser.recognise(noise, "en").words == ()


@pytest.mark.weights
@pytest.mark.media
def test_english_utterances_get_their_words(recording: Recording, extract: Run) -> None:
    sound = recording("voices/ls1688/*", most=2)
    segments, measured = extract(sound, 16_000, transcribe=True)
    assert measured.measurements.language == "en"
    text = " ".join(segment.utterance.transcript or "" for segment in segments).lower()
    for word in ("iron", "blood", "grain", "margaret", "guests", "anxiety"):
        assert word in text
    assert "transcript" in measured.measurements.backends


@pytest.mark.weights
@pytest.mark.media
def test_mandarin_is_recognised_as_chinese(recording: Recording, extract: Run) -> None:
    segments, measured = extract(recording("voices_zh/funasr*"), 16_000, transcribe=True)
    assert measured.measurements.language == "zh"
    assert "欢迎大家来体验" in (segments[0].utterance.transcript or "")
    assert segments[0].utterance.language == "zh"


@pytest.mark.weights
@pytest.mark.media
def test_a_given_transcript_replaces_what_was_recognised(
    recording: Recording, extract: Run
) -> None:
    given = (
        "THERE IS IRON, THEY SAY, IN ALL OUR BLOOD, AND A GRAIN OR TWO, PERHAPS, IS GOOD; "
        "BUT HIS, HE MAKES ME HARSHLY FEEL, HAS GOT A LITTLE TOO MUCH OF STEEL."
    )
    sound = recording("voices/ls1688/*0000.flac")
    segments, _ = extract(sound, 16_000, transcribe=True, transcript=given)
    joined = " ".join(segment.utterance.transcript or "" for segment in segments)
    assert joined.startswith("THERE IS IRON, THEY SAY, IN ALL OUR BLOOD")
    assert "TOO MUCH OF STEEL." in joined
    assert len(segments) >= 2
