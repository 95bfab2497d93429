"""A storage room with a clock that tests move, as the steward's jobs find it in their process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import flows.opening
import flows.settings
from flows.settings import Settings

# The rooms' own fixtures, by their names.
from tests.storage.conftest import (  # noqa: F401
    addresses,
    addresses_in,
    admitted,
    at_once,
    clock,
    declare,
    grant,
    home,
    new_home,
    planned,
    received,
    storage,
    trained,
)


@pytest.fixture
def settings(
    home: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    """The settings of a process that works on `home`; no Prefect server is configured."""
    shared = tmp_path / "shared-memory"
    shared.mkdir()
    monkeypatch.setenv("LIKENESS_HOME", str(home))
    monkeypatch.setenv("LIKENESS_ENGINES__SCRATCH", str(shared))
    monkeypatch.setenv("LIKENESS_ENGINES__SCRATCH_ON_DISK", "true")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    flows.settings.settings.cache_clear()
    flows.opening.storage.cache_clear()
    yield flows.settings.settings()
    flows.settings.settings.cache_clear()
    flows.opening.storage.cache_clear()
