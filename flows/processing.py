"""Running the ingest flow in this process.

Without PREFECT_API_URL an ephemeral server is used, whose home is a folder of this process under
LIKENESS_HOME: gone at exit, and cleared by `reconcile` after a crash (invariant 9). The environment
must be set before Prefect is imported, so this is the only place that imports it for commands.
"""

from __future__ import annotations

import atexit
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flows.progress import Watcher, watched_by
from flows.settings import settings
from models.schema.errors import LikenessError, ServiceUnavailable
from storage.worker import this_worker

PREFECT_HOMES: Final = "prefect"
WORKER_FILE: Final = "worker"
"""Names the process a folder belongs to, so that `reconcile` can tell when it is dead."""

_QUIET: Final = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_CLI_PROMPT": "false",
}


def process(uploads: Sequence[str], *, show_progress: bool) -> dict[str, LikenessError]:
    """Ingest each upload; returns the errors by upload id. States are in the catalogue."""
    prepare_environment()
    failed: dict[str, LikenessError] = {}
    from flows.ingest import ingest

    with _bar(len(uploads), show=show_progress) as advance:
        for upload in uploads:
            try:
                with watched_by(advance):
                    ingest(upload)
            except LikenessError as error:
                failed[upload] = error
            except Exception as error:
                failed[upload] = _translated(error)
            advance("done", 1.0)
    return failed


def prepare_environment() -> None:
    """Set Prefect's environment before it is imported; a server that is named is left alone."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if os.environ.get("PREFECT_API_URL"):
        os.environ.setdefault("PREFECT_HOME", str(settings().home / PREFECT_HOMES / "client"))
        return
    home = settings().home / PREFECT_HOMES / f"run-{os.getpid()}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700, parents=True)
    (home / WORKER_FILE).write_text(this_worker())
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "true"
    os.environ.pop("PREFECT_API_DATABASE_CONNECTION_URL", None)
    atexit.register(_remove, home)


def _remove(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)


def _translated(error: Exception) -> LikenessError:
    kind = type(error).__name__
    if kind in {"ConnectError", "ConnectTimeout", "PrefectHTTPStatusError", "ReadTimeout"}:
        return ServiceUnavailable(f"The Prefect server does not answer ({kind}).")
    return LikenessError(
        f"Processing failed with {kind}.",
        remedy="Set LIKENESS_DEBUG=1 to see where, and report it.",
    )


@contextmanager
def _bar(total: int, *, show: bool) -> Iterator[Watcher]:
    """A progress bar on standard error when a person watches, else silence."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not show or not console.is_terminal:
        yield lambda _step, _fraction: None
        return
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("starting", total=1.0)

        def advance(step: str, fraction: float) -> None:
            progress.update(bar, description=step, completed=fraction)

        yield advance
