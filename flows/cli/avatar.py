"""`likeness avatar`: a person's clone and human, and what was trained for them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.opening import storage
from flows.rights import records
from flows.times import stamp
from models.schema.erasure import ErasureGround
from storage.assembly import Storage
from storage.catalogue.artefacts import Artefact
from storage.catalogue.avatars import Avatar
from storage.catalogue.freezes import Scope
from storage.erasure.orders import Request

noun = typer.Typer(
    help="Avatars: a person's clone and human, as the product shows them.", no_args_is_help=True
)

AvatarId = Annotated[str, typer.Option("--avatar", help="The avatar's id.")]


@noun.command("create")
@answering
def create(
    subject: Annotated[str, typer.Option("--subject", help="Your own id of the person.")],
    name: Annotated[str, typer.Option("--name", help="What the person calls it; kept encrypted.")],
    json_output: Json = False,
) -> Answer:
    """Create an avatar of a person; training and generating with it ask for consent.

    Example: likeness avatar create --subject s-17 --name "News reader"
    """
    house = storage()
    made = house.avatars.create(subject, name)
    return Answer(summary(house, made), lines=[f"created  avatar {made.id}"])


@noun.command("list")
@answering
def list_avatars(
    subject: Annotated[
        str | None, typer.Option("--subject", help="Your own id of the person; else everybody's.")
    ] = None,
    json_output: Json = False,
) -> Answer:
    """List avatars, oldest first, with what was trained for each.

    Example: likeness avatar list --subject s-17
    """
    house = storage()
    found = house.avatars.all() if subject is None else house.avatars.of(subject)
    told = [summary(house, avatar) for avatar in found]
    return Answer({"avatars": told}, lines=[_line(each) for each in told] or ["no avatars"])


@noun.command("show")
@answering
def show(avatar: AvatarId, json_output: Json = False) -> Answer:
    """Show one avatar: everything that was trained for it and generated with it.

    Example: likeness avatar show --avatar 9d1e...
    """
    house = storage()
    row = house.avatars.by_id(avatar)
    told = summary(house, row)
    generations = house.artefacts.generations_of_avatar(row)
    lines = [_line(told)]
    lines += [
        f"  {each['task']:<6} {each['artefact']}  {each['state']:<10}  "
        f"{'usable' if each['usable'] else 'not usable'}  "
        f"{each['engine']} {each['engine_version']}  {each['purpose']}"
        for each in told["artefacts"]
    ]
    lines += [
        f"  generation {each.id}  {stamp(each.created_at)}  {each.seconds or 0:.1f} s"
        for each in generations
    ]
    fields = {**told, "generations": [records.generation(each) for each in generations]}
    return Answer(fields, lines=lines)


@noun.command("delete")
@answering
def delete(
    avatar: AvatarId,
    keep_shared: Annotated[
        bool,
        typer.Option(
            "--keep-shared", help="The person chose that uploads which other avatars need stay."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    json_output: Json = False,
) -> Answer:
    """Delete an avatar with all that was trained for it and the uploads it was made of.

    Shows the plan first, other avatars that stop with it included (Policy P15).

    Example: likeness avatar delete --avatar 9d1e... --yes
    """
    from flows.cli.erase import erasure_of

    request = Request(
        Scope.AVATAR,
        avatar,
        ground=ErasureGround.AVATAR_DELETED,
        keep_shared=keep_shared,
    )
    return erasure_of(request, yes=yes, dry_run=dry_run)


def summary(house: Storage, avatar: Avatar) -> dict[str, Any]:
    """One avatar's fields, as every command gives them."""
    return {
        **records.avatar(house.avatars.name(avatar), avatar),
        "artefacts": [artefact(house, each) for each in house.artefacts.of_avatar(avatar)],
    }


def artefact(house: Storage, row: Artefact) -> dict[str, Any]:
    """One artefact's fields; `usable` says whether it may be read or generated with now."""
    return {**records.artefact(row), "usable": house.artefacts.is_usable(row)}


def _line(told: dict[str, Any]) -> str:
    return f"{told['avatar']}  {told['created_at']}  {told['name']}"
