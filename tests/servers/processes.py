"""Starting and stopping real servers for tests, on free loopback ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

DEMANDED = os.environ.get("LIKENESS_TEST_SERVICES") == "1"


def absent(what: str) -> None:
    """Skip with a reason; fail instead where the services are demanded."""
    if DEMANDED:
        pytest.fail(what)
    pytest.skip(what)


def programs(*names: str) -> dict[str, str]:
    """Paths of programs, also outside PATH; skips when one is missing."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", "")])
    found = {name: shutil.which(name, path=path) for name in names}
    missing = sorted(name for name, place in found.items() if place is None)
    if missing:
        absent(f"not installed: {', '.join(missing)}")
    return {name: str(place) for name, place in found.items()}


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(ready: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Poll until ready; fails the test when time is up."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come up within {seconds} s")
        time.sleep(0.1)


class Daemons:
    """Servers in the foreground, children of this process, all of them stopped at the end.

    A server dies with the test process, however that ends, so none is left behind.
    """

    def __init__(self) -> None:
        self._running: list[tuple[subprocess.Popen[bytes], signal.Signals]] = []
        self._setpriv = programs("setpriv")["setpriv"]

    def start(
        self, *command: str, ended_by: signal.Signals = signal.SIGTERM, **options: Any
    ) -> None:
        """Start one more; `options` are those of Popen."""
        server = subprocess.Popen(
            [self._setpriv, "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **options,
        )
        self._running.append((server, ended_by))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What they hold is thrown away, so one that takes its time is not waited for.
        for server, ended_by in reversed(self._running):
            server.send_signal(ended_by)
            try:
                server.wait(timeout=2)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
