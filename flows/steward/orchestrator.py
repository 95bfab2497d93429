"""What the Prefect server keeps of work on what is erased: runs, their tasks, logs and artifacts.

It knows random ids alone (invariant 9), and those outlive an erasure as tombstones; still an
erasure is not reported done while the server holds a run on one of them, or cannot be asked.
Its events name runs by Prefect's own ids and go by its own retention (7 days by default).
An order's own runs stay, as its receipt does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from flows.prefect_server import PrefectServer
from models.schema.errors import ServiceUnavailable
from storage.erasure.elsewhere import Concerned

_ERASED: Final = ("subjects", "uploads", "avatars", "artefacts", "generations", "runs")
"""The groups of what goes; others name what stays, such as an avatar's kept uploads."""
_AT_WORK: Final = ("RUNNING", "CANCELLING")
_ENDS_WITHIN_SECONDS: Final = 30.0
"""For a worker to end a run that is cancelled: it asks every few seconds. The fence has stopped
the run's work before, so one that takes longer loses its record and nothing else."""
_ASKS_EVERY_SECONDS: Final = 1.0


class OrchestratorRecords:
    """The records of one Prefect server."""

    name = "orchestrator"

    def __init__(self, server: PrefectServer) -> None:
        self._server = server

    def remove(self, concerned: Concerned) -> None:
        """Cancel and delete the flow runs whose parameters name something that is erased.

        A server that does not answer holds up neither the keys nor the rows: `left`, which is
        asked before the erasure is reported done, is what insists.
        """
        with suppress(ServiceUnavailable):
            found = list(self._runs_on(_ids(concerned)))
            self._cancel([run["id"] for run in found if run["state_type"] in _AT_WORK])
            for run in found:
                self._delete(run["id"])

    def left(self, concerned: Concerned) -> int:
        """How many such flow runs there are; raises ServiceUnavailable."""
        return sum(1 for _ in self._runs_on(_ids(concerned)))

    def _runs_on(self, ids: frozenset[str]) -> Iterator[dict[str, Any]]:
        if not ids:
            return
        # The server can filter by much, but not by parameter.
        for run in self._server.listed("/flow_runs/filter", {"sort": "START_TIME_ASC"}):
            if ids.intersection(_words(run["parameters"])):
                yield run

    def _cancel(self, runs: Sequence[str]) -> None:
        for run in runs:
            self._server.post(
                f"/flow_runs/{run}/set_state",
                {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True},
            )
        end = time.monotonic() + _ENDS_WITHIN_SECONDS
        while self._at_work(runs) and time.monotonic() < end:
            time.sleep(_ASKS_EVERY_SECONDS)

    def _at_work(self, runs: Sequence[str]) -> bool:
        if not runs:
            return False
        asked = {"id": {"any_": list(runs)}, "state": {"type": {"any_": list(_AT_WORK)}}}
        return any(True for _ in self._server.listed("/flow_runs/filter", {"flow_runs": asked}))

    def _delete(self, run: str) -> None:
        """Artifacts outlive their run; its tasks and logs go with it. The run goes last, since it
        is what everything else is found by."""
        of_run = {"artifacts": {"flow_run_id": {"any_": [run]}}}
        for artifact in list(self._server.listed("/artifacts/filter", of_run)):
            self._server.delete(f"/artifacts/{artifact['id']}")
        self._server.delete(f"/flow_runs/{run}")


def _ids(concerned: Concerned) -> frozenset[str]:
    return frozenset(each for group in _ERASED for each in concerned.get(group, ()))


def _words(parameters: dict[str, Any]) -> Iterator[str]:
    return (value for value in parameters.values() if isinstance(value, str))
