"""A real Prefect server with a process worker on pool `cpu`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.servers.processes import free_port, wait_until

_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class PrefectServer:
    """A running server; `environment` is what clients and workers of it need."""

    environment: dict[str, str]
    folder: Path

    def prefect(self, *arguments: str, seconds: int = 120) -> subprocess.CompletedProcess[str]:
        """Run the prefect command against this server."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("prefect")), "--no-prompt", *arguments],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self.environment,
            cwd=_REPOSITORY,
            timeout=seconds,
        )


@contextmanager
def prefect_server(folder: Path, environment: dict[str, str]) -> Iterator[PrefectServer]:
    """Start the server, make pool `cpu`, deploy everything and start a worker; stop all of it."""
    port = free_port()
    environment = environment | {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "LIKENESS_SOURCE": str(_REPOSITORY),
    }
    server = PrefectServer(environment, folder)
    command = str(Path(sys.executable).with_name("prefect"))
    with (folder / "processes.log").open("w") as log:
        children = [
            subprocess.Popen(
                [command, "server", "start", "--host", "127.0.0.1", "--port", str(port)],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=_REPOSITORY,
            )
        ]
        try:
            wait_until(lambda: _healthy(port), seconds=120, what="the Prefect server")
            made = server.prefect("work-pool", "create", "cpu", "--type", "process")
            assert made.returncode == 0, made.stderr
            deployed = server.prefect("deploy", "--all")
            assert deployed.returncode == 0, deployed.stdout + deployed.stderr
            children.append(
                subprocess.Popen(
                    [command, "worker", "start", "--pool", "cpu", "--limit", "2"],
                    env=environment,
                    stdout=log,
                    stderr=log,
                    cwd=_REPOSITORY,
                )
            )
            yield server
        finally:
            for child in reversed(children):
                child.terminate()
            for child in children:
                try:
                    child.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    child.kill()


def _healthy(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, URLError):
        return False
