"""Settings and material that the tests of the contract share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from textwrap import dedent

import pytest

from models.engines.child import ForeignEngine
from models.engines.contract import File, FileRole, MediaType, Training
from models.engines.scratch import Scratch, open_scratch
from models.engines.settings import EngineSettings
from models.engines.synthetic import vowels

Program = Callable[..., ForeignEngine]

WEIGHTS = File(name="voice", role=FileRole.WEIGHTS, media_type=MediaType.SAFETENSORS)

_DECLARES = """
import json, os, subprocess, sys, time
asked = json.loads(sys.stdin.readline())
def say(**said):
    os.write(1, json.dumps(said).encode() + b"\\n")
if "declare" in asked:
    say(declaration={"name": "bad", "version": "1", "licence": "MIT", "task": "voice",
        "resources": {"memory_mebibytes": 1}, "deterministic": False,
        "gives": ["weights", "checkpoint"]})
    sys.exit()
def step(number=1):
    say(progress={"step": number, "fraction": 0.5})
    sys.stdin.readline()
def weights():
    header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    open("voice", "wb").write(len(header).to_bytes(8, "little") + header + b"x")
def trained(**more):
    say(trained={"files": [{"name": "voice", "role": "weights",
        "media_type": "application/vnd.safetensors"}], "steps": 1, **more})
"""


@pytest.fixture
def settings() -> EngineSettings:
    """As by default, but quick to lose patience."""
    return EngineSettings(silence_seconds=3.0, grace_seconds=3.0, fence_seconds=0.2)


@pytest.fixture
def scratch(settings: EngineSettings) -> Iterator[Scratch]:
    """The open scratch folder of some run."""
    with open_scratch(token_hex(16), settings) as scratch:
        yield scratch


@pytest.fixture
def request_of(scratch: Scratch) -> Training:
    """Samples of a synthetic voice, in the scratch folder."""
    return Training(samples=tuple(vowels(scratch.folder)), seconds_most=60.0)


@pytest.fixture
def program(tmp_path: Path, settings: EngineSettings) -> Program:
    """A foreign engine that declares itself well and then, asked to train, runs a script."""

    def make(script: str, **changed: object) -> ForeignEngine:
        path = tmp_path / "program.py"
        path.write_text(_DECLARES + dedent(script))
        used = settings.model_copy(update=changed)
        return ForeignEngine("bad", (sys.executable, "-S", str(path)), used)

    return make
