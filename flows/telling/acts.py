"""One ledger entry as a sentence: what was done, when, on what, by whom.

An event that nobody foresaw is told by its own name; nothing here fails on a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from flows.report.words import Words
from flows.telling.words import day, joined, named_purposes
from models.consent.facts import Event
from storage.registers.subject_access import Entry

_AGREED: Final = frozenset({Event.GRANT.value, Event.GUARDIAN_CONSENT.value})
_DIGITS_TOLD: Final = 16
"""The first digits of a digest suffice to find it in the records, which hold it whole."""
_LATER: Final = timedelta(minutes=1)
"""An act recorded later than this is told with both times."""


def act(entry: Entry, words: Words) -> str:
    """The sentence of one entry, without a full stop."""
    return joined(words, [_head(entry, words), *_clauses(entry, words)], "clause")


def evidence(payload: Mapping[str, Any], words: Words) -> str:
    """The evidence of a grant: what it is, and the first digits of its digest."""
    level = payload.get("evidence_level")
    kind = words.named("evidence", str(level)) if level else words.say("evidence.none")
    digest = payload.get("evidence_digest")
    if not digest:
        return kind
    return words.say("clause.digest", evidence=kind, digest=str(digest)[:_DIGITS_TOLD])


def _head(entry: Entry, words: Words) -> str:
    when = words.moment(_acted_at(entry))
    purpose = entry.payload.get("purpose")
    key = entry.event
    if purpose is None and key == "challenge_issued":
        key = "challenge_issued_plain"
    known = f"act.{key}"
    if known not in words.keys:
        return words.say("act.unknown", event=entry.event, when=when)
    named = named_purposes(words, [str(purpose)]) if purpose else words.say("act.some_purpose")
    return words.say(known, when=when, purpose=named)


def _clauses(entry: Entry, words: Words) -> Iterator[str]:
    payload = entry.payload
    if entry.event in _AGREED:
        yield from _agreement(payload, words)
    elif entry.event == "age_stated":
        yield words.named("clause", f"band_{payload.get('band')}")
        if turns := _day(payload.get("turns_18_on")):
            yield words.say("clause.turns_18", day=day(words, turns))
    elif entry.event == "legal_basis":
        yield words.say("clause.case", case=payload.get("case", "?"))
        if until := _moment(payload.get("expires_at")):
            yield words.say("clause.until", when=words.moment(until))
    elif entry.event == "request_opened" and (due := _moment(payload.get("due_at"))):
        yield words.say("clause.due", day=day(words, due))
    if entry.at - _acted_at(entry) > _LATER:
        yield words.say("clause.recorded", when=words.moment(entry.at))
    yield words.say("clause.entry", sequence=entry.sequence)


def _agreement(payload: Mapping[str, Any], words: Words) -> Iterator[str]:
    if payload.get("source") == "upload":
        yield words.say("clause.with_upload")
    version = payload.get("policy_version")
    yield words.say("clause.policy", version=version) if version else words.say("clause.no_policy")
    if uploader := payload.get("uploader"):
        yield words.say("clause.by", who=words.named("who", str(uploader)))
    yield words.say("clause.evidence", evidence=evidence(payload, words))
    if digest := payload.get("authorisation_digest"):
        yield words.say("clause.authorisation", digest=str(digest)[:_DIGITS_TOLD])
    if until := _moment(payload.get("expires_at")):
        yield words.say("clause.until", when=words.moment(until))
    if payload.get("recipient"):
        yield words.say("clause.recipient")
    if region := payload.get("region"):
        yield words.say("clause.region", region=region)


def _acted_at(entry: Entry) -> datetime:
    return _moment(entry.payload.get("acted_at")) or entry.at


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None
