"""The page as a whole: complete, closed to the outside, and safe whatever the recording holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.report.content import ConsentLine, ReportContent
from flows.report.page import render
from flows.report.words import LANGUAGES, words_of
from models.schema.face import MeasuredFace
from models.schema.media import DecodeSummary
from models.schema.purposes import Purpose
from models.schema.verdict import Level, Verdict
from models.schema.voice import MeasuredVoice, SpeechInterval, Utterance

Builder = Callable[..., ReportContent]
VOID = frozenset({"meta", "link", "img", "br", "wbr", "input", "path", "rect"})
ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% include 'page.html' %}",
    "javascript:alert(1)",
    "</title></head><body onload=alert(1)>",
    "\u202egnp.exe",
    "<!--",
    "]]>",
)


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.pieces))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def with_transcript(content: ReportContent, text: str) -> ReportContent:
    assert content.voice is not None
    said = Utterance(
        start_seconds=0, end_seconds=3, speech_seconds=3, transcript=text, language="en"
    )
    facts = content.voice.measurements.model_copy(update={"utterances": (said,)})
    return replace(content, voice=replace(content.voice, measurements=facts))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_needs_nothing_outside_itself_and_runs_no_script(
    talking_head: Builder, language: Any
) -> None:
    html = render(talking_head(), language)
    page = Page(html)
    assert page.named("script") == []
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "action", "srcset"):
            target = attributes.get(name)
            if target is not None:
                assert target.startswith(("data:", "#")), target
    assert not re.search(r"url\(|@import|https?://", html)
    policy = next(m["content"] for m in page.named("meta") if m.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_within_the_page_leads_somewhere(talking_head: Builder, language: Any) -> None:
    page = Page(render(talking_head(), language))
    places = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {a["href"] for a in page.named("a")} <= {f"#{place}" for place in places}
    assert len(places) == sum("id" in attributes for _, attributes in page.elements)


def test_the_whole_page_is_in_the_language_asked_for(talking_head: Builder) -> None:
    english, chinese = (render(talking_head(), language) for language in LANGUAGES)
    assert '<html lang="en">' in english
    assert '<html lang="zh-Hans">' in chinese
    assert not re.search("[\u4e00-\u9fff]", Page(english).text)
    foreign = Page(chinese).text
    for key in words_of("en").keys:
        sentence = words_of("en").named(*key.split("."))
        if len(sentence.split()) > 2 and "{" not in sentence and not key.startswith("date."):
            assert sentence not in foreign


def test_verdicts_stand_at_the_top_grouped_by_purpose(talking_head: Builder) -> None:
    text = Page(render(talking_head(), "en")).text
    assert "This recording suffices for voice cloning." in text
    assert "It does not suffice yet for a digital human." in text
    assert "Consent does not cover model improvement." in text
    order = [
        text.index(part)
        for part in (
            "Voice cloning Suffices, could be better",
            "Speech stands only 17 dB above the noise",
            "Digital human Does not suffice yet",
            "What is missing The face is seen for 8.1 s",
            "What to record better The face is 231 pixels high",
            "All tracks share one time axis",
        )
    ]
    assert order == sorted(order)


def test_numbers_have_units_and_a_plain_word(talking_head: Builder) -> None:
    text = Page(render(talking_head(), "en")).text
    assert "Signal to noise 17 dB Fair 20 dB or more" in text
    assert "Loudness −21.4 LUFS Good" in text
    assert "Height of the face 231 px Fair 256 px or more" in text
    assert "track 1 of 2" in text


def test_consent_says_what_when_by_whom_on_which_evidence_and_whether_it_holds(
    talking_head: Builder,
) -> None:
    text = Page(render(talking_head(), "en")).text
    row = text[text.index("Digital human 25 November") :]
    assert row.startswith(
        "Digital human 25 November 2026, 09:30 UTC the person themselves a document 2025-11-11 Yes"
    )
    assert "No The person withdrew consent for this purpose." in row


def test_a_guardian_for_a_time_and_a_spoken_statement_are_told_as_such(
    talking_head: Builder,
) -> None:
    content = talking_head()
    spoken = replace(
        content.consent[1],
        uploader="guardian",
        evidence_level="spoken",
        expires_at=datetime(2027, 1, 2, 3, 4, tzinfo=UTC),
    )
    content = replace(content, consent=(spoken,))
    english = Page(render(content, "en")).text
    assert "until 2 January 2027, 03:04 UTC the guardian a statement read aloud" in english
    chinese = Page(render(content, "zh")).text
    assert "监护人 本人朗读的声明 2025-11-11 有效" in chinese


def test_the_page_says_how_long_things_are_kept_and_how_to_erase_them(
    talking_head: Builder,
) -> None:
    content = talking_head()
    text = Page(render(content, "en")).text
    assert "until 25 December 2026, 09:30 UTC" in text
    assert "as long as the consent" in text
    assert "encrypted" in text
    assert f"likeness erase --upload {content.upload}" in text
    commands = re.findall(
        r"likeness consent withdraw \\ --subject SUBJECT \\ --purpose (\w+)", text
    )
    assert commands == ["voice_cloning", "digital_human"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_upload_that_waits_says_why_and_shows_neither_picture_nor_plot(
    talking_head: Builder, language: Any
) -> None:
    whose = Verdict(
        code="several_faces",
        level=Level.IDENTIFY,
        purpose=None,
        english="2 people are seen: say whose likeness this is.",
        chinese="画面中有 2 个人：请说明这是谁的形象。",
    )
    # Even what should not have been handed over is not shown.
    page = Page(render(talking_head(state="needs_identification", verdicts=(whose,)), language))
    assert page.named("img") == []
    assert page.named("svg") == []
    assert not re.search("canoe|chicken|188 Hz", page.text)
    assert (whose.chinese if language == "zh" else whose.english) in page.text
    assert ("Why this upload waits" if language == "en" else "为什么需要等待") in page.text


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_transcript_is_text_and_never_markup(talking_head: Builder, attack: str) -> None:
    plain = Page(render(with_transcript(talking_head(), "harmless"), "en"))
    page = Page(render(with_transcript(talking_head(), attack), "en"))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert re.sub(r"\s+", " ", attack) in page.text


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(text=st.text(st.characters(), min_size=1))
def test_any_transcript_gives_a_page_that_can_be_encoded(talking_head: Builder, text: str) -> None:
    content = replace(with_transcript(talking_head(2.0), text), face=None)
    html = render(content, "zh")
    assert html.encode("utf-8").decode("utf-8") == html
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f]", html)
    Page(html)


def test_hostile_codes_from_other_rooms_are_text_too(talking_head: Builder) -> None:
    content = talking_head()
    content = replace(
        content,
        upload='"><script>x</script>',
        consent=(
            ConsentLine(
                Purpose.VOICE_CLONING, False, None, "<b>", "<i>", ("<u>why</u>",), ("<u>",)
            ),
        ),
    )
    page = Page(render(content, "en"))
    assert page.named("script") == page.named("u") == []
    assert "<u>why</u>" in page.text


def test_sound_without_a_picture(talking_head: Builder) -> None:
    page = Page(render(talking_head(face=None), "en"))
    assert "The picture was not read" in page.text
    assert "Waveform" in " ".join(str(svg.get("aria-label")) for svg in page.named("svg"))
    assert len(page.named("img")) == 1  # the spectrogram


def test_a_picture_without_sound(talking_head: Builder) -> None:
    page = Page(render(talking_head(voice=None), "en"))
    assert "The sound was not read" in page.text
    assert "Turn" in page.text


def test_neither_sound_nor_picture(talking_head: Builder) -> None:
    page = Page(render(talking_head(voice=None, face=None, verdicts=(), consent=()), "en"))
    assert "There is neither sound nor picture to draw" in page.text
    assert "Nothing was judged." in page.text
    assert page.named("svg") == []


def test_nobody_speaks(talking_head: Builder) -> None:
    content = talking_head()
    assert content.voice is not None
    facts = content.voice.measurements.model_copy(
        update={
            "speech_seconds": 0.0,
            "speech_intervals": (),
            "utterances": (),
            "loudness": None,
            "signal_to_noise_db": None,
            "f0_median_hz": None,
            "f0_range_semitones": None,
            "speakers": 0,
            "language": None,
        }
    )
    voice = replace(
        content.voice,
        measurements=facts,
        plots=content.voice.plots | {"f0_hz": np.zeros(10, np.float32)},
    )
    text = Page(render(replace(content, voice=voice), "en")).text
    assert "Nobody speaks in this recording." in text
    assert "Signal to noise —" in text


def test_no_face_is_a_finding_and_not_a_fault(talking_head: Builder) -> None:
    content = talking_head()
    assert content.face is not None
    facts = content.face.measurements.model_copy(
        update={"faces": 0, "frames_with_face": 0, "main_track": None}
    )
    empty = np.empty((0, 96, 96, 3), np.uint8)
    face = replace(
        content.face,
        measurements=facts,
        portraits=np.empty((0, 256, 256, 3), np.uint8),
        plots=content.face.plots
        | {
            "strip": empty,
            "strip_seconds": np.empty(0),
            "strip_quality": np.empty(0, np.float32),
            "pose": np.full_like(content.face.plots["pose"], np.nan),
            "mouth_opening": np.full_like(content.face.plots["mouth_opening"], np.nan),
        },
    )
    text = Page(render(replace(content, face=face), "en")).text
    assert "No face was found that is good enough for a portrait." in text
    assert "Frames with a face 0 %" in text


def test_two_hours_fold_into_blocks_and_stay_within_the_size_of_an_object(
    talking_head: Builder,
) -> None:
    html = render(talking_head(7200.0), "en")
    page = Page(html)
    assert len(html.encode()) < 4 * 1024**2
    assert len(page.named("details")) == 24 + 1
    assert "5:00 to 9:59: 75 utterances" in page.text
    assert "1:30:00" in page.text


def test_what_is_drawn_is_also_told_in_words(talking_head: Builder) -> None:
    page = Page(render(talking_head(), "en"))
    for svg in page.named("svg"):
        assert svg.get("aria-hidden") == "true" or svg.get("aria-label")
    for image in page.named("img"):
        assert "alt" in image
    assert any("between −22° and 22°" in str(svg.get("aria-label")) for svg in page.named("svg"))


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def recordings(draw: st.DrawFn) -> dict[str, Any]:
    """Measurements at the edges of what their contract allows."""
    seconds = draw(numbers(0.05, 14_400))
    bins = draw(st.integers(0, 30))
    floats = st.floats(-2, 2, width=32)
    return {
        "seconds": seconds,
        "start": draw(numbers(-1, 5)),
        "plots": {
            "waveform": np.array(
                draw(st.lists(floats, min_size=2 * bins, max_size=2 * bins)), np.float32
            ).reshape(2, bins),
            "log_mel": np.full((80, bins), draw(st.integers(0, 255)), np.uint8),
            "f0_hz": np.array(
                draw(st.lists(st.floats(0, 900, width=16), min_size=bins, max_size=bins)),
                np.float32,
            ),
            "bin_seconds": np.array([draw(numbers(0, 6))]),
        },
        "pose": np.array(
            draw(
                st.lists(st.floats(-180, 180, width=32) | st.just(np.nan), min_size=9, max_size=9)
            ),
            np.float32,
        ).reshape(3, 3),
        "noise": draw(st.none() | numbers(-20, 96)),
        "spoken": draw(st.lists(numbers(0, 14_000), max_size=5)),
    }


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(edge=recordings(), language=st.sampled_from(LANGUAGES))
def test_any_measurements_give_a_whole_page(
    talking_head: Builder, edge: dict[str, Any], language: Any
) -> None:
    content = talking_head(4.0)
    voice, face = content.voice, content.face
    assert voice is not None and face is not None
    intervals = tuple(SpeechInterval(start_seconds=s, end_seconds=s + 1) for s in edge["spoken"])
    facts = voice.measurements.model_copy(
        update={"signal_to_noise_db": edge["noise"], "speech_intervals": intervals}
    )
    decoded: DecodeSummary = content.decoded.model_copy(
        update={"sound_seconds": edge["seconds"], "sound_start_seconds": edge["start"]}
    )
    plots = face.plots | {
        "pose": edge["pose"],
        "mouth_opening": edge["pose"][:, 0],
        "pose_seconds": np.array([0.0, 1.0, 2.0]),
    }
    html = render(
        replace(
            content,
            decoded=decoded,
            voice=MeasuredVoice(facts, None, edge["plots"]),
            face=MeasuredFace(face.measurements, None, face.portraits[:1], plots),
        ),
        language,
    )
    assert not re.search(r"\bnan\b|\binf\b|None", Page(html).text)
    assert not re.search(r'd="[^"]*(nan|inf)', html)
