"""What an entry of the ledger commits to: its canonical text, its hash, its tag, its payload.

Pure functions of what is stored, so that whoever writes an entry and whoever checks it agree.
"""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from typing import Any, Final

BEGINNING: Final = "0" * 64
"""The hash before the first entry."""
PAYLOADS_ERASED: Final = "payloads_erased"
"""An erasure removed the payloads it lists."""
ACCESSES_ANCHORED: Final = "accesses_anchored"
"""The Merkle root of a batch of the access log."""
CLOCK_CORRECTED: Final = "clock_corrected"
"""The one event that may be dated earlier than what it follows."""
RESTORED: Final = "catalogue_restored"
"""The one event that may stand behind a gap in the sequence."""

_TEXT: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_quoted: Final = json.encoder.encode_basestring
_ABSENT: Final = b"\x00"
_PRESENT: Final = b"\x01"


def canonical(value: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces: the same text for the same value (after RFC 8785)."""
    return _TEXT.encode(value)


def stamp(at: datetime) -> str:
    """A time as entries have it: RFC 3339, UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def payload_digest(
    salt: bytes, text: str, sealed: bytes | None, subject_id: str | None = None
) -> str:
    """Salted SHA-256 of what an entry says, what is sealed beside it, and whom it is about."""
    return sha256(
        salt
        + sha256(text.encode()).digest()
        + _part(sealed)
        + _part(None if subject_id is None else subject_id.encode())
    ).hexdigest()


def payload_digest_of_schema_1(salt: bytes, text: str, sealed: bytes | None) -> str:
    """The same as entries without a tag have it: written under the catalogue's first schema."""
    return sha256(
        salt + sha256(text.encode()).digest() + sha256(sealed or b"").digest()
    ).hexdigest()


def entry_hash(entry: dict[str, Any]) -> str:
    """SHA-256 of an entry's canonical JSON, the hash before it included."""
    return sha256(canonical(entry).encode()).hexdigest()


def hash_of_columns(sequence: int, at: str, event: str, payload_digest: str, previous: str) -> str:
    """The same from an entry's columns, several times as fast; raises TypeError."""
    text = (
        f'{{"at":{_quoted(at)},"event":{_quoted(event)},'
        f'"payload_digest":{_quoted(payload_digest)},"previous":{_quoted(previous)},'
        f'"sequence":{sequence:d}}}'
    )
    return sha256(text.encode()).hexdigest()


def entry_tag(key: bytes, digest: str) -> str:
    """Keyed tag of an entry's hash, BLAKE2b (RFC 7693); 64 hexadecimal digits."""
    return blake2b(digest.encode(), key=key, digest_size=32).hexdigest()


def ranges(sequences: Iterable[int]) -> list[list[int]]:
    """Ascending numbers as [first, last] of each unbroken run."""
    found: list[list[int]] = []
    for sequence in sequences:
        if found and found[-1][1] == sequence - 1:
            found[-1][1] = sequence
        else:
            found.append([sequence, sequence])
    return found


def _part(value: bytes | None) -> bytes:
    return _ABSENT if value is None else _PRESENT + sha256(value).digest()
