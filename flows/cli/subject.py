"""`likeness subject`: everything about a person, without biometrics."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.upload import stamp, summary
from flows.opening import storage
from models.consent.facts import Fact

noun = typer.Typer(help="People: what is held about one.", no_args_is_help=True)


@noun.command("show")
@answering
def show(
    subject: Annotated[str, typer.Option("--subject", help="Your own id of the person.")],
    json_output: Json = False,
) -> Answer:
    """Show a person's uploads, what they decided, artefacts, orders and who read what.

    Example: likeness subject show --subject s-17
    """
    house = storage()
    known = house.subjects.known(subject)
    uploads = house.uploads.of_subject(known.id)
    facts = house.consents.history(known.id)
    orders = house.consents.orders_of(known.id)
    accesses = house.consents.accesses_to(known.id)
    fields: dict[str, Any] = {
        "uploads": [summary(upload) for upload in uploads],
        "consents": [_fact(fact) for fact in facts],
        "artefacts": [],
        "orders": [
            {
                "order": order.id,
                "scope": order.scope.value,
                "purpose": order.purpose.value if order.purpose else None,
                "ground": order.ground,
                "state": order.state,
                "ordered_at": stamp(order.created_at),
                "due_at": stamp(order.due_at),
            }
            for order in orders
        ],
        "accesses": [
            {
                "at": stamp(access.at),
                "object": access.object_id,
                "kind": access.kind,
                "role": access.role,
                "operation": access.operation,
                "purposes": list(access.purposes),
            }
            for access in accesses
        ],
    }
    lines = [f"upload   {u.id}  {u.state.value}  {stamp(u.created_at)}" for u in uploads]
    lines += [
        f"{fact.event.value:<10} {fact.purpose.value}  {stamp(fact.acted_at)}" for fact in facts
    ]
    lines += [f"order    {order.id}  {order.state}  due {stamp(order.due_at)}" for order in orders]
    lines.append(f"{len(accesses)} recorded accesses (--json lists them)")
    return Answer(fields, lines=lines)


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "entry": fact.sequence,
        "event": fact.event.value,
        "purpose": fact.purpose.value,
        "at": stamp(fact.acted_at),
        "source": fact.source.value if fact.uploader else None,
        "uploader": fact.uploader.value if fact.uploader else None,
        "evidence_level": fact.evidence_level.value if fact.evidence_level else None,
        "evidence_digest": fact.evidence_digest,
    }
