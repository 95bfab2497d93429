"""The example engine passes the suite, in our process and as a child."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.engine import Hum
from models.engines.child import ForeignEngine
from models.engines.conformance import CHECKS, Check
from models.engines.contract import Engine
from models.engines.settings import EngineSettings
from models.engines.trial import Trial

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "engine.py"
SETTINGS = EngineSettings(commands={"hum": (sys.executable, str(EXAMPLE))})


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineSettings]:
    """Folders of our own, in which nobody else leaves anything meanwhile."""
    for name in ("temporary", "home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        yield SETTINGS.model_copy(update={"scratch": Path(scratch)})


def _engine(where: str, settings: EngineSettings) -> Engine:
    if where == "in our process":
        return Hum()
    return ForeignEngine("hum", settings.commands["hum"], settings)


@pytest.mark.parametrize("where", ["in our process", "as a child"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_example_keeps_the_contract(check: Check, where: str, settings: EngineSettings) -> None:
    check(Trial(_engine(where, settings), settings))


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text("utf-8").splitlines()) < 60
