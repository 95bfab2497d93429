"""Writing one file where the caller asked for it."""

from __future__ import annotations

from pathlib import Path

from models.schema.errors import BadInput


def write_out(out: Path, content: bytes, *, what: str) -> None:
    """Write `content` to `out`; raises BadInput that says `what` cannot be written, and why."""
    try:
        out.write_bytes(content)
    except OSError as error:
        raise BadInput(
            f"The {what} cannot be written there ({error.strerror}).",
            remedy="Give --out a path in a folder that exists and is yours.",
        ) from None
