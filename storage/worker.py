"""Which process this is, and whether another one on this machine is still alive.

A lease frees the work of a process that died anywhere. On the same machine there is no need to
wait for it: a process is named by boot, process namespace, number and start time, which together
are never reused.
"""

from __future__ import annotations

import os
from pathlib import Path


def this_worker() -> str:
    """The name of this process."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid())}"


def is_dead(worker: str) -> bool:
    """True only when the process ran here and is certainly gone; False where nobody can tell."""
    machine, _, rest = worker.rpartition("/")
    machine, _, number = machine.rpartition("/")
    if machine == "unknown" or machine != _machine() or not number.isdigit():
        return False
    return _started(int(number)) != rest


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        namespace = Path("/proc/self/ns/pid").readlink()
        return f"{boot.read_text().strip()}:{namespace}"
    except OSError:
        return "unknown"


def _started(process: int) -> str:
    """Start time of a process in clock ticks since boot; empty when there is none."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    # The second field is the program's name in brackets and may hold anything, spaces included.
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
