"""What an erasure would do, told before it is done (Policy P15, P17)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows.report.words import Words
from flows.telling.words import joined
from storage.catalogue.erasures import Action
from storage.erasure.plan import Plan

GROUPS = (
    "subjects",
    "uploads",
    "avatars",
    "artefacts",
    "generations",
    "runs",
    "narrowed_uploads",
    "kept_uploads",
    "other_avatars",
    "bases",
)
"""The groups of a plan that people are told of, in the order in which they are."""


def fields(plan: Plan) -> dict[str, Any]:
    """A plan as JSON: random ids by group, and objects by kind."""
    return {
        **{group: plan.groups[group] for group in GROUPS},
        "recipients": sorted({*plan.recipients}),
        "objects": _amounts(plan, Action.ERASE),
        "narrowed_objects": _amounts(plan, Action.NARROW),
    }


def lines(plan: Plan, words: Words) -> list[str]:
    """A line each: what goes, what stops with it, what stays and why."""
    return list(_lines(plan, words)) or [words.say("plan.nothing")]


def _lines(plan: Plan, words: Words) -> Iterator[str]:
    for action, key in ((Action.ERASE, "plan.objects"), (Action.NARROW, "plan.narrowed")):
        if amounts := _amounts(plan, action):
            told = (
                words.say(
                    "join.amount",
                    count=each["count"],
                    name=words.named("held", each["kind"]),
                    size=words.size(each["bytes"]),
                )
                for each in amounts
            )
            yield words.say(key, kinds=joined(words, told, "item"))
    for group in GROUPS:
        if count := len(plan.groups[group]):
            yield words.say(f"plan.{group}", count=count)
    if plan.recipients:
        yield words.say("plan.recipients", count=len({*plan.recipients}))


def _amounts(plan: Plan, action: Action) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "count": count, "bytes": size}
        for kind, (count, size) in plan.amounts(action).items()
    ]
