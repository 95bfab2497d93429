"""`likeness weights`: pretrained files."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.answers import Answer, Json, answering, say
from models import weights as pretrained

noun = typer.Typer(help="Pretrained files: pull, list, verify.", no_args_is_help=True)


@noun.command("pull")
@answering
def pull(
    which: Annotated[
        list[str] | None,
        typer.Option("--set", help="`default`, `all`, or a name; may be given several times."),
    ] = None,
    json_output: Json = False,
) -> Answer:
    """Fetch pretrained files from the first source that has the pinned digest.

    Example: likeness weights pull --set default
    """
    fetched = pretrained.pull(which or ["default"], told=say)
    files = [{"weights": f.weights, "file": f.name, "bytes": f.bytes} for f in fetched]
    return Answer({"files": files}, lines=[f"{len(files)} files fetched"])


@noun.command("list")
@answering
def list_weights(json_output: Json = False) -> Answer:
    """List every pretrained file: what it is for, its licence, whether it is here.

    Example: likeness weights list
    """
    files = [
        {
            "weights": weights.name,
            "file": file.name,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "set": weights.set,
            "use": weights.use,
            "licence": weights.licence,
            "present": file.path.is_file(),
        }
        for weights in pretrained.listing().values()
        for file in weights.files
    ]
    lines = [
        f"{'here' if f['present'] else '-':<5} {f['weights']}/{f['file']}  {f['use']}  "
        f"[{f['licence']}]"
        for f in files
    ]
    return Answer({"files": files, "folder": str(pretrained.folder())}, lines=lines)


@noun.command("verify")
@answering
def verify(json_output: Json = False) -> Answer:
    """Read every pulled file and compare its digest; exits 5 when one is wrong.

    Optional files that were not pulled are reported and do not fail.

    Example: likeness weights verify
    """
    found = [
        {"weights": file.weights, "file": file.name, "state": state}
        for file, state in pretrained.verify()
    ]
    wrong = [
        f
        for f in found
        if f["state"] == "wrong_digest"
        or (f["state"] == "missing" and pretrained.named(f["weights"]).set == "default")
    ]
    return Answer(
        {"files": found, "ok": not wrong},
        lines=[f"{f['state']:<13} {f['weights']}/{f['file']}" for f in found],
        exit_code=5 if wrong else 0,
    )
