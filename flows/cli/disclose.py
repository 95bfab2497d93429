"""`likeness disclose`: the only way out (Policy P08a-d, P13)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.confirming import confirm
from flows.cli.moments import moment_from
from flows.declaring import evidence_from, purposes_from
from flows.opening import storage
from flows.times import stamp, stamp_or_none
from models.consent.disclosure import Ground, Recipient, RecipientKind
from models.schema.errors import BadUsage
from models.schema.kinds import KINDS
from models.schema.purposes import Purpose
from storage.erasure.notices import Notice

noun = typer.Typer(
    help="Disclosures: who may receive something of a person, and what left.", no_args_is_help=True
)

Subject = Annotated[str, typer.Option("--subject", help="Your own id of the person.")]
Name = Annotated[str, typer.Option("--recipient", help="The registered recipient's name.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help=f"What: {', '.join(KINDS)}.")]
Purposes = Annotated[
    list[str] | None, typer.Option("--purpose", help=f"One of: {', '.join(Purpose)}.")
]
Reason = Annotated[str, typer.Option("--ground", help=f"Why it may leave: {', '.join(Ground)}.")]
Document = Annotated[
    str | None, typer.Option("--document", help="The document it rests on: a file.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@noun.command("register")
@answering
def register(
    recipient: Name,
    recipient_kind: Annotated[
        str, typer.Option("--as", help=f"What it is: {', '.join(RecipientKind)}.")
    ],
    region: Annotated[str, typer.Option(help="The jurisdiction it is in.")],
    purpose: Purposes = None,
    kind: Kinds = None,
    agreement: Annotated[
        str | None, typer.Option(help="The agreement that binds it to the policy: a file.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When the agreement ends: a day, or a time.")
    ] = None,
    json_output: Json = False,
) -> Answer:
    """Register who may receive something: a processor, affiliate, authority, a new holder.

    Example: likeness disclose register --recipient "Cloud Ltd" --as processor --region cn
    --purpose voice_cloning --kind voice_segment --agreement contract.pdf --expires 2027-12-31
    """
    if recipient_kind not in set(RecipientKind):
        raise BadUsage(
            "There is no such kind of recipient.",
            remedy=f"The kinds are: {', '.join(RecipientKind)}.",
        )
    found = storage().disclosures.register(
        recipient,
        kind=RecipientKind(recipient_kind),
        region=region,
        purposes=purposes_from(purpose) if purpose else frozenset(),
        covers=frozenset(kind or []),
        agreement=evidence_from(agreement) if agreement else None,
        expires_at=moment_from(expires) if expires else None,
    )
    return Answer(
        {"ok": True, "recipient": _recipient(recipient, found)}, lines=[f"registered {found.id}"]
    )


@noun.command("bind")
@answering
def bind(
    recipient: Name,
    agreement: Annotated[str, typer.Option(help="The agreement that binds it: a file.")],
    json_output: Json = False,
) -> Answer:
    """Record the agreement that binds a recipient; ends the stop of a transfer to it.

    Example: likeness disclose bind --recipient "New Ltd" --agreement contract.pdf
    """
    lifted = storage().disclosures.bind(recipient, evidence_from(agreement))
    return Answer({"ok": True, "lifted": lifted}, lines=[f"bound; {lifted} stops lifted"])


@noun.command("end")
@answering
def end(recipient: Name, json_output: Json = False) -> Answer:
    """End a recipient's registration: nothing leaves to it any more.

    Example: likeness disclose end --recipient "Cloud Ltd"
    """
    storage().disclosures.end(recipient)
    return Answer({"ok": True}, lines=["ended"])


@noun.command("recipients")
@answering
def recipients(json_output: Json = False) -> Answer:
    """List the registered recipients.

    Example: likeness disclose recipients
    """
    found = [_recipient(name, each) for name, each in storage().disclosures.recipients()]
    return Answer(
        {"ok": True, "recipients": found},
        lines=[f"{each['recipient']}  {each['kind']}  {each['region']}" for each in found]
        or ["none"],
    )


@noun.command("make")
@answering
def make(
    subject: Subject,
    recipient: Name,
    ground: Reason,
    out: Annotated[Path, typer.Option(help="A new folder for what leaves.")],
    purpose: Purposes = None,
    kind: Kinds = None,
    document: Document = None,
    yes: Yes = False,
    json_output: Json = False,
) -> Answer:
    """Decide a disclosure, record it, and write what it names, decrypted, to a folder.

    Refused (exit 3) with every reason; the refusal is on record too.

    Example: likeness disclose make --subject s-17 --recipient "Cloud Ltd" --ground agreement
    --purpose voice_cloning --kind report --out handed-over --yes
    """
    if ground not in set(Ground):
        raise BadUsage("There is no such ground.", remedy=f"The grounds are: {', '.join(Ground)}.")
    purposes = purposes_from(purpose or [])
    if len(purposes) != 1:
        raise BadUsage("A disclosure is for one purpose.", remedy="Name one --purpose.")
    confirm("Hand out a person's data, decrypted.", yes=yes)

    from flows.disclosing import disclose

    made = disclose(
        storage(),
        subject,
        recipient,
        ground=Ground(ground),
        purpose=next(iter(purposes)),
        kinds=frozenset(kind or []),
        document=evidence_from(document) if document else None,
        out=out,
    )
    return Answer(
        {"ok": True, "disclosure": made.disclosure, "files": [str(file) for file in made.files]},
        lines=[f"disclosure {made.disclosure}", *[f"  {file}" for file in made.files]],
    )


@noun.command("list")
@answering
def list_disclosures(subject: Subject, json_output: Json = False) -> Answer:
    """List what of a person was disclosed, to whom, why.

    Example: likeness disclose list --subject s-17
    """
    house = storage()
    found: list[dict[str, Any]] = [
        {
            "disclosure": each.id,
            "recipient": name,
            "ground": each.basis.value,
            "purpose": each.purpose.value,
            "kinds": sorted(each.kinds),
            "document_digest": each.document_digest,
            "at": stamp(each.created_at),
        }
        for name, each in house.disclosures.of_subject(house.subjects.known(subject).id)
    ]
    return Answer(
        {"ok": True, "disclosures": found},
        lines=[
            f"{each['at']}  {each['recipient']}  {each['ground']}  {', '.join(each['kinds'])}"
            for each in found
        ]
        or ["nothing was disclosed"],
    )


@noun.command("notices")
@answering
def notices(json_output: Json = False) -> Answer:
    """List the recipients who are to be told of an erasure, those not told yet first.

    Example: likeness disclose notices
    """
    found = [_notice(each) for each in storage().notices.all()]
    return Answer(
        {"ok": True, "notices": found},
        lines=[
            f"order {each['order']}  {each['recipient']}  "
            f"{'told ' + each['told_at'] if each['told_at'] else 'TO BE TOLD'}"
            for each in found
        ]
        or ["nobody is to be told"],
    )


@noun.command("told")
@answering
def told(
    order: Annotated[str, typer.Option("--order", help="The erasure order's id.")],
    recipient: Name,
    json_output: Json = False,
) -> Answer:
    """Record that a recipient was told of an erasure, and so that it must delete too.

    Example: likeness disclose told --order 4f0c... --recipient "Cloud Ltd"
    """
    notice = _notice(storage().notices.told(order, recipient))
    return Answer(
        {"ok": True, "notices": [notice]},
        lines=[f"{recipient} was told of order {order} on {notice['told_at']}"],
    )


@noun.command("transfer")
@answering
def transfer(
    subject: Subject, recipient: Name, yes: Yes = False, json_output: Json = False
) -> Answer:
    """Stop a person's use until the new holder of the service is bound, or they agree to it.

    Example: likeness disclose transfer --subject s-17 --recipient "New Ltd" --yes
    """
    confirm("Begin a transfer: every use of the person's data stops.", yes=yes)
    stopped = storage().disclosures.begin_transfer(subject, recipient)
    return Answer(
        {"ok": True, "freeze": stopped.freeze, "runs_stopped": stopped.runs_stopped},
        lines=["every use is stopped until the new holder is bound, or the person agrees to it"],
    )


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "order": notice.order,
        "recipient": notice.recipient,
        "disclosures": notice.disclosures,
        "told_at": stamp_or_none(notice.told_at),
    }


def _recipient(name: str, recipient: Recipient) -> dict[str, Any]:
    return {
        "recipient": name,
        "id": recipient.id,
        "kind": recipient.kind.value,
        "region": recipient.region,
        "purposes": sorted(recipient.purposes),
        "covers": sorted(recipient.covers),
        "agreement_digest": recipient.agreement_digest,
        "expires_at": stamp(recipient.expires_at) if recipient.expires_at else None,
        "ended_at": stamp(recipient.ended_at) if recipient.ended_at else None,
    }
