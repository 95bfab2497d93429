"""What a short recording of a statement holds: the words, how many voices, and the voice itself.

The same detector, speaker encoder and recogniser as for uploads, so that the voice can be compared
with theirs. The recogniser is told the language of the sentence and nothing of its words: given
them as a prompt it would write them down whatever was said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.media.pieces import SoundPiece
from models.schema.voice import Backend
from models.voice import log_mel, transcript
from models.voice.extract import VoiceExtractor
from models.voice.samples import Resampler, Samples
from models.voice.settings import VoiceSettings
from models.voice.speaker_embedding import mean_embedding
from models.voice.transcript import load_recogniser, text_of

_LONGEST_SECONDS = 27.0
"""Speech without a pause is cut here, so that a sentence is not cut inside a word."""
_LONGEST_PAUSE_SECONDS = 3.0
"""People stop to read the next word."""
_GAP_SECONDS = 0.3


@dataclass(frozen=True)
class Heard:
    """What was heard. `embedding`: float32 (D,), L2 norm 1, None where there is too little."""

    text: str
    language: str | None
    """ISO 639-1 code of what is spoken; None where nobody speaks."""
    speech_seconds: float
    voices: int
    embedding: NDArray[np.float32] | None
    encoder: Backend
    recogniser: Backend | None
    """None where there was nothing to recognise."""


def hear(
    pieces: Iterable[SoundPiece],
    *,
    sample_rate_hz: int,
    channels: int,
    language: str,
    settings: VoiceSettings,
) -> Heard:
    """Listen to a recording of at most some minutes; `language` is what it should be in.

    Raises WeightsMissing, BadUsage for an unknown backend, and whatever `pieces` raises.
    """
    extractor = VoiceExtractor(sample_rate_hz, channels, _for_a_sentence(settings))
    utterances: list[Samples] = []
    for piece in pieces:
        utterances += [_at_16k(segment.tensors["samples"]) for segment in extractor.push(piece)]
    utterances += [_at_16k(segment.tensors["samples"]) for segment in extractor.finish(None)]
    measured = extractor.measured
    windows = _windows(utterances)
    recogniser = load_recogniser(settings.recogniser) if windows else None
    texts: list[str | None] = []
    detected = None
    if recogniser is not None:
        detected = recogniser.detect_language(windows[0], tuple({language, *settings.languages}))
        texts = [text_of(recogniser.recognise(window, language).words) for window in windows]
    return Heard(
        text=" ".join(filter(None, texts)),
        language=detected,
        speech_seconds=measured.measurements.speech_seconds,
        voices=measured.measurements.speakers,
        embedding=measured.embedding,
        encoder=measured.measurements.backends["speaker_embedding"],
        recogniser=None if recogniser is None else recogniser.backend,
    )


def likeness(embedding: NDArray[np.float32], earlier: list[NDArray[np.float32]]) -> float:
    """Cosine between a voice and the mean of earlier ones by the same backend (invariant 12)."""
    if any(each.shape != embedding.shape for each in earlier):
        raise ValueError("embeddings of different backends are never compared")
    return float(embedding @ mean_embedding(np.stack(earlier)))


def _for_a_sentence(settings: VoiceSettings) -> VoiceSettings:
    return settings.model_copy(
        update={
            "transcribe": False,
            "segment_longest_seconds": _LONGEST_SECONDS,
            "segment_longest_pause_seconds": _LONGEST_PAUSE_SECONDS,
        }
    )


def _at_16k(samples: NDArray[np.generic]) -> Samples:
    sound: Samples = samples.astype(np.float32) / np.float32(32_767)
    return Resampler(log_mel.RATE_HZ, transcript.RATE_HZ).push(sound, last=True)


def _windows(utterances: list[Samples]) -> list[Samples]:
    """The utterances, 0.3 s apart, in as few windows as the recogniser can read."""
    gap = np.zeros(int(_GAP_SECONDS * transcript.RATE_HZ), np.float32)
    most = int(transcript.WINDOW_SECONDS * transcript.RATE_HZ)
    windows: list[list[Samples]] = []
    held = most + 1
    for utterance in utterances:
        length = len(utterance) + len(gap)
        if held + length > most:
            windows.append([])
            held = 0
        windows[-1] += [utterance, gap]
        held += length
    return [np.concatenate(parts) for parts in windows]
