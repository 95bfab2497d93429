"""One interface over every place that keeps ciphertext.

What a store is given is already encrypted, and its keys are random: a store learns neither whose
bytes they are nor what they show. What it promises in return is what an erasure rests on
(invariant 5, Policy P15): a key is whole or absent, and a deleted key is listed as absent, every
version, delete marker and unfinished write of it included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol

from models.schema.errors import LikenessError

PIECE_BYTES: Final = 1024 * 1024
"""The largest piece that a store hands out: what the door checks and releases at once."""
PAGE_KEYS: Final = 1000
"""How many keys are looked for and deleted together: as many as one S3 request lists or deletes."""
_SORTED_AT_ONCE: Final = 100_000
"""Keys that are held in memory and sorted together, about 20 MB."""
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_PREFIX: Final = re.compile(r"[0-9a-f]{0,32}")


@dataclass(frozen=True)
class StoredObject:
    """What lies under a key: bytes of ciphertext and their SHA-256, hexadecimal.

    `sha256` is empty where the store was only asked (`stat`), not written.
    """

    size: int
    sha256: str = ""


@dataclass(frozen=True)
class Listed:
    """One key of a listing; `size` in bytes and `modified_at` are those of its newest version."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class Unfinished:
    """A write that has not ended, or whose writer died: its key, and when it was last seen alive.

    S3 tells only when a multipart upload began; a folder tells when its file last grew.
    """

    key: str
    seen_at: datetime


class ObjectStore(Protocol):
    """Keeps whole objects under random keys; what it is given is already encrypted.

    Every method raises ServiceUnavailable where the store does not answer, and LikenessError for a
    key that is not one of this house.
    """

    @property
    def region(self) -> str:
        """The jurisdiction that the store lies in (Policy P13)."""
        ...

    def put(self, key: str, pieces: Iterable[bytes]) -> StoredObject:
        """Store a stream whole or not at all, in memory that does not grow with its length.

        Raises LikenessError where the key is taken. What `pieces` raises passes through, and no
        object lies under the key then.
        """
        ...

    def get(self, key: str, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """The object's bytes from `offset` on, in pieces of at most 1 MiB; raises NotFound.

        An offset at or past the end gives no piece.
        """
        ...

    def stat(self, key: str) -> StoredObject | None:
        """Size of what can be read under the key, None where nothing can."""
        ...

    def list_keys(self, prefix: str = "") -> Iterator[Listed]:
        """Every key that begins with `prefix` and has a version or a marker, once, in order of key.

        A key whose newest version is a delete marker is listed too: older bytes may still be there.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove every version, marker and unfinished write of the key, and verify by listing.

        Idempotent. Raises Refused where a lock in the store forbids it, LikenessError where
        something is still listed afterwards.
        """
        ...

    def delete_many(self, keys: Iterable[str]) -> None:
        """`delete` of all these keys and no other, in pages of 1000 that are verified one by one.

        Idempotent; keys may come in any order and more than once, and are held 100,000 at a time.
        Whoever has something to do in between calls it page by page, cheapest in order of key.
        Raises as `delete` does; Refused only after everything else was deleted.
        """
        ...

    def present_among(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys of which anything is left, be it a marker or an unfinished write.

        As `traces` of each of them would tell, in a few listings.
        """
        ...

    def traces(self, key: str) -> list[str]:
        """What still lies under the key, one word each; [] is what "listed as absent" means.

        `whole` or `version` (bytes), `marker` (a delete marker), `unfinished` (a write).
        """
        ...

    def unfinished(self) -> Iterator[Unfinished]:
        """Every write that has not ended, those of living writers included."""
        ...

    def clear_unfinished(self, *, older_than: timedelta) -> int:
        """Remove unfinished writes last seen before this; returns how many.

        A living writer whose write is removed fails, and leaves nothing under its key.
        """
        ...

    def check(self) -> None:
        """Raise ServiceUnavailable when the store does not answer."""
        ...


def is_key(name: str) -> bool:
    """Whether a name found in a store is a key of this house."""
    return _KEY.fullmatch(name) is not None


def checked_key(key: str) -> str:
    """The key itself; raises LikenessError for anything that is not 32 hexadecimal digits.

    A key never comes from outside, so another form is a fault of ours, not bad input. No path can
    be made of the accepted alphabet.
    """
    if not is_key(key):
        raise LikenessError("An object's key is not one of this house.")
    return key


def pages_of(keys: Iterable[str]) -> Iterator[list[str]]:
    """The keys in pages of at most 1000, each in order of key; raises LikenessError as checked_key.

    Of every 100,000 that come, each is given once and all are in order, so that the keys of a page
    lie as near to each other in the store as they can.
    """
    source = iter(keys)
    while batch := sorted({checked_key(key) for key in islice(source, _SORTED_AT_ONCE)}):
        for first in range(0, len(batch), PAGE_KEYS):
            yield batch[first : first + PAGE_KEYS]


def checked_prefix(prefix: str) -> str:
    """The prefix itself; raises LikenessError for anything that no key begins with."""
    if not _PREFIX.fullmatch(prefix):
        raise LikenessError("No key of this house begins with that prefix.")
    return prefix


def checked_offset(offset: int) -> int:
    """The offset itself, in bytes; raises LikenessError for a negative one."""
    if offset < 0:
        raise LikenessError("An object is read from its beginning on, not from before it.")
    return offset


def taken() -> LikenessError:
    """What `put` raises for a key that already has an object."""
    return LikenessError("An object's key is taken; nothing was written.", code="key_taken")


def removed_under_way() -> LikenessError:
    """What `put` raises when `delete` or `clear_unfinished` removed what it had written so far."""
    return LikenessError(
        "An unfinished write was removed while it was under way; nothing was written.",
        code="removed_under_way",
    )


def still_listed() -> LikenessError:
    """What `delete` raises when the listing afterwards is not empty (invariant 5)."""
    return LikenessError(
        "The store still lists an object that was deleted.",
        remedy="Run the command again; if it stays, the store answers 'deleted' and keeps "
        "versions, and must not be used.",
        code="still_listed",
    )
