"""A throwaway PostgreSQL cluster."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.servers.processes import Daemons, free_port, programs, wait_until


@contextmanager
def postgres() -> Iterator[Callable[[], str]]:
    """Start a cluster; gives a function that makes a fresh database and returns its URL."""
    tools = programs("initdb", "postgres")
    folder = Path(tempfile.mkdtemp(prefix="likeness-postgres-"))
    account = _account()
    port = free_port()
    try:
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        data = folder / "data"
        _run(account, [tools["initdb"], "-D", str(data), "-U", "tests", "-A", "trust", "-N"])
        with Daemons() as daemons:
            # SIGINT ends sessions that a test left open, where SIGTERM would wait for them.
            daemons.start(
                tools["postgres"], "-D", str(data), "-p", str(port), "-k", str(folder),
                "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200",
                ended_by=signal.SIGINT,
                cwd="/",
                **_as(account),
            )  # fmt: skip
            base = f"postgresql://tests@127.0.0.1:{port}"
            wait_until(lambda: _answers(f"{base}/postgres"), seconds=60, what="PostgreSQL")

            def fresh() -> str:
                name = f"t{secrets.token_hex(6)}"
                with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
                    connection.execute(f'CREATE DATABASE "{name}"'.encode())
                return f"{base}/{name}"

            yield fresh
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; then an unprivileged account runs it."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid}


def _run(account: pwd.struct_passwd | None, command: list[str]) -> None:
    subprocess.run(
        command,
        check=True,
        cwd="/",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_as(account),
    )


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
