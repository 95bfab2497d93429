"""A foreign engine: a program in an environment of its own, spoken to over its standard streams.

The child gets a clean environment, whose HOME and TMPDIR lie in the scratch folder, no open file of
ours, limits, and its own process group. It is killed with all that it started when the run is
stopped, when it is silent or slow, when it says what it may not, and once it has answered, so that
nothing can change a file after it was checked. Its stderr is read and never shown.

It runs as our own system user and may use the network: the contract gives it no path and no
credential, but only the operating system could keep it from looking for them, or from telling.
Install what you have read.
"""

from __future__ import annotations

import os
import resource
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import IO, Final, TypeVar

from pydantic import ValidationError

from models.child_process import StandardError, kill_by_environment, kill_group, limited
from models.engines.contract import (
    CannotGoOn,
    Declaration,
    Generated,
    Generation,
    Trained,
    Training,
    Work,
)
from models.engines.messages import LINE_BYTES, Asked, Nothing, Said
from models.engines.scratch import HOME_VARIABLE, open_scratch
from models.engines.settings import EngineSettings
from models.schema.errors import EngineFailed

_OPEN_FILES: Final = 4096
_PIECE_BYTES: Final = 1 << 20


class ForeignEngine:
    """An engine of the contract whose work a child process does; one process a request."""

    def __init__(self, name: str, command: tuple[str, ...], settings: EngineSettings) -> None:
        self.name = name
        self._command = command
        self._settings = settings
        self._declared: Declaration | None = None

    @property
    def declaration(self) -> Declaration:
        """What the program says of itself, asked once. Raises EngineFailed."""
        if self._declared is None:
            with open_scratch(token_hex(16), self._settings) as scratch:
                work = Work(
                    scratch.folder,
                    scratch.home,
                    told=lambda _: None,
                    should_stop=lambda: False,
                )
                asked = Asked(declare=Nothing())
                said = self._ask(asked, work, self._settings.declare_seconds)
            self._declared = _expected(said.declaration)
        return self._declared

    def train(self, request: Training, work: Work) -> Trained:
        """As the contract says. Raises FenceLost, CannotGoOn, EngineFailed."""
        seconds = request.seconds_most + self._settings.grace_seconds
        return _expected(self._ask(Asked(train=request), work, seconds).trained)

    def generate(self, request: Generation, work: Work) -> Generated:
        """As the contract says. Raises FenceLost, CannotGoOn, EngineFailed."""
        seconds = request.seconds_most + self._settings.grace_seconds
        return _expected(self._ask(Asked(generate=request), work, seconds).generated)

    def _ask(self, asked: Asked, work: Work, seconds: float) -> Said:
        with _started(self._command, work, self._settings) as child:
            conversation = _Conversation(child, work, self._settings, seconds)
            conversation.say(asked)
            while True:
                said = conversation.hear()
                if said.complaint is not None:
                    raise CannotGoOn(said.complaint)
                if said.progress is None:
                    return said
                work.step(said.progress)
                conversation.say(Asked(go_on=True))


_Answer = TypeVar("_Answer")


def _expected(answer: _Answer | None) -> _Answer:
    if answer is None:
        raise EngineFailed("The engine answered another question than it was asked.")
    return answer


@contextmanager
def _started(
    command: tuple[str, ...], work: Work, settings: EngineSettings
) -> Iterator[subprocess.Popen[bytes]]:
    """The running program; it and all that it started are killed at the end."""
    if not os.access(command[0], os.X_OK):
        raise EngineFailed(
            "The engine's program is not there or cannot be run.",
            remedy="Correct its command in LIKENESS_ENGINES__COMMANDS.",
        )
    # A limit above our own hard one could not be set.
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = _OPEN_FILES if allowed == resource.RLIM_INFINITY else min(_OPEN_FILES, allowed)
    limits = [f"--fsize={settings.file_bytes}", f"--nofile={files}"]
    if settings.memory_bytes:
        limits.append(f"--data={settings.memory_bytes}")
    child = subprocess.Popen(
        limited(command, limits, purpose="no foreign engine can be run"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=_environment(work, settings),
        cwd=work.folder,
        start_new_session=True,
    )
    assert child.stderr is not None
    messages = StandardError(child.stderr)
    try:
        yield child
    finally:
        kill_group(child)
        child.wait()
        kill_by_environment(HOME_VARIABLE, str(work.home))
        for stream in (child.stdin, child.stdout):
            assert stream is not None
            stream.close()
        messages.join()


def _environment(work: Work, settings: EngineSettings) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in settings.passed_on if name in os.environ}
    return passed_on | {
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        HOME_VARIABLE: str(work.home),
        "TMPDIR": str(work.home),
        # Nothing beside the engine's own sources either.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class _Conversation:
    """Lines to and from a child, asking the fence and the clock while it waits."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        work: Work,
        settings: EngineSettings,
        seconds: float,
    ) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._stdin: IO[bytes] = child.stdin
        self._stdout: IO[bytes] = child.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._work = work
        self._settings = settings
        self._ask_at = time.monotonic()
        self._ends_at = time.monotonic() + seconds
        self._to_say = bytearray()
        self._heard = bytearray()
        self._searched = 0

    def say(self, asked: Asked) -> None:
        """Send a line, as the child takes it in while we listen."""
        self._to_say += asked.line()

    def hear(self) -> Said:
        """The child's next line.

        Raises FenceLost when the run is stopped, and EngineFailed when the child ends, takes too
        long, or says what is no message.
        """
        silent_at = time.monotonic() + self._settings.silence_seconds
        while (end := self._heard.find(b"\n", self._searched)) < 0:
            self._searched = len(self._heard)
            if self._searched > LINE_BYTES:
                raise EngineFailed("The engine said more in one line than it may.")
            if time.monotonic() > min(silent_at, self._ends_at):
                raise EngineFailed("The engine took too long and was ended.")
            if time.monotonic() >= self._ask_at:
                self._work.go_on()
                self._ask_at = time.monotonic() + self._settings.fence_seconds
            self._exchange()
        line = bytes(self._heard[:end])
        del self._heard[: end + 1]
        self._searched = 0
        try:
            return Said.model_validate_json(line)
        except ValidationError:
            raise EngineFailed("The engine said what its contract does not know.") from None

    def _exchange(self) -> None:
        """Wait for the child until the fence is to be asked at most, and take what comes."""
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        if self._to_say:
            poll.register(self._stdin, select.POLLOUT)
        for descriptor, _ in poll.poll(max(0.0, self._ask_at - time.monotonic()) * 1000.0):
            if descriptor == self._stdin.fileno():
                self._send()
            else:
                self._receive()

    def _send(self) -> None:
        try:
            sent = os.write(self._stdin.fileno(), self._to_say[:_PIECE_BYTES])
        except BlockingIOError:
            return
        except BrokenPipeError:
            # It may have closed its input and still answer; whether it does, reading shows.
            sent = len(self._to_say)
        del self._to_say[:sent]

    def _receive(self) -> None:
        piece = os.read(self._stdout.fileno(), _PIECE_BYTES)
        if not piece:
            raise EngineFailed("The engine ended without an answer.")
        self._heard += piece
