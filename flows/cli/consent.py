"""`likeness consent`: the switches (Policy P07)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.answers import Answer, Json, answering, say
from flows.declaring import grant_from, purposes_from
from flows.opening import storage
from models.consent.decision import Decision
from models.consent.facts import Source
from models.schema.errors import BadUsage
from models.schema.purposes import Purpose
from storage.freezing import Stopped

noun = typer.Typer(
    help="What a person allowed, refused or withdrew, for each purpose.", no_args_is_help=True
)

Subject = Annotated[str, typer.Option("--subject", help="Your own id of the person.")]
Purposes = Annotated[
    list[str] | None, typer.Option("--purpose", help=f"One of: {', '.join(Purpose)}.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


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
    json_output: Json = False,
) -> Answer:
    """Record that a person agrees to a purpose, with evidence.

    After a refusal or withdrawal this is the only way back, and the evidence must be new.

    Example: likeness consent grant --subject s-17 --purpose voice_cloning
    --evidence form.pdf --self
    """
    purposes = purposes_from(purpose or [])
    act = grant_from(evidence, himself=himself, authorised_by=authorised_by, source=Source.EXPLICIT)
    storage().consents.grant(subject, purposes, act)
    return _shown(subject)


@noun.command("refuse")
@answering
def refuse(
    subject: Subject, purpose: Purposes = None, yes: Yes = False, json_output: Json = False
) -> Answer:
    """Record that a person refuses a purpose; every use for it stops at once.

    Example: likeness consent refuse --subject s-17 --purpose model_improvement --yes
    """
    purposes = purposes_from(purpose or [])
    confirm(
        f"Refuse {', '.join(sorted(purposes))}: every use stops at once, and what was made for it "
        "is to be erased.",
        yes=yes,
    )
    stopped = [storage().consents.refuse(subject, each) for each in sorted(purposes)]
    return _stopped(subject, stopped)


@noun.command("withdraw")
@answering
def withdraw(
    subject: Subject, purpose: Purposes = None, yes: Yes = False, json_output: Json = False
) -> Answer:
    """Withdraw consent to a purpose: every use stops with this command, and an erasure is owed.

    Example: likeness consent withdraw --subject s-17 --purpose voice_cloning --yes
    """
    purposes = purposes_from(purpose or [])
    confirm(
        f"Withdraw {', '.join(sorted(purposes))}: every use stops at once, and what was made for "
        "it is to be erased.",
        yes=yes,
    )
    stopped = [storage().consents.withdraw(subject, each) for each in sorted(purposes)]
    return _stopped(subject, stopped)


@noun.command("show")
@answering
def show(subject: Subject, json_output: Json = False) -> Answer:
    """Show for each purpose whether it is allowed now, and why not.

    Example: likeness consent show --subject s-17
    """
    return _shown(subject)


def confirm(what: str, *, yes: bool) -> None:
    """Show what a destructive command will do and ask; raises BadUsage where nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadUsage(
            "This needs a confirmation, and there is no terminal to ask on.",
            remedy="Give --yes once you are sure.",
        )
    say(what)
    if not typer.confirm("Go on?", err=True):
        raise typer.Abort


def _shown(subject: str) -> Answer:
    decisions = storage().consents.decisions(subject)
    return Answer(
        {"decisions": [_fields(decision) for decision in decisions]},
        lines=[_line(decision) for decision in decisions],
    )


def _stopped(subject: str, stopped: list[Stopped]) -> Answer:
    answer = _shown(subject)
    answer.fields["stopped"] = [
        {"freeze": each.freeze, "order": each.order, "runs_stopped": each.runs_stopped}
        for each in stopped
    ]
    for each in stopped:
        owed = f"erasure order {each.order} is pending" if each.order else "nothing is to be erased"
        answer.lines.append(f"{each.runs_stopped} runs stopped; {owed}")
    return answer


def _fields(decision: Decision) -> dict[str, object]:
    return {
        "purpose": decision.purpose.value,
        "allowed": decision.allowed,
        "basis": decision.basis,
        "reasons": [reason.model_dump() for reason in decision.reasons],
    }


def _line(decision: Decision) -> str:
    answer = "allowed" if decision.allowed else "refused"
    reasons = " ".join(reason.english for reason in decision.reasons)
    return f"{decision.purpose.value:<18} {answer:<8} {reasons}".rstrip()
