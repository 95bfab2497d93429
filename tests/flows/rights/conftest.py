"""A storage room, as the storage tests have it, and an export of a person in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

import flows.opening
import flows.settings
from flows.cli.application import application
from flows.report.words import Language
from flows.rights.export import Exported, export
from storage.assembly import Storage
from storage.registers.requests import Handling
from tests.storage.conftest import (  # noqa: F401 (fixtures)
    addresses,
    addresses_in,
    admitted,
    clock,
    declare,
    grant,
    home,
    home_files,
    new_home,
    planned,
    received,
    storage,
)

CARD = "showed identity card 4711"


class ExportFactory(Protocol):
    """Exports a person to a folder."""

    def __call__(
        self,
        out: Path,
        subject: str = "s-1",
        *,
        authenticated_by: str = CARD,
        language: Language = "en",
    ) -> Exported: ...


@pytest.fixture
def exported(storage: Storage, home: Path) -> ExportFactory:  # noqa: F811
    """See ExportFactory."""

    def made(
        out: Path,
        subject: str = "s-1",
        *,
        authenticated_by: str = CARD,
        language: Language = "en",
    ) -> Exported:
        return export(
            storage,
            subject,
            Handling("clerk-lin", authenticated_by),
            out,
            language=language,
            outside=[home],
        )

    return made


@dataclass(frozen=True)
class Said:
    """What a command answered: as JSON where it was asked for, else as lines."""

    code: int
    fields: dict[str, Any]
    lines: list[str]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Said]]:
    """The command line in this process, on a home of its own; keywords set its environment."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "command-home"))
    caches = (flows.settings.settings, flows.opening.storage)

    def said(*arguments: str, plain: bool = False, **environment: str) -> Said:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        flows.settings.settings.cache_clear()
        given = [*arguments] if plain else [*arguments, "--json"]
        code = int(application(arguments)(given, standalone_mode=False) or 0)
        out = capsys.readouterr().out
        return Said(code, {} if plain else json.loads(out), out.splitlines())

    for cached in caches:
        cached.cache_clear()
    yield said
    for cached in caches:
        cached.cache_clear()
