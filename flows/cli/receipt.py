"""`likeness receipt`: the proof of an erasure, handed out and checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from flows.cli.answers import Answer, Json, answering
from flows.cli.writing import write_out
from flows.receipts.checking import Checked, check
from flows.report.words import Language
from flows.settings import settings
from flows.times import stamp
from models.receipts.signing import written
from models.schema.erasure import Step
from models.schema.errors import BadUsage, Refused
from models.schema.receipt import Receipt, SignedReceipt

_PAGES: Final = frozenset({".html", ".htm"})
_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")

noun = typer.Typer(help="Receipts of erasures: handed out, and checked.", no_args_is_help=True)


@noun.command("show")
@answering
def show(
    order: Annotated[str, typer.Option("--order", help="The order's id.")],
    out: Annotated[
        list[Path],
        typer.Option(
            "--out",
            help="Where to write it: a page to read if the name ends in .html, else the signed "
            "file (JSON). May be given several times.",
        ),
    ],
    person: Annotated[
        bool,
        typer.Option(
            "--person",
            help="The person's own copy, which alone can show whom it is about; it is given once.",
        ),
    ] = False,
    language: Annotated[
        str | None,
        typer.Option("--language", help="Which language comes first on the page: en or zh."),
    ] = None,
    json_output: Json = False,
) -> Answer:
    """Write the receipt of an order that is carried out: the signed file, a page, or both.

    A page holds English and Chinese. Checking takes the signed file. The person's copy is given
    once and then forgotten, so ask for all its files together.

    Example: likeness receipt show --order 4f0c... --person --out receipt.json --out receipt.html
    """
    first = _language(language)
    files = {path: _as_page(first) if path.suffix.lower() in _PAGES else _as_file for path in out}
    from flows.opening import storage

    receipts = storage().receipts
    signed = receipts.of(order)
    if person:
        from flows.receipts.copies import give

        _require_reference(signed.receipt)
        sizes = give(files, signed, partial(receipts.for_person, order))
    else:
        contents = {path: made(signed) for path, made in files.items()}
        for path, content in contents.items():
            write_out(path, content, what="receipt")
        sizes = {path: len(content) for path, content in contents.items()}
    fields = {
        **_fields(signed),
        "person": person,
        "files": [{"file": str(path), "bytes": size} for path, size in sizes.items()],
    }
    lines = [f"written: {path}" for path in sizes]
    if person:
        lines.append("This copy was given once: hand it to the person, and keep none.")
    return Answer(fields, lines=lines)


@noun.command("verify")
@answering
def verify(
    file: Annotated[Path, typer.Argument(help="The signed file (JSON).", show_default=False)],
    key: Annotated[
        str | None,
        typer.Option("--key", help="The house's public key, as it publishes it (64 digits)."),
    ] = None,
    about: Annotated[
        str | None,
        typer.Option(
            "--about", help="Your own id of the person; shown by the person's copy alone."
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the file alone, and ask no store.")
    ] = False,
    json_output: Json = False,
) -> Answer:
    """Check a receipt; exits 5 and says what is wrong, 2 where the file is no receipt.

    Needs nothing but the file. Where the erasure was carried out, the live stores are asked too
    whether anything has come back; `likeness reconcile` then erases it again.

    Example: likeness receipt verify receipt.json --key "$(cat published-key.txt)"
    """
    if key is not None and not _KEY.fullmatch(key.strip()):
        raise BadUsage(
            "That is not a public key: it has 64 hexadecimal digits.",
            remedy="`likeness ledger key` prints it where the erasure was carried out.",
        )
    checked = check(file, key=key.strip() if key else None, about=about, offline=offline)
    return Answer(
        {
            "valid": not checked.findings,
            "findings": [{"code": each.code, "message": each.english} for each in checked.findings],
            "stores_asked": checked.stores_asked,
            "key_known": checked.key_known,
            **({} if about is None or checked.signed is None else {"about": _is_about(checked)}),
            **({} if checked.signed is None else _fields(checked.signed)),
        },
        lines=_told(checked),
        exit_code=5 if checked.findings else 0,
    )


def _language(given: str | None) -> Language:
    if given is None:
        return settings().language
    if given in {"en", "zh"}:
        return "en" if given == "en" else "zh"
    raise BadUsage("A page is in English and Chinese.", remedy="Give --language en or zh.")


def _as_file(signed: SignedReceipt) -> bytes:
    return f"{written(signed)}\n".encode()


def _as_page(first: Language) -> Callable[[SignedReceipt], bytes]:
    def made(signed: SignedReceipt) -> bytes:
        from flows.receipts.page import page

        return page(signed, first).encode()

    return made


def _require_reference(receipt: Receipt) -> None:
    if receipt.reference is None:
        raise Refused(
            "Nobody outside asked for this erasure, so the receipt refers to nobody.",
            remedy="Without --person the receipt is shown as often as wanted.",
            code="nobody_named",
        )


def _fields(signed: SignedReceipt) -> dict[str, Any]:
    receipt = signed.receipt
    done_at = receipt.steps.get(Step.SIGNED)
    return {
        "order": receipt.order,
        "ground": receipt.ground.value,
        "ordered_at": stamp(receipt.ordered_at),
        "done_at": None if done_at is None else stamp(done_at),
        "removed": len(receipt.removed),
        "unreadable_from": receipt.unreadable_from.isoformat(),
        "key": signed.key,
    }


def _is_about(checked: Checked) -> bool:
    return all(each.code != "about_somebody_else" for each in checked.findings)


def _told(checked: Checked) -> list[str]:
    if checked.findings:
        lines = [f"{each.code}: {each.english}" for each in checked.findings]
    else:
        lines = ["The receipt is as it was signed, and nothing in it contradicts the rest."]
    if checked.signed is None:
        return lines
    if checked.stores_asked and not checked.findings:
        lines.append("The live stores were asked: nothing of what was removed is there.")
    elif not checked.stores_asked:
        lines.append("The live stores were not asked; only the file was checked.")
    if not checked.key_known:
        lines.append(
            f"Signed with the key {checked.signed.key}: compare it with the one that the house "
            "publishes, or give that with --key."
        )
    return lines
