"""One page with the portraits and clips that a reviewer asked for; it plays nothing by itself."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from types import MappingProxyType
from typing import Any, Final, Literal

from flows.review.looking import HeardVoice, Look, SeenPortraits

_WORDS: Final = MappingProxyType(
    {
        "en": {
            "title": "Whose voice, whose face?",
            "private": "This page shows personal data and is kept nowhere. Close it when you have "
            "decided, and delete any copy. That it was opened is on record.",
            "doubts": "Why the upload waits",
            "person": "Person {number}",
            "main": "Person {number}, seen most",
            "seconds": "{seconds:.0f} s",
            "no_portrait": "Seen too briefly for a portrait of their own.",
            "earlier_faces": "Earlier uploads of the same person",
            "voice": "Voice {number}",
            "main_voice": "Voice {number}, heard most",
            "earlier_voice": "An earlier upload of the same person",
            "no_clip": "This voice never speaks alone for long enough.",
        },
        "zh": {
            "title": "这是谁的声音、谁的脸？",
            "private": "本页含有个人信息，不会保存在任何地方。作出决定后请关闭，并删除所有副本。"
            "打开本页已记录在案。",
            "doubts": "等待确认的原因",
            "person": "人物 {number}",
            "main": "人物 {number}（出现最多）",
            "seconds": "{seconds:.0f} 秒",
            "no_portrait": "出现时间太短，没有单独的人像。",
            "earlier_faces": "同一人以前的上传",
            "voice": "声音 {number}",
            "main_voice": "声音 {number}（说话最多）",
            "earlier_voice": "同一人以前的一次上传",
            "no_clip": "这个声音没有足够长的单独说话片段。",
        },
    }
)

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "img{width:10rem;height:10rem;margin:0 .5rem .5rem 0}audio{display:block}"
)
_POLICY: Final = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def render(look: Look, item: dict[str, Any], language: Literal["en", "zh"]) -> str:
    """The page as HTML; `item` is the upload as `flows.review.deciding.item` tells it."""
    words = _WORDS[language]
    sentence = "chinese" if language == "zh" else "english"
    parts = [
        f"<h1>{words['title']}</h1><p>{words['private']}</p>",
        f"<h2>{words['doubts']}</h2><ul>",
        *(f"<li>{escape(doubt[sentence])}</li>" for doubt in item["reasons"]),
        "</ul>",
        *_people(look.people, words),
    ]
    if look.earlier_people:
        parts.append(f"<h2>{words['earlier_faces']}</h2>")
        parts += [picture for person in look.earlier_people for picture in _pictures(person)]
    parts += _voices(look, words)
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"><head>'
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex, nofollow, noarchive"><link rel="icon" href="data:,">'
        f"<title>{words['title']}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>"
    )


def _people(people: Iterable[SeenPortraits], words: dict[str, str]) -> Iterable[str]:
    for number, person in enumerate(people, 1):
        name = words["main" if number == 1 else "person"].format(number=number)
        seconds = words["seconds"].format(seconds=person.seconds or 0.0)
        yield f"<h2>{name} · {seconds}</h2>"
        yield from _pictures(person) if person.pictures else [f"<p>{words['no_portrait']}</p>"]


def _pictures(person: SeenPortraits) -> Iterable[str]:
    for picture in person.pictures:
        yield f'<img alt="" src="data:image/jpeg;base64,{b64encode(picture).decode()}">'


def _voices(look: Look, words: dict[str, str]) -> Iterable[str]:
    for number, voice in enumerate(look.voices, 1):
        name = words["main_voice" if number == 1 else "voice"].format(number=number)
        yield f"<h2>{name}</h2>{_player(voice, words)}"
    if look.earlier_voice is not None:
        yield f"<h2>{words['earlier_voice']}</h2>{_player(look.earlier_voice, words)}"


def _player(voice: HeardVoice, words: dict[str, str]) -> str:
    if voice.clip is None:
        return f"<p>{words['no_clip']}</p>"
    sound = b64encode(voice.clip).decode()
    return f'<audio controls preload="none" src="data:audio/wav;base64,{sound}"></audio>'
