"""Checking a receipt: by itself anywhere, and against the live stores where there is access."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.settings import settings
from models.receipts.finding import Finding
from models.receipts.reference import refers_to
from models.receipts.signing import FILE_BYTES_MOST, read, signature_findings
from models.schema.errors import BadInput, BadUsage, CheckFailed, NotFound
from models.schema.receipt import SignedReceipt


@dataclass(frozen=True)
class Checked:
    """What a check found; no findings mean that nothing is wrong."""

    signed: SignedReceipt | None
    """None where the file says what no receipt says."""
    findings: list[Finding]
    key_known: bool = False
    """Whether the key is one that was expected; else it shows only that its owner signed."""
    stores_asked: bool = False
    """Whether the live stores were asked if anything has come back."""


def check(
    file: Path, *, key: str | None = None, about: str | None = None, offline: bool = False
) -> Checked:
    """Check the receipt in a file.

    `key` is the public key that is expected, `about` the id of whom it should be about, which
    needs the person's copy. The live stores are asked unless `offline`, where the home of this
    process holds the order or has the key. Raises BadInput for a file that cannot be read or is
    no receipt, BadUsage where the file has no salt to show whom it is about, and
    ServiceUnavailable where a live store does not answer.
    """
    try:
        signed = read(_bytes_of(file))
    except CheckFailed as wrong:
        return Checked(None, [Finding(wrong.reason, wrong.message)])
    found = signature_findings(signed, key) + _about(signed, about)
    live = None if offline else _live(signed)
    if live is not None:
        found += [each for each in live if each not in found]
    known = signed.key == (key or "").lower() or (
        live is not None and all(each.code != "foreign_key" for each in live)
    )
    return Checked(signed, found, key_known=known, stores_asked=live is not None)


def _bytes_of(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(FILE_BYTES_MOST + 1)
    except OSError as error:
        raise BadInput(
            f"The receipt's file cannot be read ({error.strerror}).", remedy="Check its path."
        ) from None


def _about(signed: SignedReceipt, named: str | None) -> list[Finding]:
    if named is None:
        return []
    if signed.salt is None:
        raise BadUsage(
            "This copy has no salt, so nobody can tell from it whom it is about.",
            remedy="Take the person's own copy, or leave --about out.",
        )
    if refers_to(signed, bytes.fromhex(signed.salt), named):
        return []
    return [Finding("about_somebody_else", "The receipt is about somebody else.")]


def _live(signed: SignedReceipt) -> list[Finding] | None:
    """What the live stores of this process's home say; None where they are not this receipt's."""
    if not _has_keys(settings().storage.keys_folder):
        return None
    from flows.opening import storage

    receipts = storage().receipts
    if signed.key != receipts.public_key:
        try:
            receipts.of(signed.receipt.order)
        except NotFound:
            return None
    return receipts.findings(signed)


def _has_keys(folder: Path) -> bool:
    """Whether a home was set up; looking must not set one up."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False
