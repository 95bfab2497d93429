"""ffmpeg and ffprobe as contained child processes (invariant 10).

A child gets one open file, one pipe for its output and one for its messages, a clean environment,
hard limits, and dies with us.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import select
import stat
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO, BinaryIO, Self

from models.child_process import REAP_SECONDS, StandardError, kill_group, limited, require_tool
from models.media.limits import MediaLimits, too_slow
from models.schema.errors import UnsupportedMedia

_PIPE_BYTES = 1 << 20
"""The largest pipe that Linux gives an ordinary user (fs.pipe-max-size)."""
_LAST_WORDS_LINES = 24
_LEVEL = re.compile(
    r"^(?:\[[^\]]{1,80} @ 0x[0-9a-f]+\] )?\[(error|fatal|warning)\]|^\S+: error while loading"
)
"""A line of ffmpeg's own above the level `info`, or of the dynamic linker. Tags of the file are
printed too, always behind a level or spaces, so they cannot pass for one."""
_BARRED_DECODER = "not on whitelist"
"""What libavformat says when it looks at a track whose decoder we bar; no damage."""
_OPEN_FILES = 64


def open_descriptor(source: BinaryIO | int) -> int:
    """The descriptor of an open regular file; UnsupportedMedia for anything else.

    What the caller wrote is flushed, so that the child sees it.
    """
    if isinstance(source, int):
        descriptor = source
    else:
        if source.writable():
            source.flush()
        descriptor = source.fileno()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UnsupportedMedia("The input is not a regular file.")
    return descriptor


def address_of(descriptor: int) -> str:
    """How the child names the inherited file. The upload's own name never reaches it."""
    return f"file:/proc/self/fd/{descriptor}"


class Messages(StandardError):
    """What ffmpeg says.

    Counts what decoders complain about, and keeps the lines after the last one that matches
    `block_start`, however much is said later. The file's tags may be among what is kept.
    """

    def __init__(self, stream: IO[bytes], block_start: re.Pattern[str] | None) -> None:
        self.complaints = 0
        self.last_block: list[str] = []
        self._block_start = block_start
        self._in_block = False
        super().__init__(stream)

    def mention(self, *words: str) -> bool:
        """Whether one of the kept warnings and errors contains one of these words."""
        return any(
            word in line for line in tuple(self._tail) if _LEVEL.match(line) for word in words
        )

    def _heard(self, line: str) -> None:
        level = _LEVEL.match(line)
        if level and _BARRED_DECODER not in line:
            warning = level.group(1) == "warning"
            self.complaints += not warning or "corrupt decoded frame" in line
        if self._block_start is not None and self._block_start.match(line):
            self.last_block = []
            self._in_block = True
        elif self._in_block:
            self.last_block.append(line)
            self._in_block = len(self.last_block) < _LAST_WORDS_LINES


class ContainedProcess(io.RawIOBase):
    """A running ffmpeg or ffprobe; reading from it reads its stdout. Use it as a context manager.

    If we die before the death signal is armed, the child ends at its first write to the closed
    pipe or at its limit of processor time.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        descriptor: int,
        limits: MediaLimits,
        wait_seconds: float,
        processor_seconds: float,
        block_start: re.Pattern[str] | None = None,
    ) -> None:
        """Start `arguments` (program first).

        `wait_seconds` is how long all reads together may wait, more is given by `grant`.
        Raises ToolMissing.
        """
        super().__init__()
        program, *rest = arguments
        command = limited(
            [require_tool(program), *rest],
            (
                f"--data={limits.memory_bytes}",
                f"--cpu={int(processor_seconds) + 1}",
                f"--nofile={_OPEN_FILES}",
                "--fsize=0",
            ),
        )
        self.bytes_read = 0
        self._stall_seconds = limits.stall_seconds
        self._wait_seconds = wait_seconds
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=(descriptor,),
            env={"PATH": os.defpath, "LC_ALL": "C", "AV_LOG_FORCE_NOCOLOR": "1"},
            cwd="/",
            start_new_session=True,
        )
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._stdout = self._child.stdout
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self.messages = Messages(self._child.stderr, block_start)

    @property
    def pid(self) -> int:
        """Process id of the child, which is also its process group."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the child has not ended yet."""
        return self._child.poll() is None

    def readable(self) -> bool:
        """Reading is what it is for."""
        return True

    def grant(self, seconds: float) -> None:
        """Allow this much more waiting."""
        self._wait_seconds += seconds

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` with what the child wrote; 0 at its end.

        Raises LimitExceeded, and kills the child, when the wait is too long.
        """
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes as soon as there are any; empty at the end. Raises as `readinto`."""
        patience = min(self._stall_seconds, self._wait_seconds)
        began = time.monotonic()
        ready = self._poll.poll(max(0.0, patience) * 1000.0)
        self._wait_seconds -= time.monotonic() - began
        if not ready:
            self.kill()
            raise too_slow()
        data = os.read(self._stdout.fileno(), _PIPE_BYTES if size < 0 else size)
        self.bytes_read += len(data)
        return data

    def finish(self) -> int:
        """Wait for the end of a child whose output was read to its end; its exit status.

        Raises LimitExceeded when it does not end.
        """
        try:
            status = self._child.wait(REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise too_slow() from None
        self.messages.join()
        return status

    def kill(self) -> None:
        """Kill the child's whole process group at once."""
        if self._child.poll() is None:
            kill_group(self._child)

    def close(self) -> None:
        """Kill the child if it still runs, and reap it."""
        # Python also closes an object whose child could not be started.
        if not self.closed and hasattr(self, "_child"):
            self.kill()
            self._child.wait()
            self._stdout.close()
            self.messages.join()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
