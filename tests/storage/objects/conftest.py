"""Every store that there is, under one name: a folder, and S3 buckets of all three kinds."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.objects import ObjectStore, open_store
from tests.servers.s3 import S3Server
from tests.storage.objects.opening import REGION, opener


@pytest.fixture(
    params=[
        "folder",
        pytest.param("unversioned", marks=pytest.mark.services),
        pytest.param("versioned", marks=pytest.mark.services),
        pytest.param("suspended", marks=pytest.mark.services),
    ]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ObjectStore]:
    """Opens the same empty store anew, as another worker would."""
    if request.param == "folder":
        return lambda: open_store(str(tmp_path / "store"), region=REGION)
    server: S3Server = request.getfixturevalue("s3")
    return opener(server, server.bucket(request.param))


@pytest.fixture
def store(opened: Callable[[], ObjectStore]) -> ObjectStore:
    """The store as this process opened it."""
    return opened()


@pytest.fixture
def new_key() -> Callable[[], str]:
    """Makes a random key."""
    return lambda: secrets.token_hex(16)


@pytest.fixture
def key() -> str:
    """A random key."""
    return secrets.token_hex(16)


@pytest.fixture
def killed() -> Callable[[Callable[[], object]], bool]:
    """Runs work in a forked child; tells whether the child was killed before it was done."""

    def run(work: Callable[[], object]) -> bool:
        child = os.fork()
        if child == 0:
            try:
                work()
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return True
        assert os.WEXITSTATUS(status) == 0, "the child failed by itself"
        return False

    return run
