"""What was read, grouped: `Read 3 times for voice cloning, by ingest on 25 November 2026`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date

from flows.report.words import Words
from flows.telling.words import day, joined, named_purposes
from storage.access_log import Access


@dataclass(frozen=True)
class Reading:
    """The accesses of one day by one role for one reason."""

    day: date
    role: str
    operation: str
    purposes: tuple[str, ...]
    kinds: Counter[str]

    @property
    def count(self) -> int:
        """How many objects were opened."""
        return self.kinds.total()


def readings(accesses: Iterable[Access]) -> list[Reading]:
    """The accesses grouped, in the order of the first of each group."""
    grouped: dict[tuple[date, str, str, tuple[str, ...]], Counter[str]] = {}
    for access in accesses:
        key = (access.at.astimezone(UTC).date(), access.role, access.operation, access.purposes)
        grouped.setdefault(key, Counter())[access.kind] += access.count or 1
    return [Reading(*key, kinds) for key, kinds in grouped.items()]


def accesses(log: Sequence[Access], words: Words) -> list[str]:
    """One sentence for each group."""
    return [_sentence(reading, words) for reading in readings(log)]


def _sentence(reading: Reading, words: Words) -> str:
    return words.say(
        "access.once" if reading.count == 1 else "access.times",
        count=reading.count,
        why=_why(reading, words),
        day=day(words, reading.day),
        kinds=joined(
            words,
            (
                words.say("join.counted", count=count, name=words.named("held", kind))
                for kind, count in sorted(reading.kinds.items())
            ),
            "item",
        ),
    )


def _why(reading: Reading, words: Words) -> str:
    known = f"access.{reading.operation}"
    reason = (
        words.say(known, purposes=named_purposes(words, reading.purposes))
        if known in words.keys
        else words.say("access.unknown", operation=reading.operation)
    )
    role = f"access.role_{reading.role}"
    if role not in words.keys:
        return reason
    return words.say("access.by", why=reason, role=words.say(role))
