"""Files of a run's scratch folder on their way through the door, in both directions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from storage.door import Door
from storage.handles import Use

_PIECE_BYTES: Final = 1024 * 1024


def pieces_of(file: Path) -> Iterator[bytes]:
    """What a file holds, piece by piece. A link is not followed: the engine may still be there."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as content:
        while piece := content.read(_PIECE_BYTES):
            yield piece


def fetch(door: Door, object_id: str, use: Use, file: Path) -> None:
    """Write an object that the door opens for a use into a new file; raises what `open` raises."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with door.open(object_id, use) as reader, file.open("xb") as target:
        for piece in reader:
            target.write(piece)
