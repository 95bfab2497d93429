from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.schema.media import Loudness
from models.schema.purposes import Purpose
from models.schema.verdict import Level, Verdict
from models.schema.voice import MeasuredVoice, Utterance, VoiceMeasurements
from models.voice.settings import VoiceSettings
from models.voice.suitability import voice_verdicts

GOOD: dict[str, Any] = {
    "backends": {},
    "sound_seconds": 60.0,
    "speech_seconds": 45.0,
    "speech_intervals": (),
    "utterances": (
        Utterance(
            start_seconds=0, end_seconds=9, speech_seconds=8, transcript="Hello.", language="en"
        ),
    ),
    "loudness": Loudness(integrated_lufs=-20.0, range_lu=5.0, true_peak_dbfs=-3.0),
    "clipped_fraction": 0.0,
    "signal_to_noise_db": 35.0,
    "bandwidth_hz": 8_000.0,
    "f0_median_hz": 120.0,
    "f0_range_semitones": 10.0,
    "speakers": 1,
    "second_speaker_seconds": 0.0,
    "language": "en",
}
EMBEDDING = np.array([1, 0, 0], np.float32)


def _verdicts(
    purposes: tuple[Purpose, ...] = (Purpose.VOICE_CLONING,),
    earlier: tuple[np.ndarray, ...] = (),
    **changes: Any,
) -> dict[str, Verdict]:
    numbers = VoiceMeasurements(**{**GOOD, **changes})
    embedding = EMBEDDING if numbers.utterances else None
    found = voice_verdicts(
        MeasuredVoice(numbers, embedding), purposes, VoiceSettings(), earlier=earlier
    )
    return {verdict.code: verdict for verdict in found}


def test_a_good_recording_suffices_and_nothing_else_is_said() -> None:
    found = _verdicts()
    assert set(found) == {"speech_suffices"}
    assert found["speech_suffices"].level is Level.GOOD


def test_short_speech_says_how_much_is_missing() -> None:
    verdict = _verdicts(speech_seconds=18.4)["speech_too_short"]
    assert verdict.level is Level.INSUFFICIENT
    assert "11.6 s are missing" in verdict.english
    assert "11.6秒" in verdict.chinese


def test_shared_bases_take_short_recordings() -> None:
    assert _verdicts((Purpose.MODEL_IMPROVEMENT,), speech_seconds=8.0) == {}


@pytest.mark.parametrize(
    ("changes", "code", "level"),
    [
        ({"sound_seconds": 0.0, "speech_seconds": 0.0}, "no_sound", Level.INSUFFICIENT),
        ({"speech_seconds": 0.0, "speakers": 0}, "no_speech", Level.INSUFFICIENT),
        ({"speech_seconds": 1.2, "utterances": ()}, "speech_too_short", Level.INSUFFICIENT),
        ({"clipped_fraction": 0.005}, "clipped", Level.ADVICE),
        ({"clipped_fraction": 0.1}, "clipped", Level.INSUFFICIENT),
        ({"signal_to_noise_db": 15.0}, "noisy", Level.ADVICE),
        ({"signal_to_noise_db": 3.0}, "noisy", Level.INSUFFICIENT),
        ({"bandwidth_hz": 3_600.0}, "narrow_bandwidth", Level.INSUFFICIENT),
        ({"bandwidth_hz": 6_000.0}, "narrow_bandwidth", Level.ADVICE),
        (
            {"loudness": Loudness(integrated_lufs=-45, range_lu=1, true_peak_dbfs=-30)},
            "too_quiet",
            Level.ADVICE,
        ),
        (
            {"loudness": Loudness(integrated_lufs=-5, range_lu=1, true_peak_dbfs=0)},
            "too_loud",
            Level.ADVICE,
        ),
        ({"speakers": 2, "second_speaker_seconds": 9.0}, "several_speakers", Level.IDENTIFY),
    ],
)
def test_each_fault_has_its_verdict_in_two_languages(
    changes: dict[str, Any], code: str, level: Level
) -> None:
    verdict = _verdicts(**changes)[code]
    assert verdict.level is level
    assert verdict.english.endswith(".")
    assert verdict.chinese.endswith("。")


def test_what_cannot_be_measured_is_not_held_against_the_recording() -> None:
    assert set(_verdicts(signal_to_noise_db=None, loudness=None)) == {"speech_suffices"}


def test_another_voice_than_before_must_be_identified() -> None:
    other = np.array([0, 1, 0], np.float32)
    same = np.array([0.95, 0.31, 0], np.float32)
    assert _verdicts(earlier=(other,))["voice_mismatch"].level is Level.IDENTIFY
    assert "voice_mismatch" not in _verdicts(earlier=(same, EMBEDDING))


def test_embeddings_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="different backends"):
        _verdicts(earlier=(np.ones(5, np.float32),))


def test_the_gravest_finding_comes_first() -> None:
    found = list(_verdicts(speakers=2, clipped_fraction=0.005, speech_seconds=5.0).values())
    levels = [verdict.level for verdict in found]
    assert levels == [Level.IDENTIFY, Level.INSUFFICIENT, Level.ADVICE]


def test_without_a_voice_purpose_there_are_no_findings() -> None:
    assert _verdicts(()) == {}


def test_a_doubt_that_a_reviewer_settled_is_told_and_does_not_make_it_wait() -> None:
    two = VoiceMeasurements(**{**GOOD, "speakers": 2, "second_speaker_seconds": 9.0})
    stranger = np.array([0, 1, 0], np.float32)
    found = {
        verdict.code: verdict
        for verdict in voice_verdicts(
            MeasuredVoice(two, EMBEDDING),
            (Purpose.VOICE_CLONING,),
            VoiceSettings(),
            earlier=[stranger],
            settled_codes={"several_speakers"},
        )
    }
    assert found["several_speakers"].level is Level.SETTLED
    assert "reviewer decided" in found["several_speakers"].english
    assert found["voice_mismatch"].level is Level.IDENTIFY
    assert (found["voice_mismatch"].measured, found["voice_mismatch"].limit) == (0.0, 0.75)


def test_only_the_main_voice_counts_towards_what_a_clone_needs() -> None:
    found = _verdicts(speech_seconds=45.0, speakers=2, second_speaker_seconds=20.0)
    assert "5.0 s are missing" in found["speech_too_short"].english
