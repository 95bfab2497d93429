"""An S3 bucket as an object store: whole or absent, and gone when deleted.

Works on unversioned, versioned and suspended buckets alike. Nothing else may write to the keys of
this house in the bucket; other names in it are neither listed nor touched.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from ipaddress import ip_address
from itertools import groupby
from typing import Final
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from models.schema.errors import (
    BadUsage,
    LikenessError,
    LimitExceeded,
    NotFound,
    Refused,
    ServiceUnavailable,
)
from storage.identifiers import random_id
from storage.objects.interface import (
    PIECE_BYTES,
    Listed,
    StoredObject,
    Unfinished,
    checked_key,
    checked_offset,
    checked_prefix,
    is_key,
    pages_of,
    removed_under_way,
    still_listed,
    taken,
)
from storage.objects.s3_lookup import Lookup, at_once
from storage.objects.s3_requests import (
    Bucket,
    Denied,
    Taken,
    Upload,
    Version,
    not_answering,
    waits,
)

PART_BYTES: Final = 8 * 1024 * 1024
"""What is held in memory and sent at once; S3 wants at least 5 MiB of every part but the last."""
_MOST_PARTS: Final = 10_000
"""S3's limit for one object; with parts of 8 MiB it comes to 78 GiB."""
_RESUMPTIONS: Final = 4
_BATCH: Final = 250
"""Versions that one request deletes, of S3's 1000. Ceph takes 11 ms for each on a versioned bucket
(3 s; all 1000 at once come near to what a connection is waited for on a slower one), and four such
requests at once take half as long as one after the other."""
_DELETE_ROUNDS: Final = 3
"""A late writer may arrive between removing and listing; one that keeps arriving is a fault."""


class S3Store:
    """Objects in one bucket.

    `put` never overwrites. Where the server knows conditional writes (If-None-Match on AWS and
    MinIO; Ceph for single requests on buckets without versions) it decides between two writers of
    one key. Elsewhere the order of the server's own listing does: the first multipart upload
    completes, and the oldest version stays.
    """

    def __init__(
        self,
        *,
        bucket: str,
        endpoint: str,
        access_key: str,
        secret_key: str,
        region: str,
        secure: bool = True,
        location: str | None = None,
    ) -> None:
        """`region` is the jurisdiction; `location` S3's own name of a region, asked when None.

        Opens no connection. Raises BadUsage for a plain connection that leaves this machine
        (Policy P10).
        """
        if not secure and not _is_loopback(endpoint):
            raise BadUsage(
                "The object store would be reached without encryption (Policy P10).",
                remedy="Use TLS: leave secure=false out of the address.",
            )
        self._region = region
        self._bucket = Bucket(
            name=bucket,
            endpoint=endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            location=location,
        )
        self._lookup = Lookup(self._bucket)

    @property
    def region(self) -> str:
        """See ObjectStore."""
        return self._region

    def put(self, key: str, pieces: Iterable[bytes]) -> StoredObject:
        """See ObjectStore. Holds three parts of 8 MiB at most.

        Raises LimitExceeded past 78 GiB. Where the connection broke for good, the object may be
        there or not, but is never in part; deleting the key removes either.
        """
        if self._versions(key):
            raise taken()
        write = random_id()
        digest, size, buffer = sha256(), 0, bytearray()
        upload: str | None = None
        etags: list[str] = []
        try:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                buffer += piece
                while len(buffer) > PART_BYTES:
                    upload = upload or self._begin(key, write)
                    etags.append(self._put_part(key, upload, len(etags) + 1, buffer))
            if upload is None:
                version = self._put_at_once(key, bytes(buffer), write)
            else:
                etags.append(self._put_part(key, upload, len(etags) + 1, buffer))
                version = self._complete(key, upload, etags, write)
        except BaseException:
            if upload is not None:
                # What cannot be aborted now is found by `delete` and `clear_unfinished`.
                with suppress(LikenessError):
                    self._bucket.abort_upload(key, upload)
            raise
        if version is not None:
            self._settle(key, write, version)
        return StoredObject(size, digest.hexdigest())

    @contextmanager
    def get(self, key: str, *, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """See ObjectStore. A connection that breaks is resumed where it broke, four times."""
        response = self._bucket.get(checked_key(key), checked_offset(offset))
        if response is None:
            yield iter(())
            return
        with closing(self._pieces(key, offset, response)) as pieces:
            yield pieces

    def stat(self, key: str) -> StoredObject | None:
        """See ObjectStore."""
        try:
            return StoredObject(self._bucket.head(checked_key(key)).size)
        except NotFound:
            return None

    def list_keys(self, prefix: str = "") -> Iterator[Listed]:
        """See ObjectStore."""
        checked_prefix(prefix)
        # A page lists its versions first and its markers after them, so each kind is in order of
        # key and the two together are not: they are read side by side and merged.
        kinds = (self._of_kind(prefix, markers=markers) for markers in (False, True))
        merged = heapq.merge(*kinds, key=lambda found: (found.key, found.is_marker))
        for key, found in groupby(merged, key=lambda version: version.key):
            if is_key(key):
                newest = next(found)
                yield Listed(key, newest.size, newest.modified_at)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        self.delete_many((key,))

    def delete_many(self, keys: Iterable[str]) -> None:
        """See ObjectStore. Passes over governance retention where the credentials may."""
        refused: Refused | None = None
        for page in pages_of(keys):
            try:
                self._delete_page(page)
            except Refused as error:
                refused = refused or error
        if refused:
            raise refused

    def present_among(self, keys: Iterable[str]) -> set[str]:
        """See ObjectStore."""
        present: set[str] = set()
        for page in pages_of(keys):
            # In this order: an upload that is not listed any more is listed as a version by now.
            present.update(found.key for found in self._lookup.uploads(page))
            present.update(found.key for found in self._lookup.versions(page))
        return present

    def traces(self, key: str) -> list[str]:
        """See ObjectStore."""
        # In the order of `present_among`, for its reason.
        unfinished = ["unfinished" for _ in self._uploads(key)]
        versions = ["marker" if found.is_marker else "version" for found in self._versions(key)]
        return versions + unfinished

    def unfinished(self) -> Iterator[Unfinished]:
        """See ObjectStore."""
        for upload in self._bucket.uploads(""):
            if is_key(upload.key):
                yield Unfinished(upload.key, upload.began_at)

    def clear_unfinished(self, *, older_than: timedelta) -> int:
        """See ObjectStore."""
        before = datetime.now(UTC) - older_than
        old = [found for found in self._bucket.uploads("") if found.began_at <= before]
        ours = [upload for upload in old if is_key(upload.key)]
        for upload in ours:
            self._bucket.abort_upload(upload.key, upload.id)
        return len(ours)

    def check(self) -> None:
        """See ObjectStore. Also asks for both listings, without which no erasure is verified."""
        if not self._bucket.exists():
            raise ServiceUnavailable(
                "The bucket of the object store does not exist.",
                remedy="Create it, or correct LIKENESS_OBJECTS_URL.",
            )
        self.traces("0" * 32)

    def _begin(self, key: str, write: str) -> str:
        for wait in waits():
            try:
                return self._bucket.begin_upload(key, write)
            except ServiceUnavailable as error:
                if isinstance(error, Denied) or wait is None:
                    raise
                # One may have begun although the answer was lost. It would look like an older
                # writer of the key, and stay when ours is complete.
                for upload in self._uploads(key):
                    self._bucket.abort_upload(key, upload.id)
                time.sleep(wait)
        raise AssertionError

    def _put_part(self, key: str, upload: str, number: int, buffer: bytearray) -> str:
        """Send the first part of the buffer and take it off."""
        if number > _MOST_PARTS:
            raise LimitExceeded("An object of more than 78 GiB cannot be kept in an S3 store.")
        part = bytes(memoryview(buffer)[:PART_BYTES])
        del buffer[:PART_BYTES]
        try:
            return self._bucket.put_part(key, upload, number, part)
        except NotFound:
            raise removed_under_way() from None

    def _put_at_once(self, key: str, body: bytes, write: str) -> str | None:
        try:
            return self._bucket.put(key, body, write)
        except Taken:
            # Taken by our own first attempt, when its answer was lost and it was sent again.
            if self._is_of(write, key):
                return None
            raise taken() from None

    def _complete(self, key: str, upload: str, etags: list[str], write: str) -> str | None:
        """Make an object of the parts, unless another writer of the key was there first."""
        uploads = sorted(self._uploads(key), key=lambda found: (found.began_at, found.id))
        if all(found.id != upload for found in uploads):
            raise removed_under_way()
        # In this order: a rival that is not listed any more has its object in place by now.
        if uploads[0].id != upload or self._versions(key):
            raise taken()
        for wait in waits():
            try:
                return self._bucket.complete_upload(key, upload, etags)
            except (Taken, NotFound, ServiceUnavailable) as error:
                # It may be complete although the answer was lost.
                if self._is_of(write, key):
                    return None
                if isinstance(error, Taken):
                    raise taken() from None
                if isinstance(error, NotFound):
                    raise removed_under_way() from None
                if isinstance(error, Denied) or wait is None:
                    raise
                time.sleep(wait)
        raise AssertionError

    def _settle(self, key: str, write: str, version: str) -> None:
        """Of several versions that were written at once the oldest stays, and its writer won."""
        versions = [found for found in self._versions(key) if not found.is_marker]
        for newer in versions[:-1]:
            self._bucket.remove(newer)
        if not versions or not (
            versions[-1].id == version or self._is_of(write, key, versions[-1].id)
        ):
            raise taken()

    def _is_of(self, write: str, key: str, version: str | None = None) -> bool:
        try:
            return self._bucket.head(key, version).write == write
        except NotFound:
            return False

    def _delete_page(self, keys: Sequence[str]) -> None:
        """Delete and verify keys that are in order.

        A plain delete would only hide a version behind a marker, and removing the versions alone
        would leave the marker, so each is removed by its own id. Uploads go first: none of them
        can become a version afterwards. Keys of which something was found are looked for again.
        """
        for _ in range(_DELETE_ROUNDS + 1):
            uploads = self._lookup.uploads(keys)
            for upload in uploads:
                self._bucket.abort_upload(upload.key, upload.id)
            versions = self._lookup.versions(keys)
            self._remove(versions)
            keys = sorted({found.key for found in uploads} | {found.key for found in versions})
            if not keys:
                return
        raise still_listed()

    def _remove(self, versions: Sequence[Version]) -> None:
        """Remove all; raises Refused for a lock, when everything else is removed."""
        kept = self._kept(versions, past_governance=False)
        # Only what was kept: the right to pass over a lock is not used where there is none.
        kept = self._kept(list(kept), past_governance=True)
        for version, error in kept.items():
            lock = "" if version.is_marker else self._bucket.head(version.key, version.id).lock
            if not lock:
                raise error
            raise Refused(
                f"A lock in the object store forbids deleting an object: {lock}.",
                remedy="Lift the lock or wait until it ends; the deletion is tried again then.",
                code="locked",
            )

    def _kept(
        self, versions: Sequence[Version], *, past_governance: bool
    ) -> dict[Version, LikenessError]:
        """Try to remove all; gives what the server would not remove."""
        batches = [versions[first : first + _BATCH] for first in range(0, len(versions), _BATCH)]
        remove = partial(self._bucket.remove_all, past_governance=past_governance)
        kept: dict[Version, LikenessError] = {}
        for answer in at_once(remove, batches):
            kept |= answer
        return kept

    def _of_kind(self, prefix: str, *, markers: bool) -> Iterator[Version]:
        return (found for found in self._bucket.versions(prefix) if found.is_marker is markers)

    def _versions(self, key: str) -> list[Version]:
        """Newest first, markers after versions."""
        return self._lookup.versions_of(checked_key(key))

    def _uploads(self, key: str) -> list[Upload]:
        return [found for found in self._bucket.uploads(checked_key(key)) if found.key == key]

    def _pieces(
        self, key: str, position: int, response: BaseHTTPResponse
    ) -> Generator[bytes, None, None]:
        etag = response.headers.get("etag")
        failures = 0
        current: BaseHTTPResponse | None = response
        try:
            while current is not None:
                try:
                    for piece in current.stream(PIECE_BYTES, decode_content=False):
                        position += len(piece)
                        yield piece
                    return
                except (HTTPError, OSError) as error:
                    failures += 1
                    if failures > _RESUMPTIONS:
                        raise not_answering(type(error).__name__) from None
                _let_go(current)
                current = self._bucket.get(key, position, etag)
        finally:
            if current is not None:
                _let_go(current)


def _let_go(response: BaseHTTPResponse) -> None:
    """Close the connection: an unread rest would otherwise be read by the next request."""
    response.close()
    response.release_conn()


def _is_loopback(endpoint: str) -> bool:
    """Whether the endpoint names this machine by itself; a name that resolves to it does not."""
    try:
        host = urlsplit(f"//{endpoint}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
