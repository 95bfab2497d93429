"""The Prefect server that PREFECT_API_URL names, asked over its HTTP interface.

Without Prefect's own library: a command that erases answers before that could be imported, and a
server that is down keeps it no longer than a timeout. Read from Prefect's own variables:
PREFECT_API_URL, PREFECT_API_KEY, PREFECT_API_AUTH_STRING, PREFECT_API_SSL_CERT_FILE. A server that
demands CSRF tokens is not supported; it refuses, which is said.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any, Final, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from models.schema.errors import ServiceUnavailable

ANSWER_SECONDS: Final = 15.0
"""For one answer; a page of 200 runs takes a busy server well under a second."""
_PAGE: Final = 200
"""The most that the server gives at once (PREFECT_API_DEFAULT_LIMIT)."""
_GONE: Final = 404


class PrefectServer:
    """One server; every method raises ServiceUnavailable where it does not answer as it should."""

    def __init__(self, address: str) -> None:
        """`address` is that of its API: `http://127.0.0.1:4200/api`."""
        self._address = address.rstrip("/")

    @classmethod
    def configured(cls) -> Self | None:
        """The server that the environment names; None where it names none."""
        address = os.environ.get("PREFECT_API_URL")
        return cls(address) if address else None

    def post(
        self, path: str, content: object, *, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any] | list[Any] | None:
        """What the server answers to `content`."""
        answer = self._ask("POST", path, content, seconds)
        return json.loads(answer) if answer else None

    def delete(self, path: str) -> None:
        """Delete something; what is gone already is as well."""
        self._ask("DELETE", path, None, ANSWER_SECONDS)

    def listed(self, path: str, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Everything that a filter finds, page by page."""
        offset = 0
        while True:
            page = self.post(path, {**asked, "limit": _PAGE, "offset": offset})
            if not isinstance(page, list):
                raise _unusable("no list")
            yield from page
            if len(page) < _PAGE:
                return
            offset += _PAGE

    def _ask(self, method: str, path: str, content: object, seconds: float) -> bytes:
        try:
            request = Request(  # noqa: S310 - the address is the operator's
                self._address + path,
                data=None if content is None else json.dumps(content).encode(),
                headers={"Content-Type": "application/json", **_authorisation()},
                method=method,
            )
            with urlopen(request, timeout=seconds, context=_trust()) as answer:  # noqa: S310
                return bytes(answer.read())
        except HTTPError as error:
            error.close()
            if method == "DELETE" and error.code == _GONE:
                return b""
            raise _unusable(f"HTTP {error.code}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise _unusable(type(error).__name__) from None


def _authorisation() -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if words := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
    return {}


def _trust() -> ssl.SSLContext | None:
    authorities = os.environ.get("PREFECT_API_SSL_CERT_FILE")
    return ssl.create_default_context(cafile=authorities) if authorities else None


def _unusable(why: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"The Prefect server does not answer as it should ({why}).",
        remedy="Start it, or correct PREFECT_API_URL and its credentials; without a server unset "
        "them.",
    )
