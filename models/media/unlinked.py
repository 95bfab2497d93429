"""Plain copies that nobody can find: files without a name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO


def unlinked_file(near: Path | None = None) -> BinaryIO:
    """Open an empty file that has no name, for reading and writing.

    Its bytes exist only while the descriptor is open: after close, after `kill -9`, after a crash
    the kernel has already freed them. `near` is the folder whose disk holds them (default: the
    system's folder for temporary files; for long recordings not one on tmpfs, which is memory).
    A child reads it as `/proc/self/fd/N`.
    """
    folder = Path(tempfile.gettempdir()) if near is None else near
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | os.O_EXCL, 0o600)
    except OSError:
        # Some file systems (older overlayfs, NFS) have no O_TMPFILE.
        descriptor, name = tempfile.mkstemp(prefix="unlinked-", dir=folder)
        Path(name).unlink()
    return os.fdopen(descriptor, "w+b")
