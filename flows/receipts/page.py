"""The receipt as a page that a person can read: both languages in one file, no script.

The chosen language comes first and the other one below it, so that a print holds both; what needs
no language, the digests, stands once at the end.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import jinja2

from flows.report.template import environment, style
from flows.report.words import HTML_LANGUAGE, LANGUAGES, Language, Words, number
from flows.telling.words import day, telling_words
from models.receipts.signing import canonical
from models.schema.erasure import Step
from models.schema.kinds import KINDS
from models.schema.receipt import Informed, Kept, Receipt, RemovedObject, SignedReceipt

_FOLDER: Final = Path(__file__).parent
LISTED_MOST: Final = 1000
"""Objects whose digests the page lists; the signed file lists all. A browser is slow to open a
table of 100,000 rows, and nobody reads one."""

GROUPS: Final = (
    "accounts",
    "subjects",
    "uploads",
    "avatars",
    "artefacts",
    "generations",
    "snapshot_members",
    "disclosures",
    "requests",
    "challenges",
    "ledger_payloads",
)
"""Groups of rows that an erasure reduces or deletes, in the order in which they are told."""


@dataclass(frozen=True)
class Removed:
    """One line of what was removed."""

    name: str
    count: str
    size: str = ""


@dataclass(frozen=True)
class Stays:
    """One line of what was kept."""

    what: str
    count: str
    why: str
    until: str


@dataclass(frozen=True)
class Told:
    """Everything that the page says in one language."""

    language: Language
    html_language: str
    words: Words
    what: str
    finished: str
    in_time: bool
    removed: Sequence[Removed]
    total: Removed
    rows: Sequence[Removed]
    steps: Sequence[tuple[str, str]]
    kept: Sequence[Stays]
    informed: Sequence[str]
    digests: str
    """How many digests are listed, of how many."""


@cache
def receipt_words(language: Language) -> Words:
    """The words of one language; raises BadUsage for a language there are none of."""
    text = (_FOLDER / f"words_{language}.toml").read_text(encoding="utf-8")
    return telling_words(language).over(tomllib.loads(text))


def page(signed: SignedReceipt, first: Language) -> str:
    """The receipt as HTML, the `first` language on top.

    It loads nothing and runs nothing (Policy P27); beyond the receipt it holds nothing, so the
    person's own copy alone has the salt. It shows what is signed and does not check it.
    """
    order = [first, *(language for language in LANGUAGES if language != first)]
    return _template().render(
        signed=signed,
        receipt=signed.receipt,
        told=[_told(signed.receipt, receipt_words(language)) for language in order],
        listed=signed.receipt.removed[:LISTED_MOST],
        digest=sha256(canonical(signed.receipt)).hexdigest(),
        style=style(),
    )


def _told(receipt: Receipt, words: Words) -> Told:
    done_at = receipt.steps.get(Step.SIGNED)
    in_time = done_at is not None and done_at <= receipt.due_at
    finished = words.say("steps.missing") if done_at is None else words.moment(done_at)
    shown, count = min(len(receipt.removed), LISTED_MOST), len(receipt.removed)
    return Told(
        language=words.language,
        html_language=HTML_LANGUAGE[words.language],
        words=words,
        what=_scope(receipt, words),
        finished=words.say("ordered.in_time" if in_time else "ordered.late", when=finished)
        if done_at is not None
        else finished,
        in_time=in_time,
        removed=list(_removed(receipt.removed, words)),
        total=_line(words.say("removed.total"), receipt.removed, words),
        rows=[
            Removed(words.named("group", group), number(rows))
            for group, rows in _in_order(receipt.removed_rows)
        ],
        steps=[
            (
                words.named("step", step.value),
                _to_the_second(receipt.steps[step], words)
                if step in receipt.steps
                else words.say("steps.missing"),
            )
            for step in Step
        ],
        kept=[_stays(each, words) for each in receipt.kept],
        informed=[_informed(each, words) for each in receipt.informed],
        digests=words.say(
            "digests.all" if shown == count else "digests.first",
            shown=number(shown),
            count=number(count),
        ),
    )


def _to_the_second(when: datetime, words: Words) -> str:
    return words.say("steps.moment", day=day(words, when), time=f"{when:%H:%M:%S}")


def _in_order(rows: Mapping[str, int]) -> list[tuple[str, int]]:
    """The groups of which there are rows, people first; groups without a word come last."""
    groups = [*GROUPS, *sorted(set(rows) - set(GROUPS))]
    return [(group, rows[group]) for group in groups if rows.get(group)]


def _scope(receipt: Receipt, words: Words) -> str:
    if receipt.purpose is None:
        return words.named("scope", receipt.scope)
    purpose = words.named("purpose_in_sentence", receipt.purpose.value)
    return words.say(f"scope_for.{receipt.scope}", purpose=purpose)


def _removed(objects: Sequence[RemovedObject], words: Words) -> Iterator[Removed]:
    """A line for each kind, in the order in which kinds are declared."""
    by_kind: dict[str, list[RemovedObject]] = {kind: [] for kind in KINDS}
    for each in objects:
        by_kind.setdefault(each.kind, []).append(each)
    for kind, of_kind in by_kind.items():
        if of_kind:
            yield _line(words.named("erased", kind), of_kind, words)


def _line(name: str, objects: Sequence[RemovedObject], words: Words) -> Removed:
    return Removed(name, number(len(objects)), words.size(sum(o.sealed_bytes for o in objects)))


def _stays(kept: Kept, words: Words) -> Stays:
    return Stays(
        what=words.named("kept", kept.what.value),
        count=number(kept.count),
        why=words.named("reason", kept.why.value),
        until=words.say("stays.no_day") if kept.until is None else day(words, kept.until),
    )


def _informed(informed: Informed, words: Words) -> str:
    times = (
        words.say("informed.once")
        if informed.disclosures == 1
        else words.say("informed.times", count=informed.disclosures)
    )
    if informed.told_at is None:
        return words.say("informed.waiting", recipient=informed.recipient, times=times)
    when = words.moment(informed.told_at)
    return words.say("informed.told", recipient=informed.recipient, times=times, when=when)


@cache
def _template() -> jinja2.Template:
    templates = environment(_FOLDER)
    templates.globals["day"] = day
    templates.globals["number"] = number
    return templates.get_template("page.html")
