"""The S3 requests that a store needs of one bucket, through the MinIO SDK, in the house's errors.

The SDK publishes no call for multipart uploads or for conditional writes, so its own private ones
are used here and nowhere else; the contract tests exercise each against a real server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from minio import Minio
from minio.datatypes import parse_list_objects
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.xml import Element, SubElement, getbytes
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from models.schema.errors import BadUsage, LikenessError, NotFound, ServiceUnavailable, Tampered

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 60.0
RETRIES: Final = 4
BACKOFF_SECONDS: Final = 0.2
"""Waits 0.4, 0.8 and 1.6 s after the first retry: a store that is down is reported in seconds."""
_WRITE_MARK: Final = "x-amz-meta-likeness-write"
_OURS_ALONE: Final = {"If-None-Match": "*"}
_BYTES: Final = "application/octet-stream"
_ABSENT: Final = {"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "MethodNotAllowed"}
_DENIED: Final = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
_BUSY: Final = {
    "ConditionalRequestConflict",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "XMinioServerNotInitialized",
}


class Taken(Exception):
    """The server refused a conditional write: something lies under the key."""


class Denied(ServiceUnavailable):
    """The server refused the request for want of rights, or because of a lock."""


@dataclass(frozen=True)
class Head:
    """What HEAD says of one version: its size in bytes, who wrote it, and what locks it.

    `write` is the random id of the `put` that wrote it; `lock` is empty where nothing forbids
    deletion.
    """

    size: int
    write: str
    lock: str


@dataclass(frozen=True)
class Version:
    """One version or delete marker of a key, as listed; `id` is `null` on unversioned buckets."""

    key: str
    id: str
    size: int
    modified_at: datetime
    is_marker: bool


class Marker(NamedTuple):
    """Where a listing goes on: behind this version of this key, or behind the whole key."""

    key: str
    version: str = ""


@dataclass(frozen=True)
class Listing:
    """One answer of a listing; `rest` is None where nothing follows.

    Every version and marker of a key that sorts before `rest.key` has been listed; of that key
    itself some may follow.
    """

    versions: list[Version]
    rest: Marker | None


@dataclass(frozen=True)
class Upload:
    """One multipart upload that has been neither completed nor aborted."""

    key: str
    id: str
    began_at: datetime


class Bucket:
    """One bucket's requests, each with time-outs.

    A request that failed with 500, 502, 503 or 504, or whose connection broke, is sent again up to
    four times, so a write may have happened although its answer was lost; `Head.write` tells.
    Beginning and completing an upload are sent once: twice may not be the same as once.
    """

    def __init__(
        self,
        *,
        name: str,
        endpoint: str,
        access_key: str,
        secret_key: str,
        secure: bool,
        location: str | None,
    ) -> None:
        """Opens no connection. Raises BadUsage for an endpoint or bucket name that cannot be one.

        Certificates are checked against the file that SSL_CERT_FILE names, else against certifi's.
        """
        self._name = name
        http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            maxsize=8,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
            retries=urllib3.Retry(
                total=RETRIES,
                redirect=0,  # a redirect could lead away from TLS
                backoff_factor=BACKOFF_SECONDS,
                status_forcelist=(500, 502, 503, 504),
                allowed_methods=("DELETE", "GET", "HEAD", "PUT"),
                respect_retry_after_header=False,  # a server may ask for hours
            ),
        )
        try:
            self._client = Minio(
                endpoint,
                access_key=access_key,
                secret_key=secret_key,
                secure=secure,
                region=location,
                http_client=http,
            )
        except ValueError:
            raise BadUsage(
                "The endpoint of the S3 store is not one.",
                remedy="Write it as HOST or HOST:PORT, without https:// and without a path.",
            ) from None

    def exists(self) -> bool:
        """Whether the bucket is there."""
        with self._translated():
            return bool(self._client.bucket_exists(self._name))

    def head(self, key: str, version: str | None = None) -> Head:
        """What lies under the key; raises NotFound."""
        with self._translated():
            found = self._client.stat_object(self._name, key, version_id=version)
        headers = found.metadata or {}
        locks = []
        if headers.get("x-amz-object-lock-legal-hold") == "ON":
            locks.append("a legal hold")
        if mode := headers.get("x-amz-object-lock-mode"):
            until = headers.get("x-amz-object-lock-retain-until-date", "an unnamed day")
            locks.append(f"{str(mode).lower()} retention until {until}")
        return Head(found.size or 0, headers.get(_WRITE_MARK, ""), " and ".join(locks))

    def get(self, key: str, offset: int, etag: str | None = None) -> BaseHTTPResponse | None:
        """The answer whose body is the object from `offset` on; None where it ends before that.

        With `etag` only that same object is given. Raises NotFound; Tampered for another object.
        """
        with self._translated():
            try:
                return self._client.get_object(
                    self._name,
                    key,
                    offset=offset,
                    request_headers={"If-Match": etag} if etag else None,
                )
            except S3Error as error:
                if error.code == "InvalidRange":
                    return None
                if error.code == "PreconditionFailed":
                    raise Tampered("An object changed while it was read.") from None
                raise

    def put(self, key: str, body: bytes, write: str) -> str | None:
        """Write the whole object at once; gives its version, None where the bucket has none.

        Raises Taken where the server knows conditional writes (Ceph does not on versioned buckets).
        """
        with self._conditional():
            written = self._client._put_object(
                self._name,
                key,
                body,
                {"Content-Type": _BYTES, _WRITE_MARK: write, **_OURS_ALONE},
            )
        return written.version_id

    def begin_upload(self, key: str, write: str) -> str:
        """Begin a multipart upload; gives its id."""
        with self._translated():
            return self._client._create_multipart_upload(
                self._name, key, {"Content-Type": _BYTES, _WRITE_MARK: write}
            )

    def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        """Store one part, counted from 1; gives its ETag."""
        with self._translated():
            return self._client._upload_part(self._name, key, body, None, upload, number)

    def complete_upload(self, key: str, upload: str, parts: list[str]) -> str | None:
        """Make the object of its parts; gives its version, None where the bucket has none.

        Raises Taken where the server knows conditional completion (Ceph 16 does not), and
        NotFound where the upload is gone: aborted, or completed by a request whose answer was lost.
        """
        document = Element("CompleteMultipartUpload")
        for number, etag in enumerate(parts, start=1):
            part = SubElement(document, "Part")
            SubElement(part, "PartNumber", str(number))
            SubElement(part, "ETag", f'"{etag}"')
        body = getbytes(document)
        with self._conditional():
            response = self._client._execute(
                "POST",
                self._name,
                key,
                body=body,
                headers={"Content-Type": "application/xml", **_OURS_ALONE},
                query_params={"uploadId": upload},
            )
            # S3 may answer 200 and report a failure in the body.
            if b"<Error" in response.data:
                raise S3Error.fromxml(response)
        return response.headers.get("x-amz-version-id")

    def abort_upload(self, key: str, upload: str) -> None:
        """Abort a multipart upload and free its parts; one that is gone already is no error."""
        with self._translated():
            try:
                self._client._abort_multipart_upload(self._name, key, upload)
            except S3Error as error:
                if error.code != "NoSuchUpload":
                    raise

    def versions(self, prefix: str) -> Iterator[Version]:
        """Every version and marker with the prefix; markers come after the versions of a page."""
        with self._translated():
            listing = self._client.list_objects(
                self._name, prefix=prefix, recursive=True, include_version=True
            )
        while True:
            with self._translated():
                found = next(listing, None)
            if found is None:
                return
            yield _version(found)

    def listing(self, after: Marker, limit: int) -> Listing:
        """The next versions and markers, at most `limit` (1 to 1000), those of others included.

        Raises ServiceUnavailable for a listing that does not advance: it would never end.
        """
        query: dict[str, Any] = {
            "versions": "",
            "delimiter": "",
            "encoding-type": "url",
            "key-marker": after.key,
            "max-keys": str(limit),
            "prefix": "",
        }
        if after.version:
            query["version-id-marker"] = after.version
        with self._translated():
            response = self._client._execute("GET", self._name, query_params=query)
            found, truncated, key, version = parse_list_objects(response)
        rest = Marker(key or "", version or "") if truncated else None
        if rest == after or rest == Marker(""):
            raise not_answering("its listing does not advance")
        return Listing([_version(each) for each in found], rest)

    def uploads(self, prefix: str) -> Iterator[Upload]:
        """Every multipart upload with the prefix that is neither completed nor aborted."""
        key_marker: str | None = None
        id_marker: str | None = None
        while True:
            with self._translated():
                page: Any = self._client._list_multipart_uploads(
                    self._name, prefix=prefix, key_marker=key_marker, upload_id_marker=id_marker
                )
            for found in page.uploads:
                began_at = found.initiated_time or datetime.now(UTC)
                yield Upload(found.object_name, found.upload_id, began_at)
            key_marker = page.next_key_marker
            # minio 7.2.20 keeps this marker under a misspelt name, and None under the right one.
            id_marker = vars(page).get("self._next_upload_id_marker") or page.next_upload_id_marker
            if not page.is_truncated or not key_marker:
                return

    def remove(self, version: Version) -> None:
        """Remove one version or marker for good; raises Denied where a lock or rights forbid it."""
        with self._translated():
            try:
                self._client.remove_object(self._name, version.key, version_id=version.id)
            except S3Error as error:
                if error.code not in _ABSENT:
                    raise

    def remove_all(
        self, versions: Sequence[Version], *, past_governance: bool = False
    ) -> dict[Version, LikenessError]:
        """Remove up to 1000 versions and markers for good, in one request.

        Gives those that the server would not remove, and why. What it was too busy for, which it
        may say of each one in an answer of 200, is sent again up to four times; raises
        ServiceUnavailable after that. `past_governance` asks to pass over governance retention,
        for which the credentials need a right of their own (S3: BypassGovernanceRetention).
        """
        kept: dict[Version, LikenessError] = {}
        left = list(versions)
        for wait in waits():
            try:
                codes = self._remove_once(left, past_governance=past_governance)
            except Denied as denied:
                return kept | dict.fromkeys(left, denied)
            except ServiceUnavailable:
                if wait is None:
                    raise
            else:
                busy = {version: code for version, code in codes.items() if code in _BUSY}
                kept |= {
                    version: _of_the_house(code)
                    for version, code in codes.items()
                    if code not in _BUSY and code not in _ABSENT
                }
                if not busy:
                    return kept
                if wait is None:
                    raise not_answering(next(iter(busy.values())))
                left = list(busy)
            time.sleep(wait)
        raise AssertionError

    def _remove_once(
        self, versions: Sequence[Version], *, past_governance: bool
    ) -> dict[Version, str]:
        """Send one batch; gives the error codes inside the answer."""
        asked = [DeleteObject(version.key, version.id) for version in versions]
        with self._translated():
            errors = list(
                self._client.remove_objects(
                    self._name, asked, bypass_governance_mode=past_governance
                )
            )
        codes: dict[Version, str] = {}
        for error in errors:
            # An error may name no version, and one of the whole request names no key either.
            meant = {
                version: error.code
                for version in versions
                if error.name == version.key and error.version_id in {None, "", version.id}
            }
            if not meant:
                raise _of_the_house(error.code)
            codes |= meant
        return codes

    @contextmanager
    def _conditional(self) -> Iterator[None]:
        with self._translated():
            try:
                yield
            except S3Error as error:
                if error.code != "PreconditionFailed":
                    raise
                raise Taken from None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What the SDK raises, as the house's errors; nothing of the server's text is passed on."""
        try:
            yield
        except S3Error as error:
            raise _of_the_house(error.code or "no code") from None
        except (HTTPError, OSError) as error:
            raise not_answering(type(error).__name__) from None
        except (InvalidResponseError, ServerError, ParseError, ValueError):
            # ValueError: what minio 7.2.20 makes of a 409 without a body.
            raise not_answering("what answers there does not speak S3") from None


def waits() -> Iterator[float | None]:
    """Seconds to wait after each attempt; None after the last."""
    yield 0.0
    yield from (BACKOFF_SECONDS * 2**attempt for attempt in range(1, RETRIES))
    yield None


def _version(found: Any) -> Version:
    return Version(
        found.object_name or "",
        found.version_id or "null",
        found.size or 0,
        found.last_modified or datetime.now(UTC),
        found.is_delete_marker,
    )


def not_answering(reason: str) -> ServiceUnavailable:
    """The store does not answer, after all retries."""
    return ServiceUnavailable(f"The object store does not answer ({reason}).")


def _of_the_house(code: str) -> LikenessError:
    if code in _ABSENT:
        return NotFound("The object's bytes are not in the store.")
    if code == "NoSuchBucket":
        return ServiceUnavailable(
            "The bucket of the object store does not exist.",
            remedy="Create it, or correct LIKENESS_OBJECTS_URL.",
        )
    if code in _DENIED:
        return Denied(
            f"The object store refused the request ({code}).",
            remedy="Check LIKENESS_S3_ACCESS_KEY, LIKENESS_S3_SECRET_KEY, the bucket's policy and "
            "this machine's clock.",
        )
    if code in _BUSY:
        return not_answering(code)
    return LikenessError(f"The object store answered with an error ({code}).")
