"""The command line as others script it, each test in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    fields: dict[str, Any]
    out: str
    err: str


class House:
    """A home, and the command that works on it."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LIKENESS_", "PREFECT_")) or name == "LIKENESS_WEIGHTS"
        } | {"LIKENESS_HOME": str(home), **environment}

    def run(self, *arguments: str, **environment: str) -> Said:
        """Run `likeness ARGUMENTS --json`; the answer must be exactly one JSON object."""
        done = self.plain(*arguments, "--json", **environment)
        return Said(done.returncode, json.loads(done.stdout), done.stdout, done.stderr)

    def plain(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `likeness ARGUMENTS` as a person would, without a terminal."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("likeness")), *arguments],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self.environment | environment,
            timeout=280,
        )


@pytest.fixture(scope="session")
def house_in() -> Callable[..., House]:
    """Makes a house in a folder."""
    return House


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A house with an empty home."""
    return House(tmp_path / "home")


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small valid recording without speech: 3 s of a tone."""
    file = tmp_path_factory.mktemp("media") / "tone.wav"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=f=220:d=3", str(file)], check=True
    )
    return file
