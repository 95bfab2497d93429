"""A folder as an object store: atomic, durable, private."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Final

from models.schema.errors import NotFound, ServiceUnavailable, Tampered
from storage.identifiers import random_id
from storage.objects.interface import (
    PIECE_BYTES,
    Listed,
    StoredObject,
    Unfinished,
    checked_key,
    checked_offset,
    checked_prefix,
    is_key,
    pages_of,
    removed_under_way,
    still_listed,
    taken,
)

_WRITING: Final = "writing"
_WHOLE: Final = "whole"


class LocalStore:
    """Objects as files: written beside, synced, then linked into place under their key.

    A writer that is killed leaves a file in `writing/` that bears the key's name, so deleting the
    key removes it too. Folders are 0700, files 0600. Symbolic links inside the store are never
    followed; the store's own folder may be one.
    """

    def __init__(self, folder: Path, *, region: str) -> None:
        self._writing = folder / _WRITING
        self._whole = folder / _WHOLE
        self._region = region
        with _translated():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in (self._writing, self._whole):
                with suppress(FileExistsError):
                    part.mkdir(mode=0o700)
                _must_be_folder(part)

    @property
    def region(self) -> str:
        """See ObjectStore."""
        return self._region

    def put(self, key: str, pieces: Iterable[bytes]) -> StoredObject:
        """See ObjectStore."""
        target = self._path(key)
        temporary = self._writing / f"{key}.{random_id()}"
        digest, size = sha256(), 0
        with _translated():
            if os.path.lexists(target):
                raise taken()
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Only the writing is translated: what the source of the pieces raises is its own.
            with _closing(descriptor):
                for piece in pieces:
                    digest.update(piece)
                    size += len(piece)
                    with _translated():
                        _write_all(descriptor, piece)
                with _translated():
                    os.fsync(descriptor)
            with _translated():
                self._publish(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return StoredObject(size, digest.hexdigest())

    @contextmanager
    def get(self, key: str, *, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """See ObjectStore."""
        path = self._path(key)
        checked_offset(offset)
        with _translated():
            try:
                # Without O_NONBLOCK a pipe that somebody put there would hang the reader.
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                raise _absent() from None
        with _closing(descriptor):
            with _translated():
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise _replaced()
                os.lseek(descriptor, offset, os.SEEK_SET)
            yield _pieces(descriptor)

    def stat(self, key: str) -> StoredObject | None:
        """See ObjectStore."""
        with _translated():
            try:
                facts = self._path(key).lstat()
            except FileNotFoundError:
                return None
        if not stat.S_ISREG(facts.st_mode):
            raise _replaced()
        return StoredObject(facts.st_size)

    def list_keys(self, prefix: str = "") -> Iterator[Listed]:
        """See ObjectStore."""
        checked_prefix(prefix)
        with _translated():
            shelves = sorted(path for path in self._whole.iterdir() if _is_shelf(path, prefix))
        for shelf in shelves:
            with _translated():
                # One shelf, a 256th of the keys, is held and sorted at a time.
                files = sorted(path for path in shelf.iterdir() if is_key(path.name))
            for file in files:
                if not file.name.startswith(prefix) or not file.name.startswith(shelf.name):
                    continue
                with _translated():
                    try:
                        facts = file.lstat()
                    except FileNotFoundError:
                        continue
                yield Listed(file.name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        self.delete_many((key,))

    def delete_many(self, keys: Iterable[str]) -> None:
        """See ObjectStore. Durable when it returns: each folder concerned is synced once a page."""
        for page in pages_of(keys):
            with _translated():
                self._delete_writes(page)
                for name, shelf in _by_shelf(page):
                    self._delete_from(name, shelf)
                if self._writes_of(page):
                    raise still_listed()

    def present_among(self, keys: Iterable[str]) -> set[str]:
        """See ObjectStore."""
        present: set[str] = set()
        for page in pages_of(keys):
            with _translated():
                # In this order: a write that is not there any more has its object in place by now.
                present.update(path.name.partition(".")[0] for path in self._writes_of(page))
                for name, shelf in _by_shelf(page):
                    with self._shelf(name) as opened:
                        if opened is not None:
                            present.update(key for key in shelf if _lies_in(opened, key))
        return present

    def traces(self, key: str) -> list[str]:
        """See ObjectStore."""
        with _translated():
            # In the order of `present_among`, for its reason.
            unfinished = ["unfinished" for _ in self._writes_of([checked_key(key)])]
            return ["whole"] * os.path.lexists(self._path(key)) + unfinished

    def unfinished(self) -> Iterator[Unfinished]:
        """See ObjectStore."""
        for path, seen in self._writes():
            yield Unfinished(path.name.partition(".")[0], datetime.fromtimestamp(seen, UTC))

    def clear_unfinished(self, *, older_than: timedelta) -> int:
        """See ObjectStore."""
        before = time.time() - older_than.total_seconds()
        removed = 0
        for path, seen in self._writes():
            if seen <= before:
                with _translated(), suppress(FileNotFoundError):
                    path.unlink()
                    removed += 1
        if removed:
            with _translated():
                _sync(self._writing)
        return removed

    def check(self) -> None:
        """See ObjectStore."""
        with _translated():
            for part in (self._writing, self._whole):
                _must_be_folder(part)
                if not os.access(part, os.R_OK | os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _path(self, key: str) -> Path:
        return self._whole / checked_key(key)[:2] / key

    def _writes(self) -> Iterator[tuple[Path, float]]:
        """Every temporary file and when it last grew."""
        with _translated():
            paths = list(self._writing.iterdir())
        for path in paths:
            with _translated():
                try:
                    seen = path.lstat().st_mtime
                except FileNotFoundError:
                    continue
            yield path, seen

    def _writes_of(self, keys: Iterable[str]) -> list[Path]:
        wanted = set(keys)
        return [path for path in self._writing.iterdir() if path.name.partition(".")[0] in wanted]

    def _delete_writes(self, keys: Iterable[str]) -> None:
        """Remove what is being written: it cannot be given its key any more."""
        for path in self._writes_of(keys):
            path.unlink(missing_ok=True)
        _sync(self._writing)

    def _delete_from(self, name: str, keys: Sequence[str]) -> None:
        """Remove the objects from their shelf and look whether they are gone."""
        with self._shelf(name) as shelf:
            if shelf is None:
                return
            for key in keys:
                with suppress(FileNotFoundError):
                    os.unlink(key, dir_fd=shelf)
            # Also where nothing was there: whoever unlinked it may have died before syncing.
            os.fsync(shelf)
            if any(_lies_in(shelf, key) for key in keys):
                raise still_listed()

    @contextmanager
    def _shelf(self, name: str) -> Iterator[int | None]:
        """The opened folder of all keys that begin with `name`; None where there is none yet."""
        path = self._whole / name
        try:
            _must_be_folder(path)
        except FileNotFoundError:
            _must_be_folder(self._whole)
            yield None
            return
        with _closing(_opened(path)) as descriptor:
            yield descriptor

    def _publish(self, temporary: Path, target: Path) -> None:
        """Give the synced file its key, where nobody has it yet, and make that durable."""
        with suppress(FileExistsError):
            target.parent.mkdir(mode=0o700)
        _must_be_folder(target.parent)
        try:
            # link refuses an existing name, where rename would overwrite it.
            os.link(temporary, target, follow_symlinks=False)
        except FileExistsError:
            raise taken() from None
        except FileNotFoundError:
            raise removed_under_way() from None
        _sync(target.parent)
        # The shelf may be new, made by us or by another writer that has not synced it yet.
        _sync(self._whole)


def _is_shelf(path: Path, prefix: str) -> bool:
    """Whether a path in `whole/` is a folder that can hold keys with the prefix."""
    name = path.name
    return is_key(name * 16) and name.startswith(prefix[:2]) and stat.S_ISDIR(path.lstat().st_mode)


def _by_shelf(keys: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Keys that are in order, by the name of the shelf that they lie on."""
    return ((name, list(shelf)) for name, shelf in groupby(keys, key=lambda key: key[:2]))


def _lies_in(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _pieces(descriptor: int) -> Iterator[bytes]:
    while True:
        with _translated():
            piece = os.read(descriptor, PIECE_BYTES)
        if not piece:
            return
        yield piece


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _must_be_folder(path: Path) -> None:
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise _replaced()


def _sync(folder: Path) -> None:
    with _closing(_opened(folder)) as descriptor:
        os.fsync(descriptor)


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _translated() -> Iterator[None]:
    """An error of the file system as one of ours, without a path in its message."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _replaced() from None
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
            remedy = "Use a folder of ours on a file system with hard links; nothing was written."
        else:
            remedy = "Make space, or correct the folder's owner; nothing was half-written."
        raise ServiceUnavailable(
            f"The object store's folder does not answer ({os.strerror(error.errno or 0)}).",
            remedy=remedy,
        ) from None


def _absent() -> NotFound:
    return NotFound("The object's bytes are not in the store.")


def _replaced() -> Tampered:
    return Tampered(
        "Something in the object store's folder is not what this store put there.",
        remedy="Look for who put a link or another kind of file there, and remove it.",
    )
