"""`likeness basis`: cases in which the law allows something without consent (Policy P06)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.moments import moment_from
from flows.declaring import evidence_from
from flows.opening import storage
from flows.times import stamp
from models.consent.legal_bases import LegalBasis, LegalUse
from models.schema.errors import BadUsage
from models.schema.kinds import KINDS

noun = typer.Typer(
    help="Legal bases: what the law allows without consent, never training.", no_args_is_help=True
)

Subject = Annotated[str, typer.Option("--subject", help="Your own id of the person.")]


@noun.command("record")
@answering
def record(
    subject: Subject,
    case: Annotated[str, typer.Option(help="The case of article I.3: a to l.")],
    invoked_by: Annotated[str, typer.Option(help="Who invokes it; kept encrypted.")],
    document: Annotated[str, typer.Option(help="The document it rests on: a file.")],
    expires: Annotated[str, typer.Option(help="Until when: a day, or a time.")],
    permits: Annotated[list[str], typer.Option(help=f"What it permits: {', '.join(LegalUse)}.")],
    covers: Annotated[
        list[str] | None,
        typer.Option(help=f"The kinds of object it names: {', '.join(KINDS)}."),
    ] = None,
    json_output: Json = False,
) -> Answer:
    """Record a legal basis. It ends by itself, and permits nothing but what is named.

    Example: likeness basis record --subject s-17 --case c --invoked-by "district court"
    --document summons.pdf --permits disclose --covers report --expires 2027-01-31
    """
    unknown = set(permits) - set(LegalUse)
    if unknown:
        raise BadUsage(
            "A legal basis cannot permit that.", remedy=f"It permits: {', '.join(LegalUse)}."
        )
    basis = storage().legal_bases.record(
        subject,
        case=case,
        invoked_by=invoked_by,
        document=evidence_from(document),
        permits=frozenset(LegalUse(use) for use in permits),
        covers=frozenset(covers or []),
        expires_at=moment_from(expires),
    )
    return Answer({"ok": True, "basis": _fields(basis)}, lines=[_line(basis)])


@noun.command("end")
@answering
def end(
    subject: Subject,
    basis: Annotated[int, typer.Option(help="Its number, as `basis list` gives it.")],
    json_output: Json = False,
) -> Answer:
    """End a legal basis before its time.

    Example: likeness basis end --subject s-17 --basis 42
    """
    storage().legal_bases.end(subject, basis)
    return Answer({"ok": True}, lines=["ended"])


@noun.command("list")
@answering
def list_bases(subject: Subject, json_output: Json = False) -> Answer:
    """List the legal bases recorded about a person.

    Example: likeness basis list --subject s-17
    """
    found = storage().legal_bases.of(subject)
    return Answer(
        {"ok": True, "bases": [_fields(basis) for basis in found]},
        lines=[_line(basis) for basis in found] or ["none"],
    )


def _fields(basis: LegalBasis) -> dict[str, Any]:
    return {
        "basis": basis.sequence,
        "case": basis.case,
        "permits": sorted(basis.permits),
        "covers": sorted(basis.covers),
        "document_digest": basis.document_digest,
        "recorded_at": stamp(basis.recorded_at),
        "expires_at": stamp(basis.expires_at),
        "ended": basis.ended,
    }


def _line(basis: LegalBasis) -> str:
    state = "ended" if basis.ended else f"until {stamp(basis.expires_at)}"
    what = ", ".join(sorted(basis.covers)) or "nothing by name"
    return (
        f"{basis.sequence}  case {basis.case}  {', '.join(sorted(basis.permits))}: {what}  {state}"
    )
