"""How tests open a bucket."""

from __future__ import annotations

from collections.abc import Callable

from storage.objects import ObjectStore, open_store
from tests.servers.s3 import S3Server

REGION = "CN"


def opener(
    server: S3Server, bucket: str, *, endpoint: str | None = None
) -> Callable[[], ObjectStore]:
    """Opens one bucket of a server, at another endpoint where a proxy stands before it."""
    return lambda: open_store(
        f"s3://{bucket}?endpoint={endpoint or server.endpoint}&secure=false",
        region=REGION,
        access_key=server.access_key,
        secret_key=server.secret_key,
    )
