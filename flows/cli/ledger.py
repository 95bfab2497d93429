"""`likeness ledger`: is the record of decisions as it was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.confirming import confirm
from flows.cli.writing import write_out
from flows.opening import storage
from models.schema.errors import BadInput, NotFound
from storage.checkpoints import checkpoint_from

_MOST_NAMED: Final = 1_000
_MOST_CHARACTERS: Final = 65_536
"""Of a checkpoint's file, which has some four hundred."""

noun = typer.Typer(help="The record of decisions, and its proofs.", no_args_is_help=True)


@noun.command("verify")
@answering
def verify(
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint that was kept elsewhere; it must agree.")
    ] = None,
    json_output: Json = False,
) -> Answer:
    """Walk the whole chain; exits 5 and says which entry is not as it was written.

    Names the first 1000 findings and counts them all.

    Example: likeness ledger verify --checkpoint checkpoint-2026-11.json
    """
    house = storage()
    held = [checkpoint_from(_read(checkpoint))] if checkpoint else []
    findings, total = [], 0
    for finding in house.verification.findings(held=held):
        total += 1
        if total <= _MOST_NAMED:
            findings.append(finding)
    entries = house.ledger.head()[0]
    lines = [
        f"entry {each.sequence}{f' to {each.last}' if each.last else ''}: {each.code}"
        for each in findings
    ]
    if total > len(findings):
        lines.append(f"and {total - len(findings)} more")
    return Answer(
        {
            "ok": not findings,
            "entries": entries,
            "findings": [
                {name: value for name, value in vars(each).items() if value is not None}
                for each in findings
            ],
            "total": total,
        },
        lines=lines or [f"{entries} entries, all as they were written"],
        exit_code=5 if findings else 0,
    )


@noun.command("show")
@answering
def show(
    first: Annotated[
        int, typer.Option("--from", min=1, max=2**31 - 1, help="The first entry's number.")
    ] = 1,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 100,
    json_output: Json = False,
) -> Answer:
    """List entries without what they say: number, time, event, digest.

    Example: likeness ledger show --from 100 --limit 20
    """
    found = [vars(entry) for entry in storage().ledger.entries(first, limit=limit)]
    return Answer(
        {"ok": True, "entries": found},
        lines=[f"{each['sequence']:>8}  {each['at']}  {each['event']}" for each in found]
        or ["no entries"],
    )


@noun.command("checkpoint")
@answering
def checkpoint(
    out: Annotated[Path | None, typer.Option(help="Write it here, to keep elsewhere.")] = None,
    json_output: Json = False,
) -> Answer:
    """Sign where the ledger is now; kept elsewhere, it shows later that nothing was rewritten.

    Example: likeness ledger checkpoint --out checkpoint-2026-11.json
    """
    house = storage()
    house.anchoring.anchor()
    made = house.checkpoints.sign()
    if made is None:
        raise NotFound("The ledger is still empty.", remedy="Nothing has been decided yet.")
    if out is not None:
        write_out(out, f"{made.as_json()}\n".encode(), what="checkpoint")
    return Answer(
        {"ok": True, "checkpoint": vars(made)},
        lines=[f"entry {made.sequence}: {made.hash}", f"signed by {made.key}"],
    )


@noun.command("anchor")
@answering
def anchor(json_output: Json = False) -> Answer:
    """Anchor the access log: the Merkle root of what was read becomes an entry.

    Example: likeness ledger anchor
    """
    anchored = storage().anchoring.anchor()
    return Answer({"ok": True, "anchored": anchored}, lines=[f"{anchored} accesses anchored"])


@noun.command("key")
@answering
def key(json_output: Json = False) -> Answer:
    """Print the public key that checks checkpoints and receipts (Ed25519, hexadecimal).

    Example: likeness ledger key
    """
    public = storage().checkpoints.public_key
    return Answer({"ok": True, "key": public}, lines=[public])


@noun.command("correct-clock")
@answering
def correct_clock(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json_output: Json = False,
) -> Answer:
    """Go on at this machine's time although the newest entry is dated later.

    For a clock that once ran ahead: until its date nothing could be recorded. The correction is an
    entry of its own.

    Example: likeness ledger correct-clock --yes
    """
    confirm("Date the next entry earlier than the newest one.", yes=yes)
    sequence = storage().ledger.correct_clock()
    return Answer({"ok": True, "entry": sequence}, lines=[f"entry {sequence}: clock corrected"])


def _read(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.read(_MOST_CHARACTERS)
    except (OSError, UnicodeDecodeError):
        raise BadInput("The checkpoint's file cannot be read.", remedy="Check its path.") from None
