"""What a switch costs, before it is done (Policy P07)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from flows.report.words import Words
from flows.telling.words import day, joined, named_purposes
from storage.registers.costs import Amount, Cost

Switch = Literal["refuse", "withdraw"]


def cost(switch: Switch, told: Cost, words: Words) -> list[str]:
    """A heading, then one sentence each: what stops, what is erased by when, what stays."""
    lines = [
        words.say(f"cost.head_{switch}", purposes=named_purposes(words, told.purposes)),
        words.say("cost.runs", count=told.runs) if told.runs else words.say("cost.runs_none"),
    ]
    never = told.purposes - told.granted
    if never:
        lines.append(words.say("cost.never", purposes=named_purposes(words, never)))
    if told.due_at is None:
        return lines
    if told.deleted:
        by = day(words, told.due_at)
        lines.append(words.say("cost.deleted", day=by, kinds=_amounts(told.deleted, words)))
    elif not never:
        lines.append(words.say("cost.deleted_none"))
    if told.deleted_uploads:
        lines.append(words.say("cost.deleted_uploads", count=told.deleted_uploads))
    if told.narrowed:
        purposes = named_purposes(words, told.kept_for)
        kinds = _amounts(told.narrowed, words)
        lines.append(words.say("cost.narrowed", purposes=purposes, kinds=kinds))
    return lines


def _amounts(amounts: Sequence[Amount], words: Words) -> str:
    return joined(
        words,
        (
            words.say(
                "join.amount",
                count=each.count,
                name=words.named("held", each.kind),
                size=words.size(each.bytes),
            )
            for each in amounts
        ),
        "item",
    )
