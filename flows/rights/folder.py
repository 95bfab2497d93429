"""A folder of the caller's that appears complete or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from models.schema.errors import BadInput
from storage.identifiers import random_id


@dataclass(frozen=True)
class Written:
    """One file, by its path inside the folder."""

    file: str
    bytes: int
    sha256: str


class Folder:
    """Takes files while it is hidden; only its owner may read them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.files: list[Written] = []

    def write(self, name: str, pieces: Iterable[bytes]) -> Written:
        """Write one new file from pieces; memory is bounded by one of them.

        Raises BadInput where it cannot be written, and whatever `pieces` raises; then nothing of
        the file is left.
        """
        path = self._path / name
        digest, count = sha256(), 0
        with _told():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            for piece in pieces:
                digest.update(piece)
                count += len(piece)
                with _told():
                    _write_all(descriptor, piece)
        except BaseException:
            os.close(descriptor)
            path.unlink()
            raise
        with _told():
            os.close(descriptor)
        written = Written(name, count, digest.hexdigest())
        self.files.append(written)
        return written


@contextmanager
def new_folder(out: Path, *, outside: Sequence[Path]) -> Iterator[Folder]:
    """A hidden folder beside `out` that becomes `out` at the end; on any error it is removed.

    `out` must be new or empty, and lie in none of the folders `outside`. Raises BadInput.
    """
    with _told():
        place = _place(out, outside)
        partial = place.with_name(f".{random_id()}")
        partial.mkdir(mode=0o700)
    try:
        yield Folder(partial)
        with _told():
            partial.rename(place)
    finally:
        # What is renamed is not there any more.
        shutil.rmtree(partial, ignore_errors=True)


def _place(out: Path, outside: Sequence[Path]) -> Path:
    parent = Path(os.path.abspath(out)).parent.resolve(strict=True)  # noqa: PTH100 (".." first)
    place = parent / Path(os.path.abspath(out)).name  # noqa: PTH100
    if any(place.is_relative_to(folder.resolve()) for folder in outside):
        raise BadInput(
            "The folder lies where this house keeps its own data; nothing was written.",
            remedy="Give --out a folder elsewhere.",
        )
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise BadInput(
            "There is something else than a folder; nothing was written.",
            remedy="Give --out a new or an empty folder.",
        )
    if place.is_dir() and any(place.iterdir()):
        raise BadInput(
            "The folder is not empty; nothing was written.",
            remedy="Give --out a new or an empty folder.",
        )
    return place


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise BadInput(
                "There is no space left for the folder; nothing of it was kept.",
                remedy="Make room, or give --out a folder on another disk.",
                code="no_space",
            ) from None
        raise BadInput(
            f"The folder cannot be written ({error.strerror}); nothing of it was kept.",
            remedy="Give --out a new folder inside one that exists and is yours.",
        ) from None
