"""Copies of last week are restored: the door is shut, the receipt says what came back, and
reconcile erases it again without a second receipt. Clocks jump, and nothing depends on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import update

from models.schema.errors import DoorShut, LikenessError
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.catalogue.erasures import ERASURES
from storage.catalogue.orders import Order
from storage.erasure.lease import LEASE
from storage.handles import Operation, Use
from tests.storage.conftest import BOTH, MovableClock
from tests.storage.erasure.conftest import (
    CASES,
    Before,
    Case,
    House,
    Houses,
    assert_erased,
    before,
)

WEEK: Final = timedelta(days=7)
YEAR: Final = timedelta(days=365)
BACK: Final = {"catalogue": "rows_came_back", "objects": "bytes_came_back"}
USE: Final = Use(Role.TRAINING, Operation.PROCESS, frozenset({Purpose.VOICE_CLONING}), "test")


@dataclass(frozen=True)
class Backup:
    """A copy of a home, from which parts of it are restored."""

    folder: Path
    home: Path

    @classmethod
    def of(cls, house: House) -> Backup:
        folder = house.home.with_name("backup")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(house.home, folder)
        return cls(folder, house.home)

    def restore(self, part: str) -> None:
        """Put the catalogue's file or the folder of objects back as it was."""
        if part == "objects":
            shutil.rmtree(self.home / "objects")
            shutil.copytree(self.folder / "objects", self.home / "objects")
            return
        for old in self.home.glob("catalogue.db*"):
            old.unlink()
        for file in self.folder.glob("catalogue.db*"):
            shutil.copy(file, self.home / file.name)


def _known(house: House, houses: Houses, case: Case) -> Before:
    known = before(house, houses.template, case)
    # A week later the time of what waits in quarantine is over.
    known.kept.pop("waiting.quarantined_upload", None)
    return known


def _stopping_at(name: str, work: Callable[[], object]) -> Callable[[str], None]:
    def passed(done: str) -> None:
        if done == name:
            work()

    return passed


def _came_back(house: House, order: Order) -> set[str]:
    return {
        found.code for found in house.storage.receipts.findings(house.storage.receipts.of(order.id))
    }


@pytest.mark.parametrize(
    "parts", [("catalogue",), ("objects",), ("catalogue", "objects")], ids="+".join
)
@pytest.mark.parametrize("name", CASES)
def test_what_a_copy_of_last_week_brings_back_is_told_and_erased_again(
    houses: Houses, clock: MovableClock, name: str, parts: tuple[str, ...]
) -> None:
    case = CASES[name]
    house = houses.copied()
    known = _known(house, houses, case)
    backup = Backup.of(house)
    clock.advance(WEEK)
    order = house.storage.orders.place(case.request(houses.template))
    house.storage.carrying_out.run(order.id)
    document = house.recorded.receipt(order.id)
    for part in parts:
        backup.restore(part)
    house = houses.opened()
    expected = {BACK[part] for part in parts}
    if "catalogue" in parts:
        with (
            pytest.raises(DoorShut),
            house.storage.door.open(houses.template.objects["n.voice_segment"], USE),
        ):
            pass
        with pytest.raises(DoorShut):
            house.receive("s-9", BOTH)
    assert _came_back(house, order) == expected
    repairs = house.storage.reconciler.run()
    assert repairs.total > 0
    assert house.recorded.receipt(order.id) == document
    assert_erased(house, houses.template, case, known, order)
    assert house.storage.reconciler.run().total == 0


@pytest.mark.parametrize("moment", ["placed", "planned", "page recorded", "deleted", "reduced"])
@pytest.mark.parametrize("name", ["subject", "purpose"])
def test_a_copy_from_the_middle_of_an_erasure_is_carried_to_its_end_again(
    houses: Houses, clock: MovableClock, name: str, moment: str
) -> None:
    case = CASES[name]
    house = houses.copied()
    known = before(house, houses.template, case)
    order = house.storage.orders.place(case.request(houses.template))
    whole = Backup.of(house)
    kept: list[Backup] = [whole] if moment == "placed" else []

    def keep() -> None:
        # The bytes of before, beside the rows of now: what two backups of two systems are.
        middle = house.home.with_name("middle")
        shutil.rmtree(middle, ignore_errors=True)
        shutil.copytree(house.home, middle)
        shutil.rmtree(middle / "objects")
        shutil.copytree(whole.folder / "objects", middle / "objects")
        kept.append(Backup(middle, house.home))

    house.carrying_out(_stopping_at(moment, keep)).run(order.id)
    kept[0].restore("catalogue")
    kept[0].restore("objects")
    house = houses.opened()
    assert "bytes_came_back" in _came_back(house, order)
    # Whoever held the order when the copy was made holds it no more.
    clock.advance(LEASE + timedelta(seconds=1))
    house.storage.reconciler.run()
    assert_erased(house, houses.template, case, known, order)


def test_what_was_withdrawn_since_the_copy_is_granted_by_no_later_upload(
    houses: Houses, clock: MovableClock
) -> None:
    house = houses.copied()
    backup = Backup.of(house)
    house.storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    backup.restore("catalogue")
    house = houses.opened()
    house.storage.reconciler.run()
    upload = house.receive("s-1", BOTH)
    assert house.storage.uploads.by_id(upload).purposes == {Purpose.DIGITAL_HUMAN}
    house.clock.advance(timedelta(hours=1))
    clock.advance(timedelta(seconds=1))
    house.storage.consents.grant("s-1", BOTH, house.agreed(b"a new form, signed since"))
    upload = house.receive("s-1", BOTH)
    assert house.storage.uploads.by_id(upload).purposes == BOTH
    assert list(house.storage.verification.findings()) == []


def test_a_stop_waits_for_no_reconcile(houses: Houses) -> None:
    first, second = CASES["upload"], CASES["subject"]
    house = houses.copied()
    known = before(house, houses.template, second)
    backup = Backup.of(house)
    earlier = house.storage.orders.place(first.request(houses.template))
    house.storage.carrying_out.run(earlier.id)
    backup.restore("catalogue")
    backup.restore("objects")
    house = houses.opened()
    order = house.storage.orders.place(second.request(houses.template))
    house.storage.carrying_out.run(order.id)
    house.storage.reconciler.run()
    assert_erased(house, houses.template, second, known, earlier, order)


@pytest.mark.parametrize("name", ["subject", "purpose"])
@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["forward", "back"])
def test_a_clock_that_jumps_at_any_moment_changes_no_end(
    houses: Houses, clock: MovableClock, name: str, jump: timedelta
) -> None:
    case, at, happened, refused = CASES[name], 0, True, 0
    known = before(houses.copied(), houses.template, case)
    while happened:
        house, start, seen = houses.copied(), clock.now, 0

        def jumping(_name: str, at: int = at) -> None:
            nonlocal seen
            if seen == at:
                clock.advance(jump)
            seen += 1

        order = house.storage.orders.place(case.request(houses.template))
        try:
            house.carrying_out(jumping).run(order.id)
        except LikenessError as error:
            # The ledger goes back in time for nobody; the order waits until the clock is right.
            assert jump < timedelta(0)
            assert "clock" in f"{error.message} {error.remedy}"
            refused += 1
        happened = seen > at
        clock.now = start
        house.storage.carrying_out.run(order.id)
        assert_erased(house, houses.template, case, known, order)
        at += 4
    assert (refused > 0) == (jump < timedelta(0))


@pytest.mark.parametrize("worker", ["of this machine", "of another machine"])
def test_a_clock_that_was_wrong_when_a_worker_gave_up_or_died_keeps_nobody_out(
    houses: Houses, clock: MovableClock, worker: str
) -> None:
    case = CASES["subject"]
    house = houses.copied()
    known = before(house, houses.template, case)
    order = house.storage.orders.place(case.request(houses.template))
    start = clock.now
    clock.advance(YEAR)

    def fail() -> None:
        raise LikenessError("the worker gives up")

    with pytest.raises(LikenessError):
        house.carrying_out(_stopping_at("fenced", fail)).run(order.id)
    if worker == "of another machine":
        with house.storage.catalogue.writing() as writing:
            writing.connection.execute(
                update(ERASURES).values(worker="another/12/34#56", lease_until=clock() + LEASE)
            )
    clock.now = start
    house.storage.carrying_out.run(order.id)
    assert_erased(house, houses.template, case, known, order)
