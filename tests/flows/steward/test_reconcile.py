"""What dead commands leave in folders and processes is put right."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from flows.processing import PREFECT_HOMES, WORKER_FILE
from flows.settings import Settings
from flows.steward.reconcile import reconcile_all
from storage.assembly import Storage
from storage.worker import this_worker


def test_what_dead_processes_left_is_cleared_and_what_living_ones_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    settings = Settings()
    machine, _, _ = this_worker().rpartition("/")
    started_at_another_time = f"{machine}/1"
    for name, worker in (("run-1", started_at_another_time), ("run-2", this_worker())):
        (tmp_path / PREFECT_HOMES / name).mkdir(parents=True)
        (tmp_path / PREFECT_HOMES / name / WORKER_FILE).write_text(worker)
    orphan = subprocess.Popen(
        ["sleep", "60"], env={"PREFECT_HOME": str(tmp_path / PREFECT_HOMES / "run-1")}
    )
    settings.scratch.mkdir()
    (settings.scratch / "left behind").write_bytes(b"x")

    repairs = reconcile_all(Storage.open(settings.storage), settings)

    assert orphan.wait(timeout=10) == -signal.SIGKILL
    assert repairs.scratch_removed == 2
    assert [path.name for path in (tmp_path / PREFECT_HOMES).iterdir()] == ["run-2"]
    assert not list(settings.scratch.iterdir())
