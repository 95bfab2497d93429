"""The person's own copy, of which the salt is handed out once: written whole, or not taken at all.

What can fail is tried before the salt is asked for: every file is made beside the place where it
is wanted, with as many bytes as it will have. What remains after that is to fill and name them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from models.schema.errors import BadInput, BadUsage
from models.schema.receipt import SignedReceipt

_NO_SALT: Final = "0" * 64
"""As long as a salt, for trying out whether the files can be written."""


def give(
    files: Mapping[Path, Callable[[SignedReceipt], bytes]],
    plain: SignedReceipt,
    take: Callable[[], SignedReceipt],
) -> dict[Path, int]:
    """Write the person's copy to every file, readable by their owner alone; returns their bytes.

    `files` says what is written where, `plain` is the receipt without its salt, and `take` hands
    out the one with it, once. Raises what `take` raises, and BadInput where a file cannot be
    written; then nothing was taken and no file is left.
    """
    trial = plain.model_copy(update={"salt": _NO_SALT})
    with ExitStack() as stack:
        places = {
            out: stack.enter_context(_reserved(out, made(trial))) for out, made in files.items()
        }
        signed = take()
        written = {out: made(signed) for out, made in files.items()}
        for out, place in places.items():
            _fill(place, written[out])
            place.replace(out)
    return {out: len(content) for out, content in written.items()}


@contextmanager
def _reserved(out: Path, content: bytes) -> Iterator[Path]:
    """A new file beside `out` with this content on disk; gone afterwards, unless it was renamed."""
    if out.is_dir() or (out.exists() and not out.is_file()):
        raise BadUsage(
            "The person's copy is written to a file of its own.", remedy="Give --out a new path."
        )
    place = out.with_name(f".{token_hex(8)}.part")
    try:
        place.touch(mode=0o600, exist_ok=False)
        _fill(place, content)
    except OSError as error:
        place.unlink(missing_ok=True)
        raise BadInput(
            f"The receipt cannot be written there ({error.strerror}).",
            remedy="Give --out a path in a folder that exists and is yours.",
        ) from None
    try:
        yield place
    finally:
        with suppress(OSError):
            place.unlink(missing_ok=True)


def _fill(place: Path, content: bytes) -> None:
    """Over what is there, which keeps the room that it has on disk."""
    with place.open("r+b") as stream:
        stream.write(content)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())
