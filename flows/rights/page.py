"""The export's first page, and the text that says how to read the rest; both without our software.

The page loads nothing and runs no script. It names recordings by the names that people gave them,
since it is for the person themselves.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import jinja2

from flows.report.template import environment, style
from flows.report.words import HTML_LANGUAGE, Language, Words
from flows.rights.folder import Written
from flows.telling import standing
from flows.telling.accesses import accesses
from flows.telling.acts import act
from flows.telling.words import day, joined, named_purposes, telling_words
from models.schema.kinds import KINDS, Content, Role, kind_named
from storage.catalogue.avatars import Avatar
from storage.catalogue.objects import StoredRow
from storage.catalogue.requests import Request
from storage.catalogue.uploads import Upload
from storage.registers.requests import Handling
from storage.registers.subject_access import Held

_FOLDER: Final = Path(__file__).parent
_LINKED: Final = frozenset({Content.RAW, Content.REPORT, Content.EVIDENCE})
"""What a person opens by itself; features are counted."""


@dataclass(frozen=True)
class Given:
    """One object and the file that it became."""

    row: StoredRow
    written: Written


@dataclass(frozen=True)
class NotGiven:
    """One object that is not in the folder; `why` is a key of the words."""

    row: StoredRow
    why: str


@dataclass(frozen=True)
class PageContent:
    """Everything that the page and the text tell."""

    held: Held
    request: Request
    handling: Handling
    given: Sequence[Given]
    not_given: Sequence[NotGiven]
    documents: Mapping[int, Sequence[str]]
    """Files of evidence by the ledger entry they belong to."""
    file_names: Mapping[str, str | None]
    """By upload, as it was named by whoever uploaded it."""
    avatar_names: Mapping[str, str]


@dataclass(frozen=True)
class _Upload:
    name: str
    state: str
    received: str
    purposes: str
    size: str
    links: Sequence[tuple[str, str]]
    """Path and what it is."""
    counted: str
    until: str
    nothing: str
    """Why there are no files of it."""


@cache
def page_words(language: Language) -> Words:
    """The words of one language; raises BadUsage for a language there are none of."""
    text = (_FOLDER / f"words_{language}.toml").read_text(encoding="utf-8")
    return telling_words(language).over(tomllib.loads(text))


def index(content: PageContent, language: Language, chosen: Language) -> str:
    """The first page as HTML; the one in the `chosen` language is `index.html`."""
    words = page_words(language)
    held = content.held
    other: Language = "zh" if language == "en" else "en"
    return _template("page.html", escaped=True).render(
        words=words,
        w=words.say,
        html_language=HTML_LANGUAGE[language],
        style=style(),
        other=f"index{'' if other == chosen else f'.{other}'}.html",
        other_language=HTML_LANGUAGE[other],
        readme=f"README{'' if language == chosen else f'.{language}'}.txt",
        made=words.moment(held.at),
        request=content.request.id,
        authenticated_by=content.handling.authenticated_by,
        purposes=[
            (
                words.named("purpose", each.purpose.value),
                each.allowed,
                standing.why(held, each, words),
            )
            for each in held.decisions
        ],
        stops=standing.freezes(held, words),
        orders=standing.orders(held, words),
        uploads=[_upload(each, content, words) for each in held.uploads],
        avatars=[_avatar(each, content, words) for each in held.avatars],
        accesses=accesses(held.accesses, words),
        disclosures=standing.disclosures(held, words),
        requests=[
            words.say("page.answers", when=words.moment(each.created_at))
            if each.id == content.request.id
            else standing.request(each, words)
            for each in held.requests
        ],
        history=[
            (act(entry, words), content.documents.get(entry.sequence, ())) for entry in held.entries
        ],
        not_given=_not_given(content, words),
    )


def readme(content: PageContent, language: Language) -> str:
    """What lies where, and how to read it with free software, as plain text."""
    words = page_words(language)
    counts = Counter(given.row.kind for given in content.given)
    template = _template(f"readme_{language}.txt", escaped=False)
    told = template.render(
        made=words.moment(content.held.at),
        kinds=[
            (name, words.named("held_about", name), counts[name])
            for name, kind in KINDS.items()
            if Role.PERSON in kind.read_by
        ],
        not_read=[(name, why_not_read(name, language)) for name in unreadable_kinds()],
        not_given=_not_given(content, words),
    )
    return f"{told}\n"


def unreadable_kinds() -> list[str]:
    """The kinds that a person's own access does not open; each is explained."""
    return [name for name, kind in KINDS.items() if Role.PERSON not in kind.read_by]


def why_not_read(kind: str, language: Language) -> str:
    """Why objects of a kind are not in the folder."""
    words = page_words(language)
    return words.named("not_read", kind if f"not_read.{kind}" in words.keys else "other")


def _upload(upload: Upload, content: PageContent, words: Words) -> _Upload:
    of = [given for given in content.given if given.row.upload_id == upload.id]
    linked = [given for given in of if kind_named(given.row.kind).content in _LINKED]
    counted = Counter(given.row.kind for given in of if given not in linked)
    missing = any(each.row.upload_id == upload.id for each in content.not_given)
    expiries = [given.row.expires_at for given in of if given.row.expires_at is not None]
    return _Upload(
        name=content.file_names.get(upload.id) or words.say("page.unnamed"),
        state=words.named("upload_state", upload.state.value),
        received=words.moment(upload.created_at),
        purposes=named_purposes(words, upload.purposes) or words.say("page.no_purpose"),
        size=words.size(upload.size_bytes) if upload.size_bytes is not None else "",
        links=[(each.written.file, words.named("held", each.row.kind)) for each in linked],
        counted=joined(
            words,
            (
                words.say("join.counted", count=count, name=words.named("held", kind))
                for kind, count in counted.items()
            ),
            "item",
        ),
        until=day(words, min(expiries)) if expiries else "",
        nothing=words.say("page.elsewhere" if missing else "page.nothing_kept"),
    )


def _avatar(avatar: Avatar, content: PageContent, words: Words) -> str:
    """An avatar, with how much of it there is in the folder."""
    mine = {each.id for each in content.held.artefacts if each.avatar_id == avatar.id}
    counted = Counter(given.row.kind for given in content.given if given.row.artefact_id in mine)
    name, when = content.avatar_names[avatar.id], words.moment(avatar.created_at)
    if not counted:
        return words.say("page.avatar_empty", name=name, when=when)
    told = joined(
        words,
        (
            words.say("join.counted", count=count, name=words.named("held", kind))
            for kind, count in counted.items()
        ),
        "item",
    )
    return words.say("page.avatar", name=name, when=when, counted=told)


def _not_given(content: PageContent, words: Words) -> list[str]:
    """One sentence for each kind and cause."""
    grouped = Counter((each.row.kind, each.why) for each in content.not_given)
    return [
        words.say(
            "not_given.line",
            what=words.say("join.counted", count=count, name=words.named("held", kind)),
            why=why_not_read(kind, words.language)
            if why == "not_for_reading"
            else words.say(f"not_given.{why}"),
        )
        for (kind, why), count in grouped.items()
    ]


def _template(name: str, *, escaped: bool) -> jinja2.Template:
    return environment(_FOLDER, autoescape=escaped).get_template(name)
