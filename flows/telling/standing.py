"""What is allowed now and on which consent, what stops it, what is coming, what is owed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from flows.report.words import Words
from flows.telling.acts import act
from flows.telling.words import day, joined, named_purposes
from models.consent.ages import newest
from models.consent.decision import Decision
from models.consent.policies import overtaken_by
from models.consent.reasons import Reason
from storage.catalogue.freezes import FreezeRow
from storage.catalogue.orders import Order, OrderState
from storage.catalogue.requests import Request, RequestState
from storage.registers.subject_access import Held


def purpose_line(decision: Decision, words: Words) -> str:
    """`Voice cloning: Allowed.`"""
    answer = words.say("standing.allowed" if decision.allowed else "standing.refused")
    name = words.named("purpose", decision.purpose.value)
    return words.say("standing.line", purpose=name, answer=answer)


def why(held: Held, decision: Decision, words: Words) -> list[str]:
    """Everything about one purpose: why not, what was agreed or refused, what is coming."""
    told = [_reason(reason, words) for reason in decision.reasons]
    if decision.basis is not None:
        told.append(words.say("standing.basis", sequence=decision.basis))
    told += warnings(held, decision, words)
    about = {fact.sequence for fact in held.facts if fact.purpose is decision.purpose}
    told += [act(entry, words) for entry in held.entries if entry.sequence in about]
    return told


def told(held: Held, decision: Decision, words: Words) -> list[str]:
    """The same under the purpose's own line, for a terminal."""
    return [purpose_line(decision, words), *(f"  {line}" for line in why(held, decision, words))]


def warnings(held: Held, decision: Decision, words: Words) -> list[str]:
    """What will stop an allowed use, with its day where it is known."""
    return [
        words.say(
            "standing.warning",
            sentence=joined(
                words, [_reason(each, words), *_when(held, decision, each, words)], "sentence"
            ),
        )
        for each in decision.warnings
    ]


def freezes(held: Held, words: Words) -> list[str]:
    """The stops in force."""
    return [_freeze(row, words) for row in held.freezes if row.lifted_at is None]


def orders(held: Held, words: Words) -> list[str]:
    """Every order: what is owed and by when, or what became of it."""
    owed = {OrderState.PENDING, OrderState.RUNNING}
    told = list(chain.from_iterable(_order(order, words) for order in held.orders))
    if any(order.state in owed for order in held.orders):
        told += [
            words.say("order.held", case=hold.case, day=day(words, hold.expires_at))
            for hold in held.holds
        ]
    return told


def disclosures(held: Held, words: Words) -> list[str]:
    """What left, to whom, when, for what and on which ground."""
    return [
        words.say(
            "disclosure.line",
            kinds=joined(words, (words.named("held", k) for k in sorted(disclosure.kinds)), "item"),
            recipient=recipient,
            when=words.moment(disclosure.created_at),
            purpose=named_purposes(words, [disclosure.purpose]),
            ground=words.named("disclosure", disclosure.basis.value),
        )
        for recipient, disclosure in held.disclosures
    ]


def requests(held: Held, words: Words) -> list[str]:
    """What the person asked for."""
    return [request(each, words) for each in held.requests]


def request(asked: Request, words: Words) -> str:
    """What the person asked for and its deadline, or when it was answered."""
    when = words.moment(asked.created_at)
    if asked.state is RequestState.OPEN or asked.answered_at is None:
        return words.say("request.open", when=when, day=day(words, asked.due_at))
    return words.say("request.answered", when=when, answered=words.moment(asked.answered_at))


def _when(held: Held, decision: Decision, warning: Reason, words: Words) -> Iterator[str]:
    grants = [fact for fact in held.facts if fact.sequence == decision.basis]
    if warning.code == "policy_change_ahead":
        for grant in grants:
            overtaken = overtaken_by(
                held.policies, decision.purpose, grant.policy_version, grant.acted_at
            )
            for policy in overtaken[:1]:
                when = day(words, policy.effective_at)
                yield words.say("standing.policy_ahead", version=policy.version, day=when)
    elif warning.code == "consent_expires":
        for grant in grants:
            if grant.expires_at is not None:
                yield words.say("standing.expires", when=words.moment(grant.expires_at))
    elif warning.code == "turns_18_ahead":
        stated = newest(held.ages)
        if stated is not None and stated.turns_18_on is not None:
            yield words.say("standing.turns_18", day=day(words, stated.turns_18_on))


def _freeze(row: FreezeRow, words: Words) -> str:
    known = f"freeze.{row.cause}" in words.keys
    cause = (
        words.say(f"freeze.{row.cause}") if known else words.say("freeze.unknown", cause=row.cause)
    )
    when = words.moment(row.created_at)
    if row.purpose is None:
        return words.say("freeze.all", when=when, cause=cause)
    purpose = named_purposes(words, [row.purpose])
    return words.say("freeze.purpose", purpose=purpose, when=when, cause=cause)


def _order(order: Order, words: Words) -> Iterator[str]:
    ordered = day(words, order.created_at)
    if order.state is OrderState.CANCELLED:
        yield words.say("order.cancelled", day=ordered)
        return
    if order.state is OrderState.DONE:
        done = day(words, order.done_at or order.due_at)
        yield words.say("order.done", day=ordered, done=done, order=order.id)
        return
    due = day(words, order.due_at)
    sentence = (
        words.say("order.all", day=due)
        if order.purpose is None
        else words.say("order.purpose", day=due, purpose=named_purposes(words, [order.purpose]))
    )
    parts = [sentence]
    if order.starts_at is not None:
        parts.append(words.say("order.starts", day=day(words, order.starts_at)))
    parts.append(words.say("order.named", order=order.id))
    yield joined(words, parts, "sentence")


def _reason(reason: Reason, words: Words) -> str:
    return reason.chinese if words.language == "zh" else reason.english
