"""Settings of the engines, with where each default comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.engines.contract import Name
from models.schema.tasks import Task

COMMERCIAL_LICENCES: Final = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC-BY-4.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MPL-2.0",
        "PSF-2.0",
        "Unlicense",
        "Zlib",
    }
)
"""SPDX identifiers of licences that allow commercial use and ask nothing of the product around."""
_SECRET_WORDS: Final = ("KEY", "SECRET", "TOKEN", "PASS", "AUTH", "CREDENTIAL", "LIKENESS")


class EngineSettings(BaseModel):
    """Where engines work, which ones there are, and what they may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scratch: Path = Path("/dev/shm")  # noqa: S108 - the folders made in it are private
    """Where the private scratch folders are made: a tmpfs, so that nothing reaches a disk (but for
    swap, which a machine that trains has off or encrypted). Docker gives 64 MB: `--shm-size`."""
    scratch_on_disk: bool = False
    """Allow a `scratch` that is no tmpfs. What is deleted from a disk may be recovered from it."""
    scratch_bytes: int = Field(default=16 * 1024**3, gt=0)
    """All files of one run. An hour of speech is 0.3 GB; footage and optimiser states are more."""
    file_bytes: int = Field(default=4 * 1024**3, gt=0)
    """One file: a network of a thousand million parameters in single precision."""

    commands: dict[Name, tuple[str, ...]] = {}
    """Foreign engines by name, each the command line that starts it; paths are absolute."""
    preferred: dict[Task, Name] = {}
    """Which engine a task gets when nobody names one and there are several."""
    passed_on: tuple[str, ...] = ("CUDA_VISIBLE_DEVICES",)
    """Environment variables that a foreign engine gets beside its own folder; never a secret."""
    licences: frozenset[str] = COMMERCIAL_LICENCES
    """Licences (SPDX) that an engine's code and weights may have."""
    other_licences: bool = False
    """Allow engines of other licences, for research that sells nothing."""

    memory_bytes: int = Field(default=0, ge=0)
    """Private memory of a foreign engine (RLIMIT_DATA); 0: no limit, which CUDA needs."""
    silence_seconds: float = Field(default=600.0, gt=0)
    """Longest time between two lines of a foreign engine: loading and compiling are one step."""
    grace_seconds: float = Field(default=60.0, gt=0)
    """After the request's own time is over, until a foreign engine is killed."""
    declare_seconds: float = Field(default=60.0, gt=0)
    """For starting and saying who it is, libraries on a cold disk included."""
    fence_seconds: float = Field(default=0.5, gt=0, le=5)
    """How often the fence is asked while a foreign engine is silent. A freeze is to bite within a
    second."""

    @model_validator(mode="after")
    def _can_be_started(self) -> Self:
        programs = [command[0] if command else "" for command in self.commands.values()]
        if not all(Path(program).is_absolute() for program in programs):
            raise ValueError("a foreign engine's command begins with the program's absolute path")
        return self

    @model_validator(mode="after")
    def _keeps_secrets(self) -> Self:
        if any(word in name.upper() for name in self.passed_on for word in _SECRET_WORDS):
            raise ValueError("a variable that may hold a secret is not passed on")
        return self
