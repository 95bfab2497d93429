"""What shows that somebody agreed or may act: words, or a document."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from models.consent.facts import EvidenceLevel

EVIDENCE_BYTES_MOST: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class Evidence:
    """Its content is kept sealed beside the ledger entry that rests on it."""

    content: bytes
    level: EvidenceLevel

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return sha256(self.content).hexdigest()
