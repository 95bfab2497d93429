"""`likeness consent`: the switches (Policy P07)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import statement
from flows.cli.answers import Answer, Json, answering
from flows.cli.confirming import confirm
from flows.cli.moments import moment_from
from flows.declaring import grant_from, purposes_from
from flows.opening import storage
from flows.rights import records
from flows.settings import settings
from flows.telling import standing
from flows.telling.costs import Switch
from flows.telling.costs import cost as told_cost
from flows.telling.words import telling_words
from models.schema.errors import NotFound
from models.schema.purposes import Purpose
from storage.freezing import Stopped
from storage.registers.costs import Cost

noun = typer.Typer(
    help="What a person allowed, refused or withdrew, for each purpose.", no_args_is_help=True
)
statement.add_to(noun)

Subject = Annotated[str, typer.Option("--subject", help="Your own id of the person.")]
Purposes = Annotated[
    list[str] | None, typer.Option("--purpose", help=f"One of: {', '.join(Purpose)}.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would stop and what would be erased.")
]


@noun.command("grant")
@answering
def grant(
    subject: Subject,
    purpose: Purposes = None,
    evidence: Annotated[
        str, typer.Option(help="How the person agreed, in words, or a document's path.")
    ] = "",
    himself: Annotated[
        bool, typer.Option("--self", help="The person acts for themselves.")
    ] = False,
    authorised_by: Annotated[
        Path | None, typer.Option(help="The document by which the person authorised you.")
    ] = None,
    guardian: Annotated[
        str | None,
        typer.Option(help="A minor's guardian consents: your own id of the guardian."),
    ] = None,
    evidence_sha256: Annotated[
        str | None, typer.Option(help="The evidence's SHA-256, to be sure it is the right one.")
    ] = None,
    acted_at: Annotated[
        str | None, typer.Option(help="When the person agreed, if not now: a day, or a time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="They agreed until then; else as long as the service.")
    ] = None,
    policy_version: Annotated[
        str | None, typer.Option(help="The policy version agreed to, if not the one in force then.")
    ] = None,
    recipient: Annotated[
        str | None,
        typer.Option(help="They agree to a disclosure to this registered recipient, and no more."),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The region abroad that the disclosure goes to.")
    ] = None,
    json_output: Json = False,
) -> Answer:
    """Record that a person agrees to a purpose, with evidence.

    After a refusal or withdrawal this is the only way back, and the evidence must be new.

    Example: likeness consent grant --subject s-17 --purpose voice_cloning
    --evidence form.pdf --self
    """
    purposes = purposes_from(purpose or [])
    act = grant_from(
        evidence,
        himself=himself,
        authorised_by=authorised_by,
        guardian=guardian,
        explicit=True,
        evidence_sha256=evidence_sha256,
    )
    act = replace(
        act,
        acted_at=moment_from(acted_at) if acted_at else act.acted_at,
        expires_at=moment_from(until) if until else None,
        policy_version=policy_version,
        recipient=storage().disclosures.recipient(recipient).id if recipient else None,
        region=region,
    )
    storage().consents.grant(subject, purposes, act)
    return _shown(subject)


@noun.command("refuse")
@answering
def refuse(
    subject: Subject,
    purpose: Purposes = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json_output: Json = False,
) -> Answer:
    """Record that a person refuses a purpose; every use for it stops at once.

    Shows first what stops and what is to be erased.

    Example: likeness consent refuse --subject s-17 --purpose model_improvement --yes
    """
    purposes = purposes_from(purpose or [])
    cost = storage().costs.cost_of_stopping(subject, purposes)
    if dry_run:
        return _cost_only("refuse", cost)
    confirm("\n".join(_cost_lines("refuse", cost)), yes=yes)
    stopped = [storage().consents.refuse(subject, each) for each in sorted(purposes)]
    return _stopped(subject, stopped, cost)


@noun.command("withdraw")
@answering
def withdraw(
    subject: Subject,
    purpose: Purposes = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json_output: Json = False,
) -> Answer:
    """Withdraw consent to a purpose: every use stops with this command, and an erasure is owed.

    Shows first what stops and what is to be erased.

    Example: likeness consent withdraw --subject s-17 --purpose voice_cloning --yes
    """
    purposes = purposes_from(purpose or [])
    storage().subjects.known(subject)
    cost = storage().costs.cost_of_stopping(subject, purposes)
    if dry_run:
        return _cost_only("withdraw", cost)
    confirm("\n".join(_cost_lines("withdraw", cost)), yes=yes)
    # What was never granted cannot be withdrawn, and says so before anything is done.
    in_order = sorted(purposes, key=lambda each: (each in cost.granted, each))
    stopped = [storage().consents.withdraw(subject, each) for each in in_order]
    return _stopped(subject, stopped, cost)


@noun.command("show")
@answering
def show(subject: Subject, json_output: Json = False) -> Answer:
    """Show for each purpose whether it is allowed now, why, and what was agreed to.

    In plain words, English or Chinese as LIKENESS_LANGUAGE says.

    Example: likeness consent show --subject s-17
    """
    return _shown(subject)


def _shown(subject: str) -> Answer:
    house, words = storage(), telling_words(settings().language)
    try:
        held = house.subject_access.held(subject)
    except NotFound:  # nothing is known of them, so nothing is allowed
        decisions = house.consents.decisions(subject)
        return Answer(
            {"decisions": [records.decision(each) for each in decisions], "consents": []},
            lines=[standing.purpose_line(each, words) for each in decisions],
        )
    lines = [line for each in held.decisions for line in standing.told(held, each, words)]
    return Answer(
        {
            "decisions": [records.decision(each) for each in held.decisions],
            "consents": [records.consent(fact) for fact in held.facts],
            "freezes": [records.freeze(row) for row in held.freezes],
            "orders": [records.order(order) for order in held.orders],
        },
        lines=[*lines, *standing.freezes(held, words), *standing.orders(held, words)],
    )


def _stopped(subject: str, stopped: list[Stopped], cost: Cost) -> Answer:
    answer = _shown(subject)
    answer.fields["stopped"] = [
        {"freeze": each.freeze, "order": each.order, "runs_stopped": each.runs_stopped}
        for each in stopped
    ]
    answer.fields["cost"] = records.cost(cost)
    for each in stopped:
        owed = f"erasure order {each.order} is pending" if each.order else "nothing is to be erased"
        answer.lines.append(f"{each.runs_stopped} runs stopped; {owed}")
    return answer


def _cost_only(switch: Switch, cost: Cost) -> Answer:
    return Answer({"cost": records.cost(cost)}, lines=_cost_lines(switch, cost))


def _cost_lines(switch: Switch, cost: Cost) -> list[str]:
    return told_cost(switch, cost, telling_words(settings().language))
