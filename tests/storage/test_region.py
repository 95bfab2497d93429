"""A house serves one jurisdiction, and a worker of another one never gets in (Policy P13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from models.schema.errors import Refused
from storage.assembly import Storage, StorageAddresses


def test_a_worker_of_another_region_is_refused_before_it_touches_anything(
    storage: Storage, addresses: StorageAddresses
) -> None:
    before = storage.ledger.head()
    with pytest.raises(Refused, match="belongs to region 'local'") as refused:
        Storage.open(replace(addresses, region="eu"))
    assert refused.value.reason == "other_region"
    assert storage.ledger.head() == before
    assert Storage.open(addresses).ledger.head() == before


def test_of_workers_that_open_a_new_home_together_one_region_wins(
    addresses: StorageAddresses, at_once: Callable[[list[Callable[[], Any]]], list[Any]]
) -> None:
    def opens(region: str) -> Callable[[], bool]:
        def work() -> bool:
            try:
                Storage.open(replace(addresses, region=region))
            except Refused:
                return False
            return True

        return work

    answers = at_once([opens(region) for region in ("cn", "eu", "cn", "eu")])
    assert answers in ([True, False, True, False], [False, True, False, True])
