"""Whom a receipt is about, said so that only whoever has the salt can tell."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

SALT_BYTES: Final = 32


def reference_of(salt: bytes, named: str) -> str:
    """SHA-256 of the salt and the caller's own id (UTF-8), 64 hexadecimal digits."""
    return sha256(salt + named.encode("utf-8", "surrogateescape")).hexdigest()
