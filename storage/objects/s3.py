"""An S3 bucket as an object store, through the MinIO SDK.

Works on unversioned, versioned and suspended buckets alike: deleting a key lists every version,
delete marker and multipart upload of it, removes each by its id, and lists again until nothing is
left (a plain delete on a versioned bucket only hides the object).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import RawIOBase
from typing import Any, Final

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import HTTPError

from models.schema.errors import BadUsage, LikenessError, NotFound, ServiceUnavailable
from storage.objects.interface import PIECE_BYTES, Listed, StoredObject, checked_key

_PART_BYTES: Final = 8 * 1024 * 1024
_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 60.0
_DELETE_ROUNDS: Final = 4
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_ABSENT: Final = {"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "MethodNotAllowed"}


class S3Store:
    """Objects in one bucket that nothing else writes to."""

    def __init__(
        self,
        *,
        bucket: str,
        endpoint: str,
        access_key: str,
        secret_key: str,
        region: str,
        secure: bool,
    ) -> None:
        """Raises BadUsage for an unencrypted connection that leaves this machine (Policy P10)."""
        if not secure and not endpoint.startswith(_LOOPBACK):
            raise BadUsage(
                "The object store would be reached without encryption.",
                remedy="Use TLS: leave secure=false out of the address (Policy P10).",
            )
        self._bucket = bucket
        self._client = Minio(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            region="us-east-1" if region == "local" else region,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
                maxsize=8,
                cert_reqs="CERT_REQUIRED",
                retries=urllib3.Retry(
                    total=4, backoff_factor=0.3, status_forcelist=(500, 502, 503, 504)
                ),
            ),
        )

    def put(self, key: str, pieces: Iterable[bytes]) -> StoredObject:
        """See ObjectStore. Memory is bounded by one part of 8 MiB."""
        if self.stat(key) is not None:
            raise LikenessError("An object's key is taken; nothing was written.")
        source = _Stream(pieces)
        with _translated():
            self._client.put_object(
                self._bucket,
                key,
                source,
                length=-1,
                part_size=_PART_BYTES,  # type: ignore[arg-type]
            )
        return StoredObject(source.size, source.digest.hexdigest())

    @contextmanager
    def get(self, key: str) -> Iterator[Iterator[bytes]]:
        """See ObjectStore."""
        with _translated():
            response = self._client.get_object(self._bucket, checked_key(key))
        try:
            yield _translated_pieces(response.stream(PIECE_BYTES))
        finally:
            response.close()
            response.release_conn()

    def stat(self, key: str) -> StoredObject | None:
        """See ObjectStore."""
        try:
            with _translated():
                found = self._client.stat_object(self._bucket, checked_key(key))
        except NotFound:
            return None
        return StoredObject(found.size or 0)

    def list_keys(self) -> Iterator[Listed]:
        """See ObjectStore."""
        with _translated():
            for found in self._client.list_objects(self._bucket, recursive=True):
                yield Listed(
                    found.object_name or "",
                    found.size or 0,
                    found.last_modified or datetime.now(UTC),
                )

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        for _ in range(_DELETE_ROUNDS):
            with _translated():
                versions = self._versions(key)
                for version in versions:
                    self._client.remove_object(self._bucket, key, version_id=version)
                uploads = self._uploads(key)
                for upload in uploads:
                    self._client._abort_multipart_upload(self._bucket, key, upload.upload_id)
            if not versions and not uploads:
                return
        if self.traces(key):
            raise ServiceUnavailable(
                "The object store still lists versions of an object that was deleted.",
                remedy="Look for object locks or legal holds on the bucket; "
                "the deletion is on record and will be tried again.",
            )

    def traces(self, key: str) -> list[str]:
        """See ObjectStore."""
        with _translated():
            versions = ["version" for _ in self._versions(key)]
            return versions + ["unfinished" for _ in self._uploads(key)]

    def clear_unfinished(self, *, older_than: timedelta) -> int:
        """See ObjectStore."""
        before = datetime.now(UTC) - older_than
        removed = 0
        with _translated():
            for upload in self._uploads(""):
                if upload.initiated_time is not None and upload.initiated_time < before:
                    self._client._abort_multipart_upload(
                        self._bucket, upload.object_name, upload.upload_id
                    )
                    removed += 1
        return removed

    def check(self) -> None:
        """See ObjectStore."""
        with _translated():
            if not self._client.bucket_exists(self._bucket):
                raise ServiceUnavailable(
                    "The bucket of the object store does not exist.",
                    remedy="Create it, or correct LIKENESS_OBJECTS_URL.",
                )

    def _versions(self, key: str) -> list[str | None]:
        found = self._client.list_objects(
            self._bucket, prefix=checked_key(key), recursive=True, include_version=True
        )
        return [version.version_id for version in found if version.object_name == key]

    def _uploads(self, key: str) -> list[Any]:
        # The SDK has no public call for these; without them a killed writer's parts stay for ever.
        found: list[Any] = []
        marker: str | None = None
        while True:
            page = self._client._list_multipart_uploads(self._bucket, prefix=key, key_marker=marker)
            found += [upload for upload in page.uploads if not key or upload.object_name == key]
            marker = page.next_key_marker
            if not page.is_truncated or not marker:
                return found


class _Stream(RawIOBase):
    """Pieces as the readable stream that the SDK wants, counted and digested on the way."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = bytearray()
        self.size = 0
        self.digest = sha256()

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        taken = bytes(self._rest) if size < 0 else bytes(self._rest[:size])
        del self._rest[: len(taken)]
        self.size += len(taken)
        self.digest.update(taken)
        return taken


def _translated_pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    with _translated():
        yield from pieces


@contextmanager
def _translated() -> Iterator[None]:
    """What the SDK raises, as the house's errors; nothing of its text is passed on."""
    try:
        yield
    except S3Error as error:
        if error.code in _ABSENT:
            raise NotFound("The object's bytes are not in the store.") from None
        if error.code in {"AccessDenied", "ObjectLocked", "InvalidAccessKeyId"}:
            raise ServiceUnavailable(
                f"The object store refused the request ({error.code}).",
                remedy="Check the credentials, the bucket's policy and its object locks.",
            ) from None
        raise ServiceUnavailable(
            f"The object store answered with an error ({error.code})."
        ) from None
    except (HTTPError, InvalidResponseError, ServerError) as error:
        raise ServiceUnavailable(
            f"The object store does not answer ({type(error).__name__})."
        ) from None
