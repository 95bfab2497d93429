"""The measurements as tables: value with unit, a plain assessment, and what would be good.

What counts as good is what the verdicts go by: the settings of the voice and face rooms. The few
limits that those do not have stand here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from flows.report.content import ReportContent
from flows.report.words import Words, number
from models.face.settings import FaceSettings
from models.schema.face import FaceMeasurements
from models.schema.media import DecodeSummary, MediaFacts, PictureFacts, SoundFacts
from models.schema.purposes import Purpose
from models.schema.voice import VoiceMeasurements
from models.voice.settings import VoiceSettings

_CLONES: Final = frozenset({Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN})
_PEAK_MOST_DBTP: Final = -1.0
"""EBU R 128: maximum permitted true peak level in production."""
_RANGE_MOST_LU: Final = 15.0
"""EBU Tech 3342: speech programmes stay well below; above it some passages are hardly heard."""
_FRAMES_GOOD_PER_SECOND: Final = 23.9
_FRAMES_LEAST_PER_SECOND: Final = 15.0
"""Film's 24 frames; below 15 a lip closure (some 70 ms) falls between two frames."""
_CONTAINERS: Final = MappingProxyType(
    {
        "mov,mp4,m4a,3gp,3g2,mj2": "MP4 / QuickTime",
        "matroska,webm": "Matroska / WebM",
    }
)
"""ffprobe's lists of names for one format, as people know it."""
_CODECS: Final = MappingProxyType({"h264": "H.264", "hevc": "H.265", "opus": "Opus"})
_SAME_START_SECONDS: Final = 0.045
"""ITU-R BT.1359: sound up to 45 ms early is not noticed, and late still less so."""


class Grade(StrEnum):
    """How a number compares with what is good; the names are keys of the words."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


@dataclass(frozen=True)
class Row:
    """One number; `key` names it in the words, `grade` is None where good and bad mean nothing."""

    key: str
    value: str
    grade: Grade | None
    guide: str


@dataclass(frozen=True)
class Group:
    """The numbers of one subject: `voice`, `face` or `file`."""

    key: str
    rows: tuple[Row, ...]


def groups(
    content: ReportContent, words: Words, voice: VoiceSettings, face: FaceSettings
) -> list[Group]:
    """Voice and face as far as each was read, and the file."""
    found = []
    if content.voice is not None:
        clones = any(line.allowed and line.purpose in _CLONES for line in content.consent)
        found.append(_voice(content.voice.measurements, words, voice, clones=clones))
    if content.face is not None:
        found.append(_face(content.face.measurements, words, face))
    found.append(_file(content.media, content.decoded, words))
    return found


def at_least(value: float | None, good: float, least: float) -> Grade | None:
    """Good from `good` on, poor below `least`; None where there is no number."""
    if value is None or not math.isfinite(value):
        return None
    return Grade.GOOD if value >= good else Grade.FAIR if value >= least else Grade.POOR


def at_most(value: float | None, good: float, most: float) -> Grade | None:
    """Good up to `good`, poor above `most`; None where there is no number."""
    if value is None or not math.isfinite(value):
        return None
    return Grade.GOOD if value <= good else Grade.FAIR if value <= most else Grade.POOR


def within(value: float | None, least: float, most: float) -> Grade | None:
    """Good within the range, fair outside; None where there is no number."""
    if value is None or not math.isfinite(value):
        return None
    return Grade.GOOD if least <= value <= most else Grade.FAIR


class _Table:
    """Rows of one group as they are added."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.rows: list[Row] = []

    def add(self, key: str, value: str, grade: Grade | None = None, **guide: str) -> None:
        self.rows.append(Row(key, value, grade, self._words.say(f"guide.{key}", **guide)))


def _voice(facts: VoiceMeasurements, words: Words, good: VoiceSettings, *, clones: bool) -> Group:
    table = _Table(words)
    table.add(
        "speech",
        words.say(
            "value.seconds_of",
            value=words.duration(facts.speech_seconds),
            total=words.duration(facts.sound_seconds),
        ),
        at_least(facts.speech_seconds, good.clone_speech_seconds, good.clone_speech_seconds)
        if clones
        else None,
        good=words.duration(good.clone_speech_seconds),
    )
    table.add(
        "signal_to_noise",
        words.unit("decibels", facts.signal_to_noise_db),
        at_least(
            facts.signal_to_noise_db, good.signal_to_noise_good_db, good.signal_to_noise_least_db
        ),
        good=words.unit("decibels", good.signal_to_noise_good_db),
        least=words.unit("decibels", good.signal_to_noise_least_db),
    )
    table.add(
        "bandwidth",
        words.frequency(facts.bandwidth_hz),
        at_least(facts.bandwidth_hz, good.bandwidth_good_hz, good.bandwidth_least_hz)
        if facts.speech_seconds > 0
        else None,
        good=words.frequency(good.bandwidth_good_hz),
        telephone=words.frequency(3400),
    )
    _loudness(table, facts, words, good)
    table.add(
        "clipped",
        words.percent(facts.clipped_fraction, 2 if facts.clipped_fraction else 0),
        at_most(facts.clipped_fraction, good.clipped_fraction_most, good.clipped_fraction_spoiled),
        most=words.percent(good.clipped_fraction_most, 1),
    )
    table.add("f0_median", words.frequency(facts.f0_median_hz))
    table.add("f0_range", words.unit("semitones", facts.f0_range_semitones, 1))
    table.add(
        "speakers",
        number(facts.speakers),
        at_most(facts.speakers, 1, 1) if facts.speakers else None,
    )
    if facts.speakers > 1:
        table.add(
            "second_speaker",
            words.duration(facts.second_speaker_seconds),
            at_most(facts.second_speaker_seconds, 0, 0),
        )
    if facts.language is not None:
        table.add("language", words.named("languages", facts.language))
    return Group("voice", tuple(table.rows))


def _loudness(table: _Table, facts: VoiceMeasurements, words: Words, good: VoiceSettings) -> None:
    loudness = facts.loudness
    if loudness is None:
        return
    table.add(
        "loudness",
        words.unit("lufs", loudness.integrated_lufs, 1),
        within(loudness.integrated_lufs, good.loudness_least_lufs, good.loudness_most_lufs),
        least=words.unit("lufs", good.loudness_least_lufs),
        most=words.unit("lufs", good.loudness_most_lufs),
    )
    table.add(
        "loudness_range",
        words.unit("loudness_units", loudness.range_lu, 1),
        within(loudness.range_lu, 0, _RANGE_MOST_LU),
        most=words.unit("loudness_units", _RANGE_MOST_LU),
    )
    table.add(
        "true_peak",
        words.unit("dbtp", loudness.true_peak_dbfs, 1),
        within(loudness.true_peak_dbfs, -math.inf, _PEAK_MOST_DBTP),
        most=words.unit("dbtp", _PEAK_MOST_DBTP),
    )


def _face(facts: FaceMeasurements, words: Words, good: FaceSettings) -> Group:
    table = _Table(words)
    seen = facts.frames_with_face / facts.frames if facts.frames else 0.0
    seconds = facts.picture_seconds * seen
    table.add("faces", number(facts.faces), at_most(facts.faces, 1, 1) if facts.faces else None)
    table.add(
        "face_seconds",
        words.say(
            "value.seconds_of",
            value=words.duration(seconds),
            total=words.duration(facts.picture_seconds),
        ),
        at_least(seconds, good.seconds_good, good.seconds_least),
        good=words.duration(good.seconds_good),
        least=words.duration(good.seconds_least),
    )
    table.add(
        "seen",
        words.percent(seen),
        at_least(seen, good.seen_good, 0),
        good=words.percent(good.seen_good),
    )
    if facts.faces:
        _main_face(table, facts, words, good)
    table.add(
        "shots",
        words.say("value.shots_1")
        if facts.shots == 1
        else words.say("value.shots", count=facts.shots),
        Grade.GOOD if facts.shots <= 1 else Grade.FAIR,
    )
    return Group("face", tuple(table.rows))


def _main_face(table: _Table, facts: FaceMeasurements, words: Words, good: FaceSettings) -> None:
    if facts.faces > 1:
        table.add("second_face", words.duration(facts.second_face_seconds), Grade.POOR)
    table.add(
        "face_height",
        words.unit("pixels", facts.face_height_pixels),
        at_least(facts.face_height_pixels, good.face_pixels_good, good.face_pixels_usable),
        good=words.unit("pixels", good.face_pixels_good),
        least=words.unit("pixels", good.face_pixels_usable),
    )
    table.add(
        "frontal",
        words.percent(facts.frontal_fraction),
        at_least(facts.frontal_fraction, good.frontal_good, good.frontal_usable),
        good=words.percent(good.frontal_good),
        least=words.percent(good.frontal_usable),
    )
    table.add(
        "sharpness",
        number(facts.sharpness),
        at_least(facts.sharpness, good.sharpness_good, good.sharpness_usable),
        good=number(good.sharpness_good),
        least=number(good.sharpness_usable),
    )
    table.add(
        "exposure",
        words.percent(facts.exposure),
        within(facts.exposure, good.exposure_dark, good.exposure_bright),
        least=words.percent(good.exposure_dark),
        most=words.percent(good.exposure_bright),
    )
    frontal = words.unit("degrees", good.frontal_degrees)
    for key, (low, high) in (
        ("yaw_range", facts.yaw_degrees_range),
        ("pitch_range", facts.pitch_degrees_range),
    ):
        span = words.say(
            "value.range", least=words.unit("degrees", low), most=words.unit("degrees", high)
        )
        table.add(key, span, most=frontal)


def _file(media: MediaFacts, decoded: DecodeSummary, words: Words) -> Group:
    table = _Table(words)
    table.add("container", _CONTAINERS.get(media.container, media.container.upper()))
    table.add("size", words.size(media.size_bytes))
    if media.sound is not None:
        table.add("sound", _sound(media.sound, words))
        table.add("sound_seconds", _read(decoded.sound_seconds, words))
    if media.picture is not None:
        table.add("picture", _picture(media.picture, words))
        table.add("picture_seconds", _read(decoded.picture_seconds, words))
    if decoded.picture_seconds > 0:
        _frames(table, decoded, words)
    table.add(
        "damaged",
        words.say("value.damaged_yes" if decoded.damaged else "value.damaged_no"),
        Grade.POOR if decoded.damaged else Grade.GOOD,
    )
    if decoded.silence_filled_seconds > 0:
        table.add("silence_filled", words.duration(decoded.silence_filled_seconds), Grade.FAIR)
    return Group("file", tuple(table.rows))


def _frames(table: _Table, decoded: DecodeSummary, words: Words) -> None:
    per_second = decoded.frames / decoded.picture_seconds
    rate = words.unit("per_second", per_second, 0 if per_second == round(per_second) else 1)
    kind = words.say("value.variable" if decoded.variable_frame_rate else "value.constant")
    table.add(
        "frame_rate",
        words.say("value.frames", count=number(decoded.frames), rate=rate, kind=kind),
        at_least(per_second, _FRAMES_GOOD_PER_SECOND, _FRAMES_LEAST_PER_SECOND),
    )
    if decoded.sound_seconds > 0:
        later = decoded.sound_start_seconds - decoded.picture_start_seconds
        if abs(later) <= _SAME_START_SECONDS:
            table.add("offset", words.say("value.offset_none"))
        else:
            side = "later" if later > 0 else "earlier"
            seconds = words.unit("seconds", abs(later), 2)
            table.add("offset", words.say(f"value.offset_{side}", seconds=seconds))


def _read(seconds: float, words: Words) -> str:
    return words.duration(seconds) if seconds > 0 else words.say("value.not_decoded")


def _sound(sound: SoundFacts, words: Words) -> str:
    layouts = {1: "value.channels_1", 2: "value.channels_2"}
    parts = [
        _CODECS.get(sound.codec, sound.codec.upper()),
        words.unit("kilohertz", sound.sample_rate_hz / 1000, 1),
        words.say(layouts.get(sound.channels, "value.channels"), count=sound.channels),
    ]
    return _tracked(words.listed(parts), sound.track, sound.tracks, words)


def _picture(picture: PictureFacts, words: Words) -> str:
    codec = _CODECS.get(picture.codec, picture.codec.upper())
    parts = [codec, f"{picture.width_pixels} × {picture.height_pixels}"]
    if picture.rotation_degrees:
        degrees = words.unit("degrees", picture.rotation_degrees)
        parts.append(words.say("value.rotated", degrees=degrees))
    if picture.bit_depth != 8:
        parts.append(words.say("value.bits", count=picture.bit_depth))
    if picture.high_dynamic_range:
        parts.append(words.say("value.high_dynamic_range"))
    return _tracked(words.listed(parts), picture.track, picture.tracks, words)


def _tracked(description: str, track: int, tracks: int, words: Words) -> str:
    if tracks <= 1:
        return description
    return words.say("value.track", description=description, track=track + 1, tracks=tracks)
