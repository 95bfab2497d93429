"""Child processes that cannot outlive us, take more than they are given, or fill our memory.

`prlimit` and `setpriv` (util-linux) set limits and the death signal after the fork and before the
program starts, so that no Python code runs between fork and exec, which is unsafe once there are
threads. The kernel sends the death signal when the *thread* that started the child ends, so start
it in the thread that reads it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from models.schema.errors import ToolMissing

REAP_SECONDS: Final = 10.0
"""How long a child that was killed, or has closed its output, may take to end."""
_TAIL_LINES: Final = 200
_LINE_BYTES: Final = 400


def require_tool(name: str, *, purpose: str = "no recording can be opened") -> str:
    """Absolute path of a program, or ToolMissing, which says that without it `purpose`."""
    found = shutil.which(name)
    if found is None:
        raise ToolMissing(f"{name} is not installed; without it {purpose}.")
    return found


def limited(
    program: Sequence[str],
    limits: Sequence[str],
    *,
    purpose: str = "no recording can be opened",
) -> list[str]:
    """The command that runs `program` under prlimit's `limits`, killed when our thread ends.

    It can gain no privileges and writes no core file. Raises ToolMissing, which says that without
    the tool `purpose`.
    """
    return [
        require_tool("prlimit", purpose=purpose),
        *limits,
        "--core=0",
        require_tool("setpriv", purpose=purpose),
        "--pdeathsig=KILL",
        "--no-new-privs",
        *program,
    ]


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that leads its own process group, and all of the group that still runs.

    The number stays the group's while anything of it runs or the child is not yet waited for.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


class StandardError:
    """Drains a child's stderr in a thread, so that a chatty child cannot fill the pipe.

    Keeps a bounded tail for our own reading only: it may hold what the child was given to read,
    so it is never shown, logged or put into an error.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._stream = stream
        self._thread = threading.Thread(target=self._drain, name="stderr", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the child has closed its stderr and all of it is read."""
        self._thread.join(REAP_SECONDS)

    def mention(self, *words: str) -> bool:
        """Whether one of the kept lines contains one of these words."""
        return any(word in line for line in tuple(self._tail) for word in words)

    def _drain(self) -> None:
        rest = b""
        with self._stream:
            while chunk := os.read(self._stream.fileno(), 1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                rest = rest[:_LINE_BYTES]
                for line in lines:
                    self._take(line)
        self._take(rest)

    def _take(self, raw: bytes) -> None:
        line = raw[:_LINE_BYTES].decode("utf-8", "replace")
        self._tail.append(line)
        self._heard(line)

    def _heard(self, line: str) -> None:
        """For those who read along."""


def kill_by_environment(variable: str, value: str) -> int:
    """Kill every process that was started with this variable at this value; how many there were.

    Returns when none is left, or after ten seconds. Finds what left its process group or outlived
    whoever started it. One that cleared its own environment, or belongs to another user, is not
    found. Never kills ourselves.
    """
    killed: set[int] = set()
    give_up_at = time.monotonic() + REAP_SECONDS
    while (found := _with_environment(f"{variable}={value}".encode())) and (
        time.monotonic() < give_up_at
    ):
        for process in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        killed |= found
        time.sleep(0.01)
    return len(killed)


def _with_environment(mark: bytes) -> set[int]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.add(int(process.name))
    return found - {os.getpid()}
