"""`likeness request`: what people asked for, and by when they are answered (Policy P19)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.opening import storage
from flows.rights import records
from flows.times import stamp
from storage.catalogue.requests import Request
from storage.clock import utc_now

noun = typer.Typer(
    help="Requests of people: what is not answered yet, and its deadline.", no_args_is_help=True
)


@noun.command("list")
@answering
def list_requests(json_output: Json = False) -> Answer:
    """List the open requests, the nearest deadline first.

    Example: likeness request list
    """
    found = storage().requests.waiting()
    return Answer(
        {"ok": True, "requests": [_fields(each) for each in found]},
        lines=[_line(each) for each in found] or ["no open requests"],
    )


@noun.command("show")
@answering
def show(
    request: Annotated[str, typer.Option("--request", help="The request's id.")],
    json_output: Json = False,
) -> Answer:
    """Show one request: who took it, how the person was authenticated, its deadline.

    Example: likeness request show --request 4f0c...
    """
    requests = storage().requests
    found = requests.by_id(request)
    handling = requests.handling(found)
    fields = {
        **_fields(found),
        "operating_system_user": handling.operating_system_user,
        "authenticated_by": handling.authenticated_by,
    }
    return Answer(
        {"ok": True, "request": fields},
        lines=[
            _line(found),
            f"taken by {handling.operating_system_user}",
            f"authenticated by: {handling.authenticated_by}",
        ],
    )


def _fields(request: Request) -> dict[str, Any]:
    return {**records.request(request), "late": _is_late(request)}


def _is_late(request: Request) -> bool:
    return request.answered_at is None and request.due_at <= utc_now()


def _line(request: Request) -> str:
    late = "  LATE" if _is_late(request) else ""
    return (
        f"{request.id}  {request.kind.value}  {request.state.value:<8}  "
        f"due {stamp(request.due_at)}{late}"
    )
