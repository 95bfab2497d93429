"""Leaving the process without the interpreter's own teardown.

By the time the last exit handler runs, every worker thread has been waited for and every other
handler has cleaned up. What would follow, the taking down of modules under native libraries with
threads of their own, has been seen to abort a command (SIGABRT instead of its exit code) and to
print those libraries' complaints after its answer.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress


class Leaving:
    """Ends the process with `code`, after everything that was registered later than this."""

    def __init__(self) -> None:
        self.code = 1
        atexit.register(self._leave)

    def _leave(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(self.code)
