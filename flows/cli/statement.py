"""`likeness consent challenge` and `verify`: consent that the person says aloud."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.answers import Answer, Json, answering
from flows.declaring import purposes_from
from flows.opening import storage
from flows.settings import settings
from models.schema.errors import BadUsage, Refused
from models.schema.purposes import Purpose

if TYPE_CHECKING:
    from flows.statement import Verified


def add_to(noun: typer.Typer) -> None:
    """Put the two commands under `likeness consent`."""
    noun.command("challenge")(challenge)
    noun.command("verify")(verify)


@answering
def challenge(
    subject: Annotated[str, typer.Option("--subject", help="Your own id of the person.")],
    purpose: Annotated[
        list[str] | None, typer.Option("--purpose", help=f"One of: {', '.join(Purpose)}.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the sentence: en or zh.")
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Also make a token, for a person who is elsewhere.")
    ] = False,
    json_output: Json = False,
) -> Answer:
    """Make a one-time sentence for the person to read aloud and record.

    It names the company and the purpose and ends in words drawn just now. Whoever holds the token
    of --link can answer without knowing the person's id.

    Example: likeness consent challenge --subject s-17 --purpose voice_cloning --language en
    """
    purposes = purposes_from(purpose or [])
    if len(purposes) != 1:
        raise BadUsage(
            "A sentence names one purpose.", remedy="Ask for one challenge for each purpose."
        )
    (one,) = purposes

    from flows import statement

    issued = statement.challenge(
        storage(), subject, one, language or settings().language, settings(), link=link
    )
    fields = statement.issued_fields(issued)
    lines = [
        str(fields["sentence"]),
        f"challenge {issued.challenge.id}, until {fields['expires']}",
    ]
    if issued.token is not None:
        lines.append(f"token {issued.token} (shown once)")
    return Answer(fields, lines)


@answering
def verify(
    recording: Annotated[Path, typer.Option(help="The recording of the sentence.")],
    subject: Annotated[
        str | None, typer.Option("--subject", help="Your own id of the person.")
    ] = None,
    challenge: Annotated[str | None, typer.Option(help="Id of the challenge.")] = None,
    token: Annotated[str | None, typer.Option(help="The link's token, instead of both.")] = None,
    json_output: Json = False,
) -> Answer:
    """Check that a recording says the sentence, in the person's own voice, and record the consent.

    The sentence, its words, the voice of the person's uploads and that the recording is new are all
    checked. What is not accepted is not kept, and exits 3.

    Example: likeness consent verify --subject s-17 --challenge C --recording statement.wav
    """
    from flows import statement

    verified = statement.verify(
        storage(),
        recording,
        settings(),
        subject=subject,
        challenge_id=challenge,
        token=token,
    )
    return _told(verified)


def _told(verified: Verified) -> Answer:
    from flows.statement import fields_of

    fields = fields_of(verified)
    if verified.accepted:
        kept = "recording kept as evidence" if verified.upload else "recording not kept"
        compared = f"voice {verified.voice.replace('_', ' ')}"
        return Answer(fields, [f"accepted: {verified.challenge.purpose.value}; {compared}; {kept}"])
    error = Refused(
        "The statement is not accepted; no consent was recorded.",
        remedy=_remedy(verified.attempts_left),
        code="statement_not_accepted",
    )
    lines = [f"not accepted: {reason.english}" for reason in verified.reasons]
    return Answer(fields, lines, exit_code=error.exit_code, error=error)


def _remedy(attempts_left: int) -> str:
    if attempts_left > 0:
        return f"Record the sentence again; {attempts_left} attempts are left."
    return "Ask for a new challenge; every attempt on this one was used."
