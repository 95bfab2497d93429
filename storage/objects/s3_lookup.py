"""What lies in a bucket under many keys: walked or asked for, whichever takes fewer steps.

Keys are random, so a person's lie evenly among everybody else's. Where they are a good part of
what is there, one listing of 1000 names passes many of them; where they are few, each is asked for
by itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Final, TypeVar

from models.schema.errors import LikenessError
from storage.identifiers import random_id
from storage.objects.s3_requests import Bucket, Marker, Upload, Version

Item = TypeVar("Item")
Answer = TypeVar("Answer")

AT_ONCE: Final = 8
"""Requests that are under way together: as many as Bucket keeps connections."""
_FIRST_LISTING: Final = 250
_LONGEST_LISTING: Final = 1000
"""S3's own limit. The first is shorter: where the keys are gone it shows so just as well."""
_WORTH_PASSING: Final = 32
"""A listed name costs a 32nd of a request (Ceph on loopback: 0.09 ms and 2.5 ms), so walking pays
while at least one of 32 names is wanted."""


class Lookup:
    """Finds versions, markers and unfinished uploads of many keys."""

    def __init__(self, bucket: Bucket) -> None:
        """Asks for nothing yet."""
        self._bucket = bucket
        self._prefixes_work: bool | None = None

    def versions(self, keys: Sequence[str]) -> list[Version]:
        """Every version and marker of these keys, which are in order; in no order."""
        wanted = set(keys)
        found: dict[Version, None] = {}
        at, after, limit = 0, Marker(""), _FIRST_LISTING
        while (len(keys) - at) * _WORTH_PASSING >= limit:
            # S3 goes on behind a marker, so it is set between the key and any key before it.
            after = max(after, Marker(keys[at][:-1]))
            listing = self._bucket.listing(after, limit)
            found |= dict.fromkeys(each for each in listing.versions if each.key in wanted)
            if listing.rest is None:
                return list(found)
            passed = bisect_left(keys, listing.rest.key, at) - at
            at, after, limit = at + passed, listing.rest, _LONGEST_LISTING
            if passed * _WORTH_PASSING < len(listing.versions):
                break
        for answer in at_once(self.versions_of, keys[at:]):
            found |= dict.fromkeys(answer)
        return list(found)

    def versions_of(self, key: str) -> list[Version]:
        """Every version and marker of one key, newest first, markers after versions."""
        return [found for found in self._bucket.versions(key) if found.key == key]

    def uploads(self, keys: Sequence[str]) -> list[Upload]:
        """Every unfinished upload of these keys."""
        wanted, prefixes = set(keys), {key[0] for key in keys}
        asked = sorted(prefixes) if len(prefixes) < len(wanted) and self._by_prefix() else keys

        def wanted_of(prefix: str) -> list[Upload]:
            return [found for found in self._bucket.uploads(prefix) if found.key in wanted]

        return list(chain.from_iterable(at_once(wanted_of, asked)))

    def _by_prefix(self) -> bool:
        """Whether the server lists uploads by a part of their names.

        MinIO lists them by whole names alone and answers nothing for less, which would look like
        nothing left. So an upload is begun and looked for, once; without the right to begin one,
        as an auditor who may only read, every key is asked for.
        """
        if self._prefixes_work is None:
            key = random_id()
            try:
                upload = self._bucket.begin_upload(key, key)
            except LikenessError:
                return False
            try:
                self._prefixes_work = any(
                    found.id == upload for found in self._bucket.uploads(key[0])
                )
            finally:
                self._bucket.abort_upload(key, upload)
        return self._prefixes_work


def at_once(ask: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
    """The answers in order, eight asked for at a time; what one raises ends them all."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(ask, items)
