"""The report's page: one HTML file that needs nothing outside itself and runs no script."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, Literal

import jinja2

from flows.report import numbers
from flows.report.content import LineageLine, ReportContent
from flows.report.drawing.pictures import FaceStrip, face_strip, portraits
from flows.report.drawing.spectrogram import Spectrogram, spectrogram
from flows.report.drawing.time_axis import TimeAxis, clock
from flows.report.drawing.tracks import FaceTracks, face_tracks
from flows.report.drawing.waveform import UtteranceMark, Waveform, utterance_marks, waveform
from flows.report.findings import findings, headline, sentences_of
from flows.report.template import environment, style
from flows.report.transcript import Block, blocks
from flows.report.words import HTML_LANGUAGE, Words, words_of
from models.face.settings import FaceSettings
from models.schema.voice import Backend
from models.voice.settings import VoiceSettings

_FOLDER: Final = Path(__file__).parent
_WIDE_FACES: Final = 16
_NARROW_FACES: Final = 6
"""How many faces a strip shows on a screen and on a phone."""


@dataclass(frozen=True)
class Timeline:
    """Everything that is drawn over time; each part is None where there is nothing to draw."""

    axis: TimeAxis
    wave: Waveform | None
    marks: list[UtteranceMark]
    spectrum: Spectrogram | None
    faces_wide: FaceStrip | None
    faces_narrow: FaceStrip | None
    tracks: FaceTracks | None


def render(
    content: ReportContent,
    language: Literal["en", "zh"],
    *,
    voice: VoiceSettings | None = None,
    face: FaceSettings | None = None,
) -> str:
    """The report of one upload as HTML, in English or Chinese.

    The page loads nothing, stores nothing and sets no cookie (Policy P27). Its own security policy
    forbids scripts and every address, so a transcript can do no harm even if it were let through.
    No name of a file and no name of a person is in it. An upload that waits for identification
    shows neither pictures nor plots, whatever `content` holds (invariant 11).

    `voice` and `face` are the settings that the verdicts went by; the page names their limits.
    Raises BadUsage for another language.
    """
    words = words_of(language)
    voice = voice or VoiceSettings()
    face = face or FaceSettings()
    waits = content.state == "needs_identification"
    if waits:
        content = _without_features(content)
    found = findings(content, language)
    axis = TimeAxis.of(content.decoded)
    return _template().render(
        content=content,
        html_language=HTML_LANGUAGE[language],
        words=words,
        w=words.say,
        length_seconds=axis.end_seconds - axis.start_seconds,
        between="" if language == "zh" else " ",
        waits=waits,
        findings=found,
        headline=headline(found, words),
        timeline=_timeline(content, axis, face),
        portraits=portraits(content.face) if content.face is not None else [],
        transcript=_transcript(content),
        numbers=numbers.groups(content, words, voice, face),
        reasons=lambda line: sentences_of(line, language),
        erased_at=_erased_at(content.lineage),
        about_kind=lambda line: _about_kind(words, line),
        made_from=lambda line: _made_from(words, line),
        methods=_methods(content),
        frontal_degrees=face.frontal_degrees,
        gap_seconds=sum(g.end_seconds - g.start_seconds for g in content.face.measurements.gaps)
        if content.face is not None
        else 0.0,
        contents=_contents(waits=waits, methods=bool(_methods(content))),
        style=style(),
    )


def _without_features(content: ReportContent) -> ReportContent:
    return replace(content, voice=None, face=None)


def _timeline(content: ReportContent, axis: TimeAxis, settings: FaceSettings) -> Timeline | None:
    voice, face = content.voice, content.face
    if voice is None and face is None:
        return None
    starts_at = content.decoded.sound_start_seconds
    timeline = Timeline(
        axis=axis,
        wave=waveform(voice, axis, starts_at) if voice is not None else None,
        marks=utterance_marks(_transcript(content), axis),
        spectrum=spectrogram(voice, axis, starts_at) if voice is not None else None,
        faces_wide=face_strip(face, axis, _WIDE_FACES) if face is not None else None,
        faces_narrow=face_strip(face, axis, _NARROW_FACES) if face is not None else None,
        tracks=face_tracks(face, axis, frontal_degrees=settings.frontal_degrees)
        if face is not None
        else None,
    )
    drawn = (timeline.wave, timeline.spectrum, timeline.faces_wide, timeline.tracks)
    return timeline if any(part is not None for part in drawn) else None


def _transcript(content: ReportContent) -> list[Block]:
    if content.voice is None:
        return []
    facts = content.voice.measurements
    return blocks(facts.utterances, facts.language)


def _erased_at(lineage: tuple[LineageLine, ...]) -> object:
    """When the first thing that was kept goes by itself."""
    times = [line.expires_at for line in lineage if line.expires_at is not None]
    return min(times, default=None)


def _about_kind(words: Words, line: LineageLine) -> str:
    told = words.named("kind_about", line.kind)
    return line.about if told == line.kind else told


def _made_from(words: Words, line: LineageLine) -> str:
    """The kinds it comes from; the original is the received file over again and not named twice."""
    parents = [p for p in line.comes_from if p != "original" or len(line.comes_from) == 1]
    if not parents:
        return words.say("lineage.upload_itself")
    return words.listed([words.named("kind", parent) for parent in parents])


def _contents(*, waits: bool, methods: bool) -> list[str]:
    """Names of the sections in the order of the page."""
    drawn = [] if waits else ["timeline", "transcript", "portraits"]
    last = ["methods"] if methods else []
    return ["findings", *drawn, "numbers", "consent", "lineage", *last]


def _methods(content: ReportContent) -> list[tuple[str, Backend]]:
    found: list[tuple[str, Backend]] = []
    for measured in (content.voice, content.face):
        if measured is not None:
            found += measured.measurements.backends.items()
    return found


@cache
def _template() -> jinja2.Template:
    templates = environment(_FOLDER)
    templates.globals["clock"] = clock
    return templates.get_template("page.html")
