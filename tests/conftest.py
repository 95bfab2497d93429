"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers.postgres import postgres
from tests.servers.s3 import S3Server, s3_server

# A machine that is busy with something else breaks no law.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of shared recordings; the test is skipped where it is absent."""
    folder = Path(os.environ.get("LIKENESS_MEDIA") or _REPOSITORY.parent / "shared" / "media")
    if not (folder / "MANIFEST.tsv").is_file():
        pytest.skip(f"shared recordings are absent: {folder} (set LIKENESS_MEDIA)")
    return folder


@pytest.fixture(scope="session")
def fresh_postgres() -> Iterator[Callable[[], str]]:
    """Makes a fresh database on a real PostgreSQL and returns its URL."""
    with postgres() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server."""
    with s3_server() as server:
        yield server
