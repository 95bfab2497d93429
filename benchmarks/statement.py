"""How often a spoken statement is wrongly accepted or refused: `python -m benchmarks.statement`.

Nobody recorded our sentences. So each side is measured on what there is:

- words, real speech: a sentence is made of what the person says in a recording, its last six long
  words as the challenge's. What is said is taken from a stronger setting of the same recogniser
  (beam 5, float32), which shares its blind spots: the refusals are optimistic.
- words, read aloud: real challenges, by flite and espeak-ng.
- voice: LibriSpeech. One minute of a speaker is the upload, other utterances answer; impostors are
  168 other speakers.

Prints Markdown tables. The recordings are those of LIKENESS_MEDIA.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.consent.settings import StatementSettings
from models.consent.speech_units import units_of
from models.consent.statement import (
    WORDS,
    Language,
    Sentence,
    compare,
    new_sentence,
)
from models.media.pieces import SoundPiece
from models.schema.purposes import Purpose
from models.voice.settings import VoiceSettings
from models.voice.statement import Heard, hear, likeness
from models.voice.thresholds import speaker_thresholds
from models.weights import locate

Samples = NDArray[np.float32]
SETTINGS, VOICE = StatementSettings(), VoiceSettings()
READERS: tuple[tuple[str, Language, tuple[str, ...]], ...] = (
    ("flite slt", "en", ("flite", "-voice", "slt", "-o", "{out}", "-t", "{text}")),
    ("flite rms", "en", ("flite", "-voice", "rms", "-o", "{out}", "-t", "{text}")),
    ("flite awb (Scottish)", "en", ("flite", "-voice", "awb", "-o", "{out}", "-t", "{text}")),
    ("espeak-ng en", "en", ("espeak-ng", "-v", "en-us", "-s", "140", "-w", "{out}", "{text}")),
    (
        "espeak-ng zh",
        "zh",
        ("espeak-ng", "-v", "cmn-latn-pinyin", "-s", "130", "-w", "{out}", "{text}"),
    ),
)
LIBRISPEECH = ("ls1688", "ls1998", "ls2033", "ls2609", "ls3005", "ls3331")


def media() -> Path:
    """The folder of shared recordings."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "media"
    return Path(os.environ.get("LIKENESS_MEDIA") or beside)


def loaded(*files: Path) -> Samples:
    """Recordings joined, mono at 16 kHz."""
    import soundfile
    import soxr

    parts = []
    for file in files:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        parts.append(soxr.resample(samples.mean(axis=1), rate, 16_000))
    return np.concatenate(parts).astype(np.float32)


def heard(samples: Samples, language: str) -> Heard:
    """What production hears in samples at 16 kHz."""
    pieces = (
        SoundPiece(first / 16_000, samples[first : first + 8_000, None], 16_000)
        for first in range(0, len(samples), 8_000)
    )
    return hear(pieces, sample_rate_hz=16_000, channels=1, language=language, settings=VOICE)


class Reference:
    """The recogniser at its best: beam 5, float32."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            str(locate("whisper-base")), device="cpu", compute_type="float32", local_files_only=True
        )

    def text(self, samples: Samples, language: str) -> str:
        """What is said."""
        segments, _ = self._model.transcribe(
            samples, language=language, beam_size=5, condition_on_previous_text=False
        )
        return " ".join(segment.text for segment in segments)


def sentence_from(text: str, language: Language) -> Sentence | None:
    """A sentence of what was said: its last six long words are the challenge's; None if too few."""
    units = units_of(text, language)
    long = [word for word in dict.fromkeys(units) if len(word) >= 5]
    words = tuple(long[-WORDS:])
    rest = [unit for unit in units if unit not in words]
    if len(words) < WORDS or len(rest) < WORDS:
        return None
    return Sentence(language, " ".join(rest), "", "", words)


def rate(part: int, whole: int) -> str:
    """`3 of 40 (7.5 %)`."""
    return f"{part} of {whole} ({100 * part / whole:.1f} %)" if whole else "none tried"


def table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a Markdown table of two columns."""
    print(f"\n| {title} | |\n| --- | --- |")
    for name, value in rows:
        print(f"| {name} | {value} |")
    sys.stdout.flush()


def real_words(most: int) -> None:
    """Sentences made from real speech: the right recording, and every other one."""
    reference = Reference()
    made: list[tuple[str, Sentence, str]] = []
    for speaker in (*LIBRISPEECH, "ljspeech"):
        for file in sorted((media() / "voices" / speaker).glob("*"))[:most]:
            samples = loaded(file)
            sentence = sentence_from(reference.text(samples, "en"), "en")
            if sentence is not None:
                made.append((speaker, sentence, heard(samples, "en").text))
    refused = sum(not compare(text, sentence, SETTINGS).said for _, sentence, text in made)
    missed = [compare(text, sentence, SETTINGS).words_heard for _, sentence, text in made]
    same, other = [], []
    for (one, _, text), (two, sentence, _) in itertools.permutations(made, 2):
        (same if one == two else other).append(compare(text, sentence, SETTINGS).said)
    asked = [
        compare(text, new_sentence(purpose, "en", SETTINGS), SETTINGS).said
        for _, _, text in made
        for purpose in Purpose
        for _ in range(20)
    ]
    table(
        "words, real speech",
        [
            ("right words refused", rate(refused, len(made))),
            ("challenge words heard", rate(sum(missed), WORDS * len(made))),
            ("wrong words by the right person accepted", rate(sum(same), len(same))),
            ("another person's recording accepted", rate(sum(other), len(other))),
            (
                "recordings of other things accepted for real challenges",
                rate(sum(asked), len(asked)),
            ),
        ],
    )


def read_aloud(text: str, command: Sequence[str]) -> Samples:
    """A text by an offline reader."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "read.wav"
        subprocess.run(
            [part.format(out=out, text=text) for part in command], check=True, capture_output=True
        )
        return loaded(out)


def read_words(most: int, uploads: dict[str, NDArray[np.float32]]) -> None:
    """Real challenges read aloud; and a reader's voice against real people's uploads."""
    rows: list[tuple[str, str]] = []
    least = speaker_thresholds(VOICE.speaker_encoder).same_voice_across_uploads
    by_language: dict[str, list[tuple[Sentence, str]]] = {"en": [], "zh": []}
    against_people: list[float] = []
    for name, language, command in READERS:
        refused = words = 0
        for _ in range(most):
            sentence = new_sentence(Purpose.VOICE_CLONING, language, SETTINGS)
            answer = heard(read_aloud(sentence.text, command), language)
            compared = compare(answer.text, sentence, SETTINGS)
            refused += not compared.said
            words += compared.words_heard
            by_language[language].append((sentence, answer.text))
            if answer.embedding is not None:
                against_people += [likeness(answer.embedding, [u]) for u in uploads.values()]
        rows.append((f"{name}: right words refused", rate(refused, most)))
        rows.append((f"{name}: challenge words heard", rate(words, WORDS * most)))
    crossed = [
        compare(text, sentence, SETTINGS).said
        for answers in by_language.values()
        for (_, text), (sentence, _) in itertools.permutations(answers, 2)
    ]
    rows.append(("another challenge's recording accepted", rate(sum(crossed), len(crossed))))
    taken = sum(value >= least for value in against_people)
    rows.append(("reader taken for one of six real people", rate(taken, len(against_people))))
    table("words, real challenges read aloud", rows)


def embeddings(folder: str, pattern: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The voice of each recording that has enough of it."""
    from models.voice.extract import VoiceExtractor

    for file in sorted((media() / folder).glob(pattern)):
        extractor = VoiceExtractor(16_000, 1, VOICE.model_copy(update={"transcribe": False}))
        for _ in extractor.push(SoundPiece(0.0, loaded(file)[:, None], 16_000)):
            pass
        for _ in extractor.finish(None):
            pass
        if extractor.measured.embedding is not None:
            yield file.name, extractor.measured.embedding


def voices() -> dict[str, NDArray[np.float32]]:
    """Genuine and impostor statements against uploads; returns the six people's uploads."""
    people = {s: [e for _, e in embeddings(f"voices/{s}", "*")] for s in LIBRISPEECH}
    strangers = [embedding for _, embedding in embeddings("voices_many", "*.flac")]
    genuine: list[float] = []
    impostor: list[float] = []
    for speaker, own in people.items():
        for held_out, statement in enumerate(own):
            uploads = [each for index, each in enumerate(own) if index != held_out]
            genuine.append(likeness(statement, uploads))
            impostor += [likeness(stranger, uploads) for stranger in strangers]
            impostor += [
                likeness(each, uploads)
                for other, theirs in people.items()
                if other != speaker
                for each in theirs
            ]
    chosen = speaker_thresholds(VOICE.speaker_encoder).same_voice_across_uploads
    rows = [
        ("genuine: lowest, 5th percentile, median", _spread(genuine, (0, 5, 50))),
        ("impostor: median, 95th, 99th percentile, highest", _spread(impostor, (50, 95, 99, 100))),
    ]
    for threshold in sorted({chosen, 0.72, 0.78, 0.80, 0.82}):
        mark = " (chosen)" if threshold == chosen else ""
        rows.append(
            (
                f"at {threshold:.2f}{mark}: the right person refused",
                rate(sum(value < threshold for value in genuine), len(genuine)),
            )
        )
        rows.append(
            (
                f"at {threshold:.2f}{mark}: right words by the wrong person accepted",
                rate(sum(value >= threshold for value in impostor), len(impostor)),
            )
        )
    table("voice", rows)
    return {speaker: np.mean(np.stack(own), axis=0) for speaker, own in people.items()}


def _spread(values: Sequence[float], percentiles: Sequence[int]) -> str:
    return ", ".join(f"{value:.2f}" for value in np.percentile(values, percentiles))


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=20, help="challenges for each reader")
    parser.add_argument("--recordings", type=int, default=5, help="recordings for each person")
    parser.add_argument("--words-only", action="store_true", help="leave the voices out")
    parser.add_argument("--real-only", action="store_true", help="leave the readers out too")
    arguments = parser.parse_args()
    if not arguments.real_only:
        uploads = {} if arguments.words_only else voices()
        read_words(arguments.sentences, uploads)
    real_words(arguments.recordings)


if __name__ == "__main__":
    main()
