"""Signing a receipt, reading one back, and asking whether its signature holds.

    canonical JSON of `receipt` (RFC 8785)  ->  Ed25519 (RFC 8032)  ->  `signature`, with its `key`

Anybody can check that with a library of each: nothing of ours is in what is signed. The same key
signs checkpoints of the ledger, whose signed text begins with a line that no JSON begins with.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from pydantic import ValidationError

from models.receipts.consistency import contradictions
from models.receipts.finding import Finding
from models.schema.errors import BadInput, CheckFailed, LimitExceeded, Tampered
from models.schema.receipt import FORMAT, Receipt, SignedReceipt

FILE_BYTES_MOST: Final = 256 * 1024 * 1024
"""Of a receipt's file: about a million objects, at 225 bytes for each."""

_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
"""What the package rfc8785 writes, seven times as fast, of what receipts are made of: objects with
ASCII keys, strings, whole numbers below 2^53, null. A test compares the two byte for byte."""


def canonical(receipt: Receipt) -> bytes:
    """What is signed: the receipt's canonical JSON (RFC 8785)."""
    return _ENCODER.encode(receipt.model_dump(mode="json")).encode()


def sign(receipt: Receipt, key: SigningKey) -> SignedReceipt:
    """The receipt with its signature and the public key that checks it."""
    return SignedReceipt(
        receipt=receipt,
        key=bytes(key.verify_key).hex(),
        signature=key.sign(canonical(receipt)).signature.hex(),
    )


def written(signed: SignedReceipt) -> str:
    """The file that is handed out, as canonical JSON."""
    return _ENCODER.encode(signed.model_dump(mode="json"))


def read(text: str | bytes) -> SignedReceipt:
    """The receipt in a file, whatever its white space and the order of its keys.

    Raises BadInput for what has not the form of a receipt, LimitExceeded beyond FILE_BYTES_MOST;
    CheckFailed (`unknown_format`) for a receipt of another version; Tampered for one that says
    what no receipt of ours says, or says it in other words than it was signed in.
    """
    fields = _fields(text)
    try:
        signed = SignedReceipt.model_validate_json(text, strict=True)
    except ValidationError:
        signed = None
    if signed is None or signed.model_dump(mode="json") != {"salt": None, **fields}:
        _refuse(fields["receipt"])
    return signed


def signature_findings(signed: SignedReceipt, trusted_key: str | None) -> list[Finding]:
    """What is wrong with a receipt by itself; nothing, for one that was signed and not changed.

    `trusted_key` is the public key of the house that it should be from, 64 hexadecimal digits;
    without one the signature shows only that whoever has `signed.key` made this receipt.
    """
    found = []
    if trusted_key is not None and signed.key != trusted_key.lower():
        found.append(Finding("foreign_key", "The receipt was signed with another house's key."))
    if not _is_genuine(signed):
        found.append(
            Finding(
                "bad_signature",
                "The signature does not fit: the receipt was changed after it was signed, or the "
                "signature was.",
            )
        )
    return [*found, *contradictions(signed)]


def _is_genuine(signed: SignedReceipt) -> bool:
    try:
        VerifyKey(bytes.fromhex(signed.key)).verify(
            canonical(signed.receipt), bytes.fromhex(signed.signature)
        )
    except BadSignatureError:
        return False
    return True


def _fields(text: str | bytes) -> dict[str, Any]:
    """The fields of the file; raises BadInput where it has not the form of a receipt."""
    if len(text) > FILE_BYTES_MOST:
        raise LimitExceeded(
            "The file is larger than any receipt.",
            remedy=f"A receipt has at most {FILE_BYTES_MOST // 2**20} MiB.",
        )
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        fields = json.loads(decoded, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        fields = None
    parts = {"receipt": dict, "key": str, "signature": str}
    if not isinstance(fields, dict) or not all(
        isinstance(fields.get(name), kind) for name, kind in parts.items()
    ):
        raise BadInput(
            "The file is not a receipt of an erasure.",
            remedy="Give the file that `likeness receipt show --out receipt.json` wrote; the page "
            "(.html) is for reading.",
        )
    return fields


def _refuse(receipt: dict[str, Any]) -> NoReturn:
    if receipt.get("format") != FORMAT:
        raise CheckFailed(
            "The receipt has a format that is not known here.",
            remedy=f"This version reads {FORMAT}; a later one may read it.",
            code="unknown_format",
        )
    raise Tampered(
        "The file says what no receipt says: it was changed after it was signed.",
        remedy="Ask for the receipt again where the erasure was carried out.",
        code="changed",
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
