"""`likeness policy`: versions of the privacy policy (Policy P22)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.moments import moment_from
from flows.declaring import purposes_from
from flows.opening import storage
from flows.times import stamp
from models.consent.policies import BASELINE, Change, ChangeReason, PolicyVersion
from models.schema.errors import BadUsage
from storage.registers.policies import Stale

noun = typer.Typer(
    help="Versions of the privacy policy, and the consents they make stale.", no_args_is_help=True
)


@noun.command("publish")
@answering
def publish(
    version: Annotated[str, typer.Option(help="Its name, for instance its date.")],
    effective: Annotated[str, typer.Option(help="From when it applies: a day, or a time.")],
    change: Annotated[
        list[str] | None,
        typer.Option(
            help="A change by its reason in article VIII, with the purposes it is material for: "
            "a:voice_cloning,digital_human. Without purposes (e) it makes no consent stale."
        ),
    ] = None,
    json_output: Json = False,
) -> Answer:
    """Publish a version. From its day on, older consents to what it changes need renewing.

    Example: likeness policy publish --version 2027-01-01 --effective 2027-01-01
    --change a:voice_cloning
    """
    house = storage()
    policy = house.policies.publish(
        version,
        effective_at=moment_from(effective),
        changes=tuple(_change(text) for text in change or []),
    )
    stopped = house.policies.stopped_by(policy)
    lines = [f"published {policy.version}, in force from {stamp(policy.effective_at)}"]
    return Answer(
        {"ok": True, "policy": _fields(policy, stopped)}, lines=[*lines, *_stopped(stopped)]
    )


@noun.command("list")
@answering
def list_policies(json_output: Json = False) -> Answer:
    """List the versions, which one applies now, and whose use each stops or will stop.

    Example: likeness policy list
    """
    house = storage()
    current = house.policies.in_force()
    fields, lines = [], [f"{current}  in force"] if current == BASELINE else []
    for policy in house.policies.all():
        stopped = house.policies.stopped_by(policy)
        fields.append(_fields(policy, stopped))
        state = "in force" if policy.version == current else f"from {stamp(policy.effective_at)}"
        lines += [f"{policy.version}  {state}", *_stopped(stopped)]
    return Answer({"ok": True, "in_force": current, "policies": fields}, lines=lines)


def _change(text: str) -> Change:
    reason, _, purposes = text.partition(":")
    if reason not in set(ChangeReason):
        raise BadUsage(
            "A change names a reason that does not exist.",
            remedy=f"The reasons of article VIII are {', '.join(ChangeReason)} (Policy P22).",
        )
    named = [name.strip() for name in purposes.split(",") if name.strip()]
    return Change(
        reason=ChangeReason(reason), purposes=purposes_from(named) if named else frozenset()
    )


def _fields(policy: PolicyVersion, stopped: list[Stale]) -> dict[str, Any]:
    return {
        "version": policy.version,
        "published_at": stamp(policy.published_at),
        "effective_at": stamp(policy.effective_at),
        "changes": [
            {"reason": each.reason.value, "purposes": sorted(each.purposes)}
            for each in policy.changes
        ],
        "stopped": [{"purpose": each.purpose.value, "people": each.people} for each in stopped],
    }


def _stopped(stopped: list[Stale]) -> list[str]:
    return [
        f"  {each.purpose.value}: {each.people} people must renew their consent" for each in stopped
    ]
