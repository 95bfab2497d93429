"""From an address to a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from models.schema.errors import BadUsage
from storage.objects.interface import ObjectStore
from storage.objects.local import LocalStore

_FORM: Final = (
    "Use a folder, file:///FOLDER, or s3://BUCKET?endpoint=HOST:PORT, "
    "with &secure=false (loopback only) and &location=NAME where needed."
)
_OPTIONS: Final = {"endpoint", "secure", "location"}


def open_store(
    url: str, *, region: str, access_key: str | None = None, secret_key: str | None = None
) -> ObjectStore:
    """Open `s3://BUCKET?endpoint=HOST:PORT[&secure=false][&location=NAME]`, `file:///FOLDER` or a
    folder, which is made where it is missing.

    S3 credentials that are not given are read from LIKENESS_S3_ACCESS_KEY and
    LIKENESS_S3_SECRET_KEY. No server is asked (`check` does). Raises BadUsage for another address,
    missing credentials or a plain connection that leaves this machine (Policy P10), and
    ServiceUnavailable for a folder that cannot be used.
    """
    if "://" not in url:
        return LocalStore(Path(url), region=region)
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc:
        return LocalStore(Path(unquote(parts.path)), region=region)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    secure = options.get("secure", "true")
    if (
        parts.scheme != "s3"
        or not parts.netloc
        or parts.path not in ("", "/")
        or "endpoint" not in options
        or not _OPTIONS.issuperset(options)
        or secure not in ("true", "false")
    ):
        raise BadUsage("The address of the object store is not understood.", remedy=_FORM)
    access_key = access_key or os.environ.get("LIKENESS_S3_ACCESS_KEY")
    secret_key = secret_key or os.environ.get("LIKENESS_S3_SECRET_KEY")
    if not access_key or not secret_key:
        raise BadUsage(
            "The S3 store needs credentials.",
            remedy="Set LIKENESS_S3_ACCESS_KEY and LIKENESS_S3_SECRET_KEY.",
        )
    from storage.objects.s3 import S3Store

    return S3Store(
        bucket=parts.netloc,
        endpoint=options["endpoint"],
        access_key=access_key,
        secret_key=secret_key,
        region=region,
        secure=secure == "true",
        location=options.get("location"),
    )
