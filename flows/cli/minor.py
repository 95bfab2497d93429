"""`likeness minor`: people under 18 (Policy P21)."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.confirming import confirm
from flows.cli.moments import day_from
from flows.declaring import evidence_from
from flows.opening import storage
from flows.times import stamp

noun = typer.Typer(
    help="People under 18: flags, ages, whose guardian is still missing.", no_args_is_help=True
)

Subject = Annotated[str, typer.Option("--subject", help="Your own id of the person.")]
Turns = Annotated[
    str | None, typer.Option("--turns-18-on", help="The first day on which they are of age.")
]
Young = Annotated[
    bool, typer.Option("--fourteen-or-under", help="They are 14 or younger; the day is not known.")
]


@noun.command("flag")
@answering
def flag(
    subject: Subject,
    turns_18_on: Turns = None,
    fourteen_or_under: Young = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json_output: Json = False,
) -> Answer:
    """Record that a person is under 18: every use stops at once, until a guardian consents.

    Without a guardian's written consent (`consent grant --guardian`) within the deadline,
    everything of theirs is to be erased.

    Example: likeness minor flag --subject s-17 --turns-18-on 2028-03-01 --yes
    """
    confirm("Flag as a minor: every use stops at once, and an erasure is on record.", yes=yes)
    day = day_from(turns_18_on) if turns_18_on else None
    house = storage()
    stopped = house.minors.flag(subject, turns_18_on=day, fourteen_or_under=fourteen_or_under)
    (order,) = (
        order
        for order in house.consents.orders_of(house.subjects.known(subject).id)
        if order.id == stopped.order
    )
    starts = stamp(order.starts_at) if order.starts_at else None
    return Answer(
        {
            "ok": True,
            "freeze": stopped.freeze,
            "order": order.id,
            "erased_after": starts,
            "runs_stopped": stopped.runs_stopped,
        },
        lines=[
            f"every use is stopped ({stopped.runs_stopped} runs ended)",
            f"without a guardian's consent, order {order.id} erases everything after {starts}",
        ],
    )


@noun.command("state")
@answering
def state(
    subject: Subject,
    turns_18_on: Turns = None,
    fourteen_or_under: Young = False,
    json_output: Json = False,
) -> Answer:
    """Record the age of a minor of whom nothing is held yet, before their first upload.

    Example: likeness minor state --subject s-18 --fourteen-or-under
    """
    day = day_from(turns_18_on) if turns_18_on else None
    band = storage().minors.state_age(subject, turns_18_on=day, fourteen_or_under=fourteen_or_under)
    return Answer({"ok": True, "band": band.value}, lines=[f"recorded: {band.value}"])


@noun.command("adult")
@answering
def adult(
    subject: Subject,
    evidence: Annotated[str, typer.Option(help="The document that shows they are of age.")],
    json_output: Json = False,
) -> Answer:
    """Take a flag back, on a document that shows the person is of age.

    Example: likeness minor adult --subject s-17 --evidence identity-card.pdf
    """
    lifted = storage().minors.correct_to_adult(subject, evidence_from(evidence))
    return Answer({"ok": True, "lifted": lifted}, lines=[f"{lifted} stops lifted"])


@noun.command("list")
@answering
def list_waiting(json_output: Json = False) -> Answer:
    """List the minors that are stopped until a guardian consents, the longest waiting first.

    Example: likeness minor list
    """
    found = [
        {
            "subject": each.subject_id,
            "flagged_at": stamp(each.flagged_at),
            "erased_after": stamp(each.erased_after) if each.erased_after else None,
        }
        for each in storage().minors.waiting()
    ]
    return Answer(
        {"ok": True, "waiting": found},
        lines=[
            f"{each['subject']}  flagged {each['flagged_at']}  erased after {each['erased_after']}"
            for each in found
        ]
        or ["nobody waits for a guardian"],
    )
