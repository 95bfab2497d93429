"""Everything that is computed from a recording's sound, in one pass over its pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.media.pieces import SoundPiece
from models.schema.media import Loudness
from models.schema.voice import (
    Backend,
    MeasuredVoice,
    SpeechInterval,
    Tensors,
    Utterance,
    VoiceMeasurements,
    VoiceSegment,
)
from models.voice import activity, log_mel
from models.voice.activity import ActivityDetector, SpeechTracker, activity_backend
from models.voice.bandwidth import bandwidth_hz
from models.voice.clipping import ClippingMeter
from models.voice.energy import energy_dbfs
from models.voice.given_transcript import GivenTranscript, language_of
from models.voice.log_mel import HOP_SAMPLES, HOPS_PER_SECOND, LogMel, log_mel_backend
from models.voice.pitch import PitchRange, fundamental_frequency, pitch_backend
from models.voice.plots import RecordingPlots
from models.voice.samples import Mono, RecentSamples, Resampler, Samples, finite
from models.voice.segments import LOOK_BACK_SECONDS, Segmenter, Stretch
from models.voice.settings import VoiceSettings
from models.voice.signal_to_noise import signal_to_noise_db
from models.voice.speaker_embedding import SpeakerEncoder, load_speaker_encoder
from models.voice.speakers import SpeakerWindows
from models.voice.spectra import ActivitySpectra
from models.voice.speech_intervals import SpeechIntervals
from models.voice.thresholds import speaker_thresholds
from models.voice.transcript import (
    WINDOW_SECONDS,
    Placed,
    Recogniser,
    load_recogniser,
    recognise_utterances,
    text_of,
)

_GAP_SECONDS = 0.3
_MOST_UTTERANCES = 5_000
"""Kept for the report; four hours of speech."""


@dataclass(frozen=True)
class _Computed:
    """A segment that still waits for its transcript."""

    stretch: Stretch
    tensors: Tensors
    speech: Samples
    """The stretch at 16 kHz; empty when nothing is recognised."""


class VoiceExtractor:
    """Voice features of one recording, from pieces of sound in order.

    `push` each piece, then `finish` once; both yield the segments that became complete, in order.
    Then `measured` holds the rest. What is held is bounded: some half minute of sound, small
    pictures, at most `settings.most_windows` embeddings, and the utterances' times and words.

    `transcript` is what the caller says is spoken; see `given_transcript`. Raises WeightsMissing,
    and BadUsage for an unknown backend, when made.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        channels: int,
        settings: VoiceSettings,
        *,
        transcript: str | None = None,
    ) -> None:
        self._settings = settings
        self._rate_hz = sample_rate_hz
        self._clipping = ClippingMeter(channels)
        self._mono = Mono()
        self._to_16k = Resampler(sample_rate_hz, activity.RATE_HZ)
        self._to_24k = Resampler(sample_rate_hz, log_mel.RATE_HZ)
        self._sound_16k = RecentSamples()
        self._sound_24k = RecentSamples()
        self._spectra = ActivitySpectra(sample_rate_hz)
        self._detector = ActivityDetector()
        self._tracker = SpeechTracker(
            settings.activity_threshold, settings.segment_longest_seconds - 0.1
        )
        self._segmenter = Segmenter(
            shortest_seconds=settings.segment_shortest_seconds,
            longest_seconds=settings.segment_longest_seconds,
            longest_pause_seconds=settings.segment_longest_pause_seconds,
            least_speech_seconds=settings.least_speech_seconds,
        )
        self._log_mel = LogMel()
        self._frames = RecentFrames()
        self._plots = RecordingPlots()
        self._intervals = SpeechIntervals()
        self._pitch = PitchRange()
        self._encoder: SpeakerEncoder = load_speaker_encoder(settings.speaker_encoder)
        self._windows = SpeakerWindows(
            self._encoder,
            step_seconds=settings.embedding_step_seconds,
            most_windows=settings.most_windows,
        )
        self._recogniser: Recogniser | None = (
            load_recogniser(settings.recogniser) if settings.transcribe else None
        )
        self._given = GivenTranscript(transcript) if transcript and transcript.strip() else None
        self._language = language_of(transcript) if transcript else None
        self._closed: list[Stretch] = []
        self._waiting: list[_Computed] = []
        self._waiting_seconds = 0.0
        self._utterances: list[Utterance] = []
        self._start_seconds: float | None = None
        self._samples = 0
        self._measured: MeasuredVoice | None = None

    @property
    def measured(self) -> MeasuredVoice:
        """What is known of the whole recording; only after `finish` was read to its end."""
        assert self._measured is not None, "finish() comes first"
        return self._measured

    def push(self, piece: SoundPiece) -> Iterator[VoiceSegment]:
        """Takes the next piece; yields the segments that became complete."""
        if self._start_seconds is None:
            self._start_seconds = piece.start_seconds
        samples = finite(piece.samples)
        self._samples += len(samples)
        self._clipping.push(samples)
        mono = self._mono.push(samples)
        self._spectra.push_samples(mono)
        self._follow(self._to_16k.push(mono), self._to_24k.push(mono), last=False)
        yield from self._complete(last=False)

    def finish(self, loudness: Loudness | None) -> Iterator[VoiceSegment]:
        """The sound has ended; `loudness` is what the decoder measured."""
        nothing = np.zeros(0, np.float32)
        self._follow(
            self._to_16k.push(nothing, last=True), self._to_24k.push(nothing, last=True), last=True
        )
        yield from self._complete(last=True)
        self._measured = self._measure(loudness)

    def _follow(self, sound_16k: Samples, sound_24k: Samples, *, last: bool) -> None:
        self._sound_16k.push(sound_16k)
        self._sound_24k.push(sound_24k)
        self._plots.push_samples(sound_24k, last=last)
        for frames in (
            self._log_mel.push(sound_24k),
            *((self._log_mel.finish(),) if last else ()),
        ):
            self._plots.push_log_mel(frames)
            self._frames.push(frames)
        for probabilities, final in (
            (self._detector.push(sound_16k), False),
            *(((self._detector.finish(), True),) if last else ()),
        ):
            self._spectra.push_activity(probabilities, last=final)
            self._hear(self._tracker.push(probabilities))
        if last:
            self._hear(self._tracker.finish(self._sound_16k.end))
            self._closed += self._segmenter.finish(self._sound_16k.end / activity.RATE_HZ)
        else:
            since = self._tracker.open_since
            self._closed += self._segmenter.advance(
                self._tracker.seconds, None if since is None else since / activity.RATE_HZ
            )
        self._forget()

    def _hear(self, intervals: list[tuple[int, int]]) -> None:
        for start, end in intervals:
            interval = (start / activity.RATE_HZ, min(end, self._sound_16k.end) / activity.RATE_HZ)
            self._intervals.add(interval)
            self._closed += self._segmenter.push(interval)

    def _forget(self) -> None:
        since = self._tracker.open_since
        needed = [self._tracker.seconds if since is None else since / activity.RATE_HZ]
        if self._segmenter.open_since_seconds is not None:
            needed.append(self._segmenter.open_since_seconds)
        from_seconds = min(needed) - LOOK_BACK_SECONDS
        if self._closed:
            from_seconds = min(from_seconds, self._closed[0].start_seconds)
        first = max(0, int(from_seconds * HOPS_PER_SECOND) - 1)
        self._frames.forget_before(first)
        self._sound_24k.forget_before(first * HOP_SAMPLES)
        self._sound_16k.forget_before(int(first / HOPS_PER_SECOND * activity.RATE_HZ))

    def _complete(self, *, last: bool) -> Iterator[VoiceSegment]:
        while self._closed:
            end = int(np.ceil(self._closed[0].end_seconds * HOPS_PER_SECOND))
            if not last and (self._frames.end < end or self._sound_24k.end < end * HOP_SAMPLES):
                break
            computed = self._compute(self._closed.pop(0))
            seconds = computed.stretch.end_seconds - computed.stretch.start_seconds + _GAP_SECONDS
            if self._is_full(seconds):
                yield from self._transcribe(whole=False)
            self._waiting.append(computed)
            self._waiting_seconds += seconds
        if last or (self._recogniser is None and self._given is None):
            yield from self._transcribe(whole=last and not self._utterances)

    def _is_full(self, more_seconds: float) -> bool:
        limit = (
            WINDOW_SECONDS
            if self._recogniser is not None
            else self._settings.held_transcript_seconds
        )
        return bool(self._waiting) and self._waiting_seconds + more_seconds > limit

    def _compute(self, stretch: Stretch) -> _Computed:
        first = int(stretch.start_seconds * HOPS_PER_SECOND)
        end = min(int(np.ceil(stretch.end_seconds * HOPS_PER_SECOND)), self._frames.end)
        sound = self._sound_24k.between(first * HOP_SAMPLES, end * HOP_SAMPLES)
        f0, voicing = fundamental_frequency(sound, end - first)
        self._plots.add_f0(first, f0)
        self._pitch.add(f0)
        rate = activity.RATE_HZ
        spoken = [
            self._sound_16k.between(int(start * rate), int(stop * rate))
            for start, stop in stretch.intervals
        ]
        self._windows.add(np.concatenate(spoken))
        return _Computed(
            stretch=stretch,
            tensors={
                "log_mel": self._frames.between(first, end),
                "f0_hz": f0,
                "voicing": voicing,
                "energy": energy_dbfs(sound, end - first),
                "samples": np.clip(np.round(sound * 32_767), -32_768, 32_767).astype(np.int16),
            },
            speech=self._sound_16k.between(
                int(stretch.start_seconds * rate), int(stretch.end_seconds * rate)
            )
            if self._recogniser is not None
            else np.zeros(0, np.float32),
        )

    def _transcribe(self, *, whole: bool) -> Iterator[VoiceSegment]:
        """Gives the waiting segments, `whole` if they are all there are, words; yields them."""
        waiting, self._waiting, self._waiting_seconds = self._waiting, [], 0.0
        if not waiting:
            return
        texts: list[str | None] = [None] * len(waiting)
        if self._recogniser is not None:
            placed = [
                Placed(
                    item.speech,
                    tuple(
                        (start - item.stretch.start_seconds, end - item.stretch.start_seconds)
                        for start, end in item.stretch.intervals
                    ),
                )
                for item in waiting
            ]
            self._language, words = recognise_utterances(
                self._recogniser, placed, self._language, self._settings.languages
            )
            texts = [text_of(each) for each in words]
            if self._given is not None:
                texts = self._given.replace(texts)
        elif self._given is not None and whole:
            texts = self._given.spread([item.stretch.speech_seconds for item in waiting])
        begin = self._start_seconds or 0.0
        for item, text in zip(waiting, texts, strict=True):
            utterance = Utterance(
                start_seconds=round(begin + item.stretch.start_seconds, 4),
                end_seconds=round(begin + item.stretch.end_seconds, 4),
                speech_seconds=round(item.stretch.speech_seconds, 4),
                transcript=text,
                language=self._language if text is not None else None,
            )
            if len(self._utterances) < _MOST_UTTERANCES:
                self._utterances.append(utterance)
            yield VoiceSegment(utterance, item.tensors)

    def _measure(self, loudness: Loudness | None) -> MeasuredVoice:
        begin = self._start_seconds or 0.0
        speech_seconds = self._intervals.speech_seconds
        speakers = self._windows.separate(
            thresholds=speaker_thresholds(self._settings.speaker_encoder),
            least_windows=self._settings.least_speaker_windows,
        )
        measurements = VoiceMeasurements(
            backends=self.backends,
            sound_seconds=self._samples / self._rate_hz,
            speech_seconds=speech_seconds,
            speech_intervals=tuple(
                SpeechInterval(start_seconds=begin + start, end_seconds=begin + end)
                for start, end in self._intervals.merged()
            ),
            utterances=tuple(
                utterance
                for utterance, speaker in zip(self._utterances, speakers.of_stretch, strict=False)
                if speaker == 0
            ),
            loudness=loudness,
            clipped_fraction=self._clipping.fraction,
            signal_to_noise_db=signal_to_noise_db(self._spectra),
            bandwidth_hz=bandwidth_hz(self._spectra),
            f0_median_hz=self._pitch.median_hz,
            f0_range_semitones=self._pitch.range_semitones,
            speakers=max(speakers.count, 1) if speech_seconds else 0,
            second_speaker_seconds=speech_seconds * (1.0 - speakers.first_share),
            language=self._language,
        )
        return MeasuredVoice(
            measurements, speakers.embedding, self._plots.tensors(), speakers.of_stretch
        )

    @property
    def backends(self) -> dict[str, Backend]:
        """What computes each feature, known before the first piece."""
        backends = {
            "activity": activity_backend(self._settings.activity_threshold),
            "log_mel": log_mel_backend(),
            "f0": pitch_backend(),
            "speaker_embedding": self._encoder.backend,
        }
        if self._recogniser is not None:
            backends["transcript"] = self._recogniser.backend
        return backends


class RecentFrames:
    """The last log-mel frames of a stream, addressed by frame since its beginning."""

    def __init__(self) -> None:
        self._kept: list[NDArray[np.float32]] = []
        self._start = 0
        self.end = 0
        """How many frames have come in so far."""

    def push(self, frames: NDArray[np.float32]) -> None:
        """Appends (80, t)."""
        if frames.shape[1]:
            self._kept.append(frames)
            self.end += frames.shape[1]

    def between(self, first: int, end: int) -> NDArray[np.float32]:
        """A copy of the frames from `first` to `end`, (80, end - first)."""
        joined = np.concatenate(self._kept, axis=1)
        return np.ascontiguousarray(joined[:, first - self._start : end - self._start])

    def forget_before(self, frame: int) -> None:
        """Drops the arrays that lie wholly before `frame`."""
        while self._kept and self._start + self._kept[0].shape[1] <= frame:
            self._start += self._kept.pop(0).shape[1]
