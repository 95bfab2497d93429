"""What is said, and when.

Whisper base (https://github.com/openai/whisper, MIT; A. Radford et al. 2022, "Robust speech
recognition via large-scale weak supervision") by faster-whisper, from the local folder of weights.
It is only given speech: on silence and music it invents words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.schema.errors import BadUsage
from models.schema.voice import Backend
from models.voice.samples import Samples
from models.weights import digest, locate

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

RATE_HZ = 16_000
WINDOW_SECONDS = 28.0
"""Whisper reads 30 s at a time whatever is in it; 2 s are left for its own end."""
_WEIGHTS = "whisper-base"
_LOG_PROBABILITY_LEAST = -1.0
_COMPRESSION_MOST = 2.4
_NO_SPEECH_MOST = 0.6
"""Whisper's own thresholds (`whisper/transcribe.py`)."""
_DOUBTFUL_LOG_PROBABILITY = -0.7
"""With a no-speech probability above 0.6: what it says on silence ("you") lies at -0.77."""
_TOKENS_PER_SECOND_MOST = 12
"""Fast speech has about 7 syllables a second; a loop has hundreds of tokens."""
_SIMPLIFIED_CHINESE = "以下是普通话的句子。"
"""Makes Whisper write simplified characters (openai/whisper discussion 277)."""


@dataclass(frozen=True)
class Word:
    """A word as recognised, its leading space included, in seconds of the samples given."""

    start_seconds: float
    end_seconds: float
    text: str


@dataclass(frozen=True)
class Recognition:
    """What was recognised in one stretch of sound; no words where there was nothing certain."""

    language: str | None
    words: tuple[Word, ...]
    certain: bool
    """False when much of it was thrown away as unlikely."""


class Recogniser(Protocol):
    """Turns speech into words."""

    @property
    def backend(self) -> Backend:
        """What recognises."""

    def detect_language(self, speech: Samples, languages: Sequence[str]) -> str:
        """ISO 639-1 code of what is spoken in (n,) at 16 kHz; `languages` are expected."""

    def recognise(self, speech: Samples, language: str) -> Recognition:
        """The words in at most 28 s of speech, (n,) at 16 kHz."""


def load_recogniser(name: str) -> Recogniser:
    """The recogniser called `name`, loaded once a process; raises BadUsage, WeightsMissing."""
    if name == "whisper-base":
        return _whisper()
    raise BadUsage(f"'{name}' is not a recogniser.", remedy="Set the recogniser to 'whisper-base'.")


class Whisper:
    """Whisper base: int8 on a CPU, float16 on CUDA."""

    def __init__(self) -> None:
        from ctranslate2 import get_cuda_device_count  # type: ignore[import-untyped]
        from faster_whisper import WhisperModel

        device = "cuda" if get_cuda_device_count() else "cpu"
        precision = "float16" if device == "cuda" else "int8"
        self._model: WhisperModel = WhisperModel(
            str(locate(_WEIGHTS)),
            device=device,
            compute_type=precision,
            cpu_threads=len(os.sched_getaffinity(0)),
            local_files_only=True,
        )
        self.backend = Backend(
            name="whisper-base",
            version="faster-whisper 1.2",
            weights_sha256=digest(_WEIGHTS),
            parameters={"beam_size": 1, "temperature": 0},
        )

    def detect_language(self, speech: Samples, languages: Sequence[str]) -> str:
        """See `Recogniser`. An expected language is preferred to an unsure other one."""
        best, probability, others = self._model.detect_language(speech)
        likely = dict(others)
        expected = max(languages, key=lambda code: likely.get(code, 0.0), default=best)
        unsure = probability < 0.5 and likely.get(expected, 0.0) >= probability / 2
        return expected if unsure else str(best)

    def recognise(self, speech: Samples, language: str) -> Recognition:
        """See `Recogniser`."""
        seconds = len(speech) / RATE_HZ
        segments, _ = self._model.transcribe(
            speech,
            language=language,
            beam_size=1,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
            initial_prompt=_SIMPLIFIED_CHINESE if language == "zh" else None,
            max_new_tokens=min(220, 24 + int(_TOKENS_PER_SECOND_MOST * seconds)),
        )
        found = list(segments)
        kept = [segment for segment in found if _plausible(segment)]
        words = tuple(
            Word(float(word.start), float(word.end), word.word)
            for segment in kept
            for word in segment.words or ()
        )
        certain = len(kept) == len(found) and bool(found)
        return Recognition(language if words else None, words, certain)


@cache
def _whisper() -> Whisper:
    return Whisper()


def _plausible(segment: Any) -> bool:
    doubtful = (
        segment.no_speech_prob > _NO_SPEECH_MOST and segment.avg_logprob < _DOUBTFUL_LOG_PROBABILITY
    )
    return (
        segment.avg_logprob >= _LOG_PROBABILITY_LEAST
        and segment.compression_ratio <= _COMPRESSION_MOST
        and not doubtful
        and _SIMPLIFIED_CHINESE.rstrip("。") not in segment.text
    )


def spoken(words: Iterable[Word], intervals: Sequence[tuple[float, float]]) -> list[Word]:
    """The words whose middle lies in or near (0.3 s) an interval of speech."""
    near = 0.3
    return [
        word
        for word in words
        if any(
            start - near <= (word.start_seconds + word.end_seconds) / 2 <= end + near
            for start, end in intervals
        )
    ]


def text_of(words: Iterable[Word]) -> str | None:
    """The words as a line of text; None where there is nothing but punctuation."""
    text = re.sub(r"\s+", " ", "".join(word.text for word in words)).strip()
    return text if re.search(r"\w", text) else None


@dataclass(frozen=True)
class Placed:
    """An utterance's sound inside a window for the recogniser."""

    speech: Samples
    intervals: tuple[tuple[float, float], ...]
    """Speech, in seconds from the start of `speech`."""


def recognise_utterances(
    recogniser: Recogniser,
    utterances: Sequence[Placed],
    language: str | None,
    languages: Sequence[str],
) -> tuple[str | None, list[list[Word]]]:
    """The words of each utterance, with times from its own start, and the language.

    The utterances, at most 28 s together, are read in one window with 0.3 s between them. The
    language is detected when it is not known yet, and again when the reading is doubtful. Where it
    is none of `languages` there are no words.
    """
    gap = np.zeros(int(0.3 * RATE_HZ), np.float32)
    parts: list[Samples] = []
    starts: list[float] = []
    position = 0
    for utterance in utterances:
        starts.append(position / RATE_HZ)
        parts += [utterance.speech, gap]
        position += len(utterance.speech) + len(gap)
    window = np.concatenate(parts)
    known = language
    if language is None:
        language = recogniser.detect_language(window, languages)
    nothing: list[list[Word]] = [[] for _ in utterances]
    if language not in languages:
        return language, nothing
    result = recogniser.recognise(window, language)
    if known is not None and not result.certain:
        again = recogniser.detect_language(window, languages)
        if again != language:
            language = again
            if language not in languages:
                return language, nothing
            result = recogniser.recognise(window, language)
    placed = nothing
    for word in result.words:
        middle = (word.start_seconds + word.end_seconds) / 2
        index = max(0, int(np.searchsorted(starts, middle, side="right")) - 1)
        start = starts[index]
        placed[index].append(Word(word.start_seconds - start, word.end_seconds - start, word.text))
    return language, [
        spoken(words, utterance.intervals)
        for words, utterance in zip(placed, utterances, strict=True)
    ]
