"""The digest by which a feature set names the weights that made it (invariant 12)."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def sha256_of(path: Path) -> str:
    """SHA-256 of a weights file, read once a process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
