"""A worker is killed after each single step of an erasure, and the next one finishes it.

The steps are found, not listed: every transaction that was committed in either database, every log
that was emptied, every call that the object store answered, every file that it removed, and every
action that the erasure names. A forked child places the order, carries it out and kills itself
right after the n-th; for each n the end state is the same.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Engine, Pool, event

from storage.objects.interface import Listed, ObjectStore, StoredObject, Unfinished
from tests.storage.erasure.conftest import (
    CASES,
    Case,
    House,
    Houses,
    assert_erased,
    before,
)

EACH: Final = "subject"
"""The scope of which every 5th step is tried in every run, each single one by `make histories`."""
EVERY: Final = 8
"""Of the other scopes every 8th is. Each day tries others."""

Told = Callable[[str], None]


class Watched:
    """An object store that tells what it has answered."""

    def __init__(self, store: ObjectStore, told: Told) -> None:
        self._store = store
        self._told = told

    @property
    def region(self) -> str:
        return self._store.region

    def put(self, key: str, pieces: Iterable[bytes]) -> StoredObject:
        return self._store.put(key, pieces)

    def get(self, key: str, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        return self._store.get(key, offset=offset)

    def stat(self, key: str) -> StoredObject | None:
        return self._store.stat(key)

    def list_keys(self, prefix: str = "") -> Iterator[Listed]:
        return self._store.list_keys(prefix)

    def delete(self, key: str) -> None:
        self._store.delete(key)
        self._told("store: deleted")

    def delete_many(self, keys: Iterable[str]) -> None:
        self._store.delete_many(keys)
        self._told("store: deleted many")

    def present_among(self, keys: Iterable[str]) -> set[str]:
        found = self._store.present_among(keys)
        self._told("store: looked for")
        return found

    def traces(self, key: str) -> list[str]:
        return self._store.traces(key)

    def unfinished(self) -> Iterator[Unfinished]:
        return self._store.unfinished()

    def clear_unfinished(self, *, older_than: timedelta) -> int:
        return self._store.clear_unfinished(older_than=older_than)

    def check(self) -> None:
        self._store.check()


def _watch(told: Told) -> None:
    """Tell of every durable action of this process's databases and files, once it is done."""

    def before_commit(connection: Any) -> None:
        if connection.get_execution_options().get("house_writes"):
            connection.info["committed"] = connection.engine.url.database

    def after_commit(_raw: object, record: Any) -> None:
        if record is not None and (name := record.info.pop("committed", None)):
            told(f"committed: {name.rpartition('/')[2]}")

    def after_execute(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "wal_checkpoint" in statement:
            told("log emptied")

    def audit(name: str, _arguments: tuple[object, ...]) -> None:
        if name == "os.remove":  # told before it is done: the one before is
            told("about to remove a file")

    event.listen(Engine, "commit", before_commit)
    event.listen(Pool, "checkin", after_commit)
    event.listen(Engine, "after_cursor_execute", after_execute)
    sys.addaudithook(audit)


def _erase(house: House, case: Case, houses: Houses, told: Told) -> None:
    order = house.storage.orders.place(case.request(houses.template))
    worker = house.carrying_out(
        lambda name: told(f"passed: {name}"), Watched(house.storage.store, told)
    )
    worker.run(order.id)


def _killed(houses: Houses, case: Case, step: int) -> tuple[bool, list[str]]:
    """Erase in a child that dies after a step; whether it was killed, and what it had done."""
    house = houses.copied()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        counted = 0

        def told(name: str) -> None:
            nonlocal counted
            counted += 1
            os.write(theirs, f"{name}\n".encode())
            if counted == step:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            _watch(told)
            _erase(house, case, houses, told)
            os._exit(0)
        except BaseException as error:
            os.write(theirs, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        done = pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, done[-1:]
    return os.WIFSIGNALED(status), done


@pytest.mark.parametrize(
    ("name", "between"),
    [
        *((name, 5 if name == EACH else EVERY) for name in CASES),
        pytest.param(EACH, 1, marks=pytest.mark.long),
    ],
)
def test_whoever_carries_an_order_out_may_be_killed_after_any_step(
    houses: Houses, name: str, between: int
) -> None:
    # Another day tries other steps.
    step = 1 + date.today().toordinal() % between
    case = CASES[name]
    known = before(houses.copied(), houses.template, case)
    killed = True
    while killed:
        killed, done = _killed(houses, case, step)
        house = houses.opened()
        try:
            order = house.storage.orders.place(case.request(houses.template))
            house.storage.carrying_out.run(order.id)
            assert_erased(house, houses.template, case, known, order)
        except Exception as error:
            error.add_note(f"killed after step {step}: {done[-2:]}")
            raise
        step += between
    seen = {each.partition(":")[0] for each in done}
    assert seen >= {"committed", "log emptied", "passed", "store"}
    assert len(done) > 40, "too few steps were seen to have watched the whole way"
