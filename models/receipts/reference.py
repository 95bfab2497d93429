"""Whom a receipt is about, said so that only whoever has the salt can tell."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from models.schema.receipt import SignedReceipt

SALT_BYTES: Final = 32


def reference_of(salt: bytes, named: str) -> str:
    """SHA-256 of the salt and the caller's own id (UTF-8), 64 hexadecimal digits."""
    return sha256(salt + named.encode("utf-8", "surrogateescape")).hexdigest()


def refers_to(signed: SignedReceipt, salt: bytes, named: str) -> bool:
    """Whether a receipt is about whom or what `named` names; nobody but its salt shows it.

    False for every name where the receipt refers to nobody.
    """
    reference = signed.receipt.reference
    return reference is not None and compare_digest(reference, reference_of(salt, named))
