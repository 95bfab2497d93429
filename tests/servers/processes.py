"""Starting and stopping real servers for tests, on free loopback ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

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


def stop(process_id: int, *, seconds: float = 15.0) -> None:
    """End a process that is not our child, by force when it does not listen."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + seconds
        try:
            os.kill(process_id, how)
            while time.monotonic() < end:
                os.kill(process_id, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            return
