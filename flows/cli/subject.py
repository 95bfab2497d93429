"""`likeness subject`: everything about a person, without biometrics."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.avatar import artefact
from flows.cli.upload import summary
from flows.opening import storage
from flows.report.words import Words
from flows.rights import records
from flows.settings import settings
from flows.telling import standing
from flows.telling.accesses import accesses
from flows.telling.words import named_purposes, telling_words
from storage.assembly import Storage
from storage.registers.subject_access import Held

noun = typer.Typer(help="People: what is held about one.", no_args_is_help=True)


@noun.command("show")
@answering
def show(
    subject: Annotated[str, typer.Option("--subject", help="Your own id of the person.")],
    json_output: Json = False,
) -> Answer:
    """Show a person's uploads, what they decided, what is owed to them, and who read what.

    In plain words, English or Chinese as LIKENESS_LANGUAGE says.

    Example: likeness subject show --subject s-17
    """
    house = storage()
    held = house.subject_access.held(subject)
    return Answer(_fields(house, held), lines=_lines(held, telling_words(settings().language)))


def _fields(house: Storage, held: Held) -> dict[str, Any]:
    return {
        "uploads": [summary(upload) for upload in held.uploads],
        "consents": [records.consent(fact) for fact in held.facts],
        "decisions": [records.decision(decision) for decision in held.decisions],
        "avatars": [
            records.avatar(house.subject_access.avatar_name(each), each) for each in held.avatars
        ],
        "artefacts": [artefact(house, each) for each in held.artefacts],
        "generations": [records.generation(each) for each in held.generations],
        "orders": [records.order(order) for order in held.orders],
        "freezes": [records.freeze(row) for row in held.freezes],
        "disclosures": [records.disclosure(name, each) for name, each in held.disclosures],
        "requests": [records.request(each) for each in held.requests],
        "accesses": [records.access(access) for access in held.accesses],
    }


def _lines(held: Held, words: Words) -> list[str]:
    lines = [line for each in held.decisions for line in standing.told(held, each, words)]
    lines += standing.freezes(held, words)
    lines += standing.orders(held, words)
    lines += [
        f"{upload.id}  {words.named('upload_state', upload.state.value)}  "
        f"{words.moment(upload.created_at)}  {named_purposes(words, upload.purposes)}".rstrip()
        for upload in held.uploads
    ]
    lines += accesses(held.accesses, words) or [words.say("access.none")]
    lines += standing.disclosures(held, words) or [words.say("disclosure.none")]
    lines += standing.requests(held, words)
    return lines
