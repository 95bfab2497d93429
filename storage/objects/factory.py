"""From an address to a store."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from models.schema.errors import BadUsage
from storage.objects.interface import ObjectStore
from storage.objects.local import LocalStore


def open_store(url: str, *, region: str) -> ObjectStore:
    """Open `s3://BUCKET?endpoint=HOST:PORT[&secure=false]`, `file:///FOLDER` or a folder.

    S3 credentials are read from LIKENESS_S3_ACCESS_KEY and LIKENESS_S3_SECRET_KEY. Raises BadUsage
    for another address, ServiceUnavailable where the bucket does not answer.
    """
    if "://" not in url:
        return LocalStore(Path(url), region=region)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(Path(parts.path), region=region)
    if parts.scheme != "s3" or not parts.netloc:
        raise BadUsage(
            "The address of the object store is not understood.",
            remedy="Use a folder, or s3://BUCKET?endpoint=HOST:PORT.",
        )
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    access_key = os.environ.get("LIKENESS_S3_ACCESS_KEY", "")
    secret_key = os.environ.get("LIKENESS_S3_SECRET_KEY", "")
    if not access_key or not secret_key or "endpoint" not in options:
        raise BadUsage(
            "The S3 store needs an endpoint and credentials.",
            remedy="Name the endpoint in the address, and set LIKENESS_S3_ACCESS_KEY and "
            "LIKENESS_S3_SECRET_KEY.",
        )
    from storage.objects.s3 import S3Store

    return S3Store(
        bucket=parts.netloc,
        endpoint=options["endpoint"],
        access_key=access_key,
        secret_key=secret_key,
        region=region,
        secure=options.get("secure", "true") != "false",
    )
