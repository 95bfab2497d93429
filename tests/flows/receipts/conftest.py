"""Receipts for the page and the commands: of any kind of content, and of an erasure that ran."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from models.receipts.signing import written
from models.schema.receipt import SignedReceipt
from storage.assembly import Storage
from storage.catalogue.freezes import Scope
from storage.erasure.orders import Request
from tests.flows.rights.conftest import Said, command  # noqa: F401 (fixture)
from tests.models.receipts.conftest import ordinary  # noqa: F401 (fixture)
from tests.storage.conftest import (  # noqa: F401 (fixtures)
    AdmittedFactory,
    addresses,
    addresses_in,
    admitted,
    clock,
    declare,
    grant,
    home,
    new_home,
    received,
    storage,
)


@pytest.fixture
def receipt_file(ordinary: SignedReceipt, tmp_path: Path) -> Path:  # noqa: F811
    """The file of an ordinary receipt, of a house that is not here."""
    file = tmp_path / "receipt.json"
    file.write_text(written(ordinary), encoding="utf-8")
    return file


@dataclass
class Erased:
    """A home in which s-1 was erased and s-2 was not, and the command on it."""

    storage: Storage
    home: Path
    order: str
    objects_before: Path
    """A copy of the folder of objects, made before."""
    run: Callable[..., Said] = field(repr=False)


@pytest.fixture
def erased(
    storage: Storage,  # noqa: F811
    home: Path,  # noqa: F811
    admitted: AdmittedFactory,  # noqa: F811
    command: Callable[..., Said],  # noqa: F811
    tmp_path: Path,
) -> Erased:
    """See Erased."""
    admitted("s-1")
    admitted("s-2", content=[b"another recording"])
    before = tmp_path / "objects-before"
    shutil.copytree(home / "objects", before)
    order = storage.orders.place(Request(Scope.SUBJECT, "s-1"))
    storage.carrying_out.run(order.id)
    here = {"LIKENESS_HOME": str(home), "LIKENESS_KEYS_URL": f"sqlite:///{home / 'keys.db'}"}

    def run(*arguments: str, **options: Any) -> Said:
        return command(*arguments, **{**here, **options})

    return Erased(storage, home, order.id, before, run)
