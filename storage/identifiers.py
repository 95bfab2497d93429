"""Random ids: the only names that Prefect, logs and stores ever see (invariant 9)."""

from __future__ import annotations

import re
import secrets
from typing import Final

from models.schema.errors import BadUsage

_FORM: Final = re.compile(r"[0-9a-f]{32}")


def random_id() -> str:
    """128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def checked_id(value: str, *, what: str) -> str:
    """The id itself when it has the form of one; raises BadUsage, without echoing the value."""
    if not _FORM.fullmatch(value):
        raise BadUsage(
            f"That is not an id of {what}: ids are 32 hexadecimal digits.",
            remedy=f"Take the {what} id from the output that created it.",
        )
    return value
