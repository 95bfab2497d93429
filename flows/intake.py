"""Taking a file in: who uploads it, whose it is, for what; then its bytes, encrypted as they come.

This is the upload service's door into the house, and the first half of `likeness ingest`. It needs
neither Prefect nor torch. The caller's file is read once and never changed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from models.media.limits import MediaLimits
from models.schema.errors import BadInput, BrokenMedia, LimitExceeded, NotFound
from storage.assembly import Storage
from storage.catalogue.uploads import Upload, UploadState
from storage.registers.uploads import Declaration

_READ_BYTES: Final = 1024 * 1024


def take_in(storage: Storage, file: Path, declaration: Declaration, limits: MediaLimits) -> Upload:
    """Declare the upload and receive the file; returns the upload, `received` or `refused`.

    Where consent refuses every purpose, not a byte is read. Raises BadInput for what is not a
    readable regular file, is empty or too large; then nothing is declared.
    """
    with opened(file, limits) as stream:
        upload = storage.uploads.declare(declaration)
        if upload.state is UploadState.REFUSED:
            return upload
        return storage.uploads.receive(upload, pieces(stream, limits))


def opened(file: Path, limits: MediaLimits) -> BinaryIO:
    """Open without waiting on a fifo or following a device; only regular files pass."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(error) from None
    facts = os.fstat(descriptor)
    problem: BadInput | None = None
    if not stat.S_ISREG(facts.st_mode):
        problem = BadInput(
            "What was given is not a regular file.", remedy="Give the recording's own file."
        )
    elif facts.st_size == 0:
        problem = BrokenMedia("The file is empty.")
    elif facts.st_size > limits.size_bytes:
        problem = _too_large(limits)
    if problem is not None:
        os.close(descriptor)
        raise problem
    return os.fdopen(descriptor, "rb")


def pieces(stream: BinaryIO, limits: MediaLimits) -> Iterator[bytes]:
    """The file piece by piece; raises LimitExceeded for one that grows beyond the limit."""
    received = 0
    while piece := stream.read(_READ_BYTES):
        received += len(piece)
        if received > limits.size_bytes:
            raise _too_large(limits)
        yield piece


def _too_large(limits: MediaLimits) -> LimitExceeded:
    return LimitExceeded(
        f"The file is larger than {limits.size_bytes / 1024**2:.0f} MiB.",
        remedy="Upload a shorter recording, or raise LIKENESS_MEDIA_LIMITS__SIZE_BYTES.",
    )


def _unreadable(error: OSError) -> BadInput:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return NotFound("The file does not exist.", remedy="Check the path.")
    if error.errno == errno.ELOOP:
        return BadInput("The path is a loop of links.", remedy="Give the recording's own file.")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return BadInput("The file may not be read.", remedy="Give yourself the right to read it.")
    return BadInput(f"The file cannot be opened ({os.strerror(error.errno or 0)}).")
