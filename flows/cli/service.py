"""`likeness service`: the end of the service (Policy P14)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.confirming import confirm
from flows.cli.moments import moment_from
from flows.declaring import evidence_from
from flows.opening import storage
from flows.times import stamp
from storage.registers.termination import Left, ServiceEnd

noun = typer.Typer(
    help="The service: its end, announced in time, after which everything is erased.",
    no_args_is_help=True,
)

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it means.")]


@noun.command("end")
@answering
def end(
    on: Annotated[
        str, typer.Option(help="When it ends: a day (its beginning in China), or a time.")
    ],
    notice: Annotated[
        str,
        typer.Option(
            help="The notice that everybody is given: a file, of which the digest is kept."
        ),
    ],
    yes: Yes = False,
    dry_run: DryRun = False,
    json_output: Json = False,
) -> Answer:
    """Announce the end of the service, at least 30 days before. From that day everybody is erased.

    Until then nothing stops, and it can be put off or called off.

    Example: likeness service end --on 2027-06-30 --notice notice.pdf --yes
    """
    ends_at, document = moment_from(on), evidence_from(notice)
    house = storage()
    left = house.termination.left()
    plan = [
        f"from {stamp(ends_at)} on everything is erased, and cannot be brought back",
        _who(left),
    ]
    if dry_run:
        house.termination.check(ends_at, document)
        return Answer(_fields(None, left), lines=[*plan, "nothing was recorded"])
    confirm("\n".join(plan), yes=yes)
    announced = house.termination.announce(ends_at, document)
    return Answer(_fields(announced, left), lines=[_line(announced), _who(left)])


@noun.command("call-off")
@answering
def call_off(yes: Yes = False, json_output: Json = False) -> Answer:
    """Call the announced end off: the service goes on.

    Example: likeness service call-off --yes
    """
    confirm("The announced end of the service no longer holds.", yes=yes)
    before = storage().termination.call_off()
    return Answer(
        {"ok": True, "service": None},
        lines=[f"the end on {stamp(before.ends_at)} is called off"],
    )


@noun.command("show")
@answering
def show(json_output: Json = False) -> Answer:
    """Show when the service ends, and how many have no erasure order by its end yet.

    Example: likeness service show
    """
    house = storage()
    announced = house.termination.announced()
    if announced is None:
        return Answer({"ok": True, "service": None}, lines=["no end of the service was announced"])
    left = house.termination.left()
    return Answer(_fields(announced, left), lines=[_line(announced), _who(left)])


def _fields(announced: ServiceEnd | None, left: Left) -> dict[str, Any]:
    return {
        "ok": True,
        "service": None
        if announced is None
        else {
            "ends_at": stamp(announced.ends_at),
            "announced_at": stamp(announced.announced_at),
            "notice_digest": announced.notice_digest,
            "ended": storage().termination.has_ended(),
        },
        "without_order": {"accounts": len(left.accounts), "people": len(left.people)},
    }


def _line(announced: ServiceEnd) -> str:
    return f"ends {stamp(announced.ends_at)}, announced {stamp(announced.announced_at)}"


def _who(left: Left) -> str:
    return (
        f"without an erasure order by it: {len(left.accounts)} accounts, and {len(left.people)} "
        "people without an account"
    )
