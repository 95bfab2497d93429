"""Orders race each other, a second worker, and everything else that touches what they erase.

Where a race can be lost only between two transactions, it is made to happen there: the order is
placed and carried out whole right before the n-th transaction of the other work, for every n. What
needs two processes has two.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Engine, event

from flows.rights.export import export
from models.schema.errors import (
    BadInput,
    FenceLost,
    Frozen,
    LikenessError,
    NotFound,
    Refused,
)
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import Order
from storage.erasure.lease import LEASE
from storage.erasure.orders import Request
from storage.handles import Operation, Use
from storage.registers.requests import Handling
from storage.trainings import PlannedTraining
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

VOICE: Final = frozenset({Purpose.VOICE_CLONING})
TRAINING: Final = Use(Role.TRAINING, Operation.PROCESS, VOICE, "test")
MEBIBYTE: Final = 1024 * 1024
SUBJECT: Final = CASES["subject"]
EVERY: Final = 5
"""Before every 5th transaction, others each day; of an export, which has many, every 15th."""

REMOVED: Final = (
    "removed_under_way: An unfinished write was removed while it was under way; nothing was "
    "written."
)

AtOnce = Callable[..., list[Any]]


# --- two orders at once -------------------------------------------------------------------------


def _both(first: str, second: str) -> tuple[Case, tuple[Case, Case]]:
    """Two cases, and what is gone after both."""
    one, other = CASES[first], CASES[second]
    gone = one.gone | other.gone
    narrowed = {
        name: taken
        for name, taken in {**one.narrowed, **other.narrowed}.items()
        if name not in gone
    }
    return Case(
        one.request,
        gone=gone,
        narrowed=narrowed,
        stopped=(one.stopped | other.stopped) - gone,
        subjects=one.subjects | other.subjects,
        accounts=one.accounts | other.accounts,
        tainted=one.tainted or other.tainted,
    ), (one, other)


VOICE_WITHDRAWN: Final = Case(
    lambda _: Request(Scope.SUBJECT, "s-1", Purpose.VOICE_CLONING),
    gone=frozenset(),
    narrowed={},
)
TWO_PURPOSES: Final = Case(
    lambda _: Request(Scope.SUBJECT, "s-1", Purpose.DIGITAL_HUMAN),
    gone=frozenset({"a", "b", "c", "waiting"}),
    narrowed={"m": VOICE},
    stopped=frozenset({"one", "two"}),
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("subject", "account"),
        ("upload", "avatar"),
        ("avatar", "avatar_of_two"),
        ("subject", "avatar"),
        ("purpose", "upload"),
        ("purpose", "voice"),
    ],
)
def test_two_orders_of_overlapping_scope_at_once_each_come_to_one_receipt(
    houses: Houses, at_once: AtOnce, first: str, second: str
) -> None:
    if second == "voice":
        case, pair = TWO_PURPOSES, (CASES["purpose"], VOICE_WITHDRAWN)
    elif second == "avatar_of_two":
        of_two = Case(
            lambda house: Request(Scope.AVATAR, house.avatars["two"]),
            gone=frozenset({"a", "b", "two"}),
        )
        case = Case(of_two.request, gone=frozenset({"a", "b", "one", "two"}))
        pair = (CASES["avatar"], of_two)
    else:
        case, pair = _both(first, second)
    house = houses.copied()
    known = before(house, houses.template, case)
    orders = [house.storage.orders.place(each.request(houses.template)) for each in pair]

    def carry_out(order: Order) -> Callable[[], str]:
        return lambda: houses.opened().storage.carrying_out.run(order.id).state.value

    assert at_once([carry_out(order) for order in orders]) == ["done", "done"]
    assert_erased(houses.opened(), houses.template, case, known, *orders)


@pytest.mark.parametrize(
    ("first", "second"),
    [("purpose", "upload"), ("account", "subject"), ("avatar", "upload"), ("subject", "purpose")],
)
def test_an_order_that_another_overtakes_after_any_action_comes_to_its_end(
    houses: Houses, first: str, second: str
) -> None:
    case, pair = _both(first, second)
    known = before(houses.copied(), houses.template, case)
    at, happened = 0, True
    while happened:
        house, seen = houses.copied(), 0
        orders = [house.storage.orders.place(each.request(houses.template)) for each in pair]

        def overtaken(
            _name: str, at: int = at, house: House = house, other: Order = orders[1]
        ) -> None:
            nonlocal seen
            if seen == at:
                house.storage.carrying_out.run(other.id)
            seen += 1

        house.carrying_out(overtaken).run(orders[0].id)
        happened = seen > at
        house.storage.carrying_out.run(orders[1].id)
        try:
            assert_erased(house, houses.template, case, known, *orders)
        except Exception as error:
            error.add_note(f"overtaken after action {at}")
            raise
        at += 2


def test_whoever_first_keeps_what_other_avatars_share_may_have_it_erased_before_that_is_done(
    houses: Houses,
) -> None:
    alone, whole = CASES["avatar_alone"], CASES["avatar"]
    house = houses.copied()
    known = before(house, houses.template, whole)
    orders = [house.storage.orders.place(each.request(houses.template)) for each in (alone, whole)]
    for order in orders:
        house.storage.carrying_out.run(order.id)
    assert_erased(house, houses.template, whole, known, *orders)


# --- two workers on one order -------------------------------------------------------------------


def test_of_two_workers_at_once_one_carries_the_order_out(houses: Houses, at_once: AtOnce) -> None:
    house = houses.copied()
    known = before(house, houses.template, SUBJECT)
    order = house.storage.orders.place(SUBJECT.request(houses.template))

    def carry_out() -> str:
        try:
            return houses.opened().storage.carrying_out.run(order.id).state.value
        except FenceLost as lost:
            return lost.code

    answers = at_once([carry_out, carry_out, carry_out])
    assert "done" in answers
    assert set(answers) <= {"done", "fence_lost"}
    assert_erased(houses.opened(), houses.template, SUBJECT, known, order)


def test_nobody_takes_an_order_over_while_its_worker_lives(houses: Houses) -> None:
    house = houses.copied()
    order = house.storage.orders.place(SUBJECT.request(houses.template))
    tried: list[str] = []

    def try_too(name: str) -> None:
        if name in {"signed", "receipt recorded"}:
            return
        with pytest.raises(FenceLost):
            house.storage.carrying_out.run(order.id)
        tried.append(name)

    house.carrying_out(try_too).run(order.id)
    assert len(tried) > 8


def test_whoever_was_taken_for_dead_changes_nothing_any_more(
    houses: Houses, clock: MovableClock
) -> None:
    """Another worker takes over after any action, ends the order, and the first one goes on."""
    at, lost, happened = 0, 0, True
    known = before(houses.copied(), houses.template, SUBJECT)
    while happened:
        house, seen = houses.copied(), 0
        order = house.storage.orders.place(SUBJECT.request(houses.template))

        def overtaken(_name: str, at: int = at, house: House = house, order: Order = order) -> None:
            nonlocal seen
            if seen == at:
                clock.advance(LEASE + timedelta(seconds=1))
                house.storage.carrying_out.run(order.id)
            seen += 1

        try:
            house.carrying_out(overtaken).run(order.id)
        except FenceLost:
            lost += 1
        happened = seen > at
        assert_erased(house, houses.template, SUBJECT, known, order)
        at += 1
    assert lost > 8


# --- an order that overtakes other work ---------------------------------------------------------


@contextmanager
def _overtaking(houses: Houses, step: int, work: Callable[[], object]) -> Iterator[list[int]]:
    """Do something right before the n-th transaction of what follows, when none is open."""
    counted, state = [0], {"open": 0, "busy": False}

    def begun(_connection: Any) -> None:
        if state["busy"]:
            return
        if not state["open"]:
            counted[0] += 1
            if counted[0] == step:
                state["busy"] = True
                try:
                    work()
                finally:
                    state["busy"] = False
        state["open"] += 1

    def ended(_connection: Any) -> None:
        if not state["busy"]:
            state["open"] -= 1

    # Before the house's own listener, which begins the transaction.
    event.listen(Engine, "begin", begun, insert=True)
    event.listen(Engine, "commit", ended)
    event.listen(Engine, "rollback", ended)
    try:
        yield counted
    finally:
        event.remove(Engine, "begin", begun)
        event.remove(Engine, "commit", ended)
        event.remove(Engine, "rollback", ended)


Work = Callable[[House, Houses], object]


def _uploads(house: House, _houses: Houses) -> object:
    upload = house.receive("s-1", BOTH, account="firm")
    return house.admit(upload)


def _reads(house: House, houses: Houses) -> object:
    with house.storage.door.open(houses.template.objects["a.voice_segment"], TRAINING) as reader:
        return reader.read()


def _trains(house: House, houses: Houses) -> object:
    template = houses.template
    return house.train(template.avatars["one"], template.objects["b.voice_segment"])


def _trains_a_base(house: House, houses: Houses) -> object:
    return house.train(
        None, *(houses.template.objects[f"{name}.voice_segment"] for name in ("m", "n"))
    )


def _generates(house: House, houses: Houses) -> object:
    return house.generate(houses.template.artefacts["two"])


def _makes_an_avatar(house: House, _houses: Houses) -> object:
    return house.storage.avatars.create("s-1", "another of Zhang Wei")


def _agrees(house: House, _houses: Houses) -> object:
    # Not about what was erased: nobody is known by this name once it is.
    house.storage.subjects.known("s-1")
    return house.storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN)


def _exports(house: House, houses: Houses) -> object:
    out = house.home.with_name("export")
    shutil.rmtree(out, ignore_errors=True)
    handling = Handling("clerk-lin", "showed identity card 4711")
    return export(house.storage, "s-1", handling, out, language="en", outside=[house.home])


WORKS: Final[dict[str, Work]] = {
    "an upload": _uploads,
    "a reader": _reads,
    "a training": _trains,
    "a shared base": _trains_a_base,
    "a generation": _generates,
    "a new avatar": _makes_an_avatar,
    "a withdrawal": _agrees,
    "an export": _exports,
}


@pytest.mark.parametrize("name", WORKS)
def test_an_order_may_overtake_any_work_before_any_of_its_transactions(
    houses: Houses, clock: MovableClock, name: str
) -> None:
    known = before(houses.copied(), houses.template, SUBJECT)
    every = EVERY * (3 if name == "an export" else 1)
    step = 1 + clock.now.toordinal() % every
    overtaken = True
    while overtaken:
        house = houses.copied()
        orders: list[Order] = []

        def erase(house: House = house, orders: list[Order] = orders) -> None:
            orders.append(house.storage.orders.place(SUBJECT.request(houses.template)))
            house.storage.carrying_out.run(orders[0].id)

        with _overtaking(houses, step, erase) as counted:
            try:
                WORKS[name](house, houses)
            except (Refused, FenceLost, BadInput):
                assert orders, "refused although nobody asked to stop"
            except BaseException as error:
                error.add_note(f"overtaken before transaction {step}")
                raise
        overtaken = counted[0] >= step
        if not orders:
            break
        house.storage.reconciler.run()
        try:
            _assert_nothing_of_theirs(house, houses, known)
        except Exception as error:
            error.add_note(f"overtaken before transaction {step}")
            raise
        step += every


def _assert_nothing_of_theirs(house: House, houses: Houses, known: Before) -> None:
    """The end state; whoever asks again is a new person, of whom nothing is taken in."""
    for owed in house.storage.orders.due():  # a withdrawal's own, that the other came before
        house.storage.carrying_out.run(owed.order.id)
    orders = [standing.order for standing in house.storage.orders.all()]
    again = {
        house.storage.vault.pseudonym(*named).encode()
        for named in (("subject", "s-1"), ("account", "firm"))
    }
    known = replace(known, secrets=known.secrets - again)
    assert_erased(house, houses.template, SUBJECT, known, *orders)


# --- streams ------------------------------------------------------------------------------------


def _long(house: House, subject: str = "s-1") -> str:
    """An admitted upload's segment of several pieces."""
    upload = house.receive(subject, VOICE)
    return house.admit(upload, bytes(5 * MEBIBYTE))["voice_segment"]


@pytest.mark.parametrize("far", ["placed", "carried out"])
def test_a_stream_ends_within_a_piece_of_the_order(houses: Houses, far: str) -> None:
    house = houses.copied()
    segment = _long(house)
    with house.storage.door.open(segment, TRAINING) as reader:
        pieces = iter(reader)
        assert next(pieces)
        order = house.storage.orders.place(SUBJECT.request(houses.template))
        if far == "carried out":
            house.storage.carrying_out.run(order.id)
        with pytest.raises(Frozen):
            next(pieces)


@pytest.mark.parametrize("far", ["placed", "carried out"])
@pytest.mark.parametrize("what", ["upload", "training", "generation", "checkpoint"])
def test_what_a_writer_brings_after_the_order_is_purged(
    houses: Houses, what: str, far: str
) -> None:
    house = houses.copied()
    known = before(house, houses.template, SUBJECT)
    template, door = houses.template, house.storage.door
    orders: list[Order] = []

    def pieces() -> Iterator[bytes]:
        yield bytes(MEBIBYTE)
        orders.append(house.storage.orders.place(SUBJECT.request(template)))
        if far == "carried out":
            house.storage.carrying_out.run(orders[0].id)
        yield bytes(MEBIBYTE)

    if what == "upload":
        declared = house.storage.uploads.by_id(template.uploads["waiting"])
        run: Any = door.resume(template.runs["waiting"])
        assert declared.id == run.upload_id
        kind = "voice_segment"
    elif what == "generation":
        run, kind = door.begin_generation(template.artefacts["one"]), "generated_speech"
    else:
        run = door.begin_training(
            PlannedTraining(
                task=Task.VOICE,
                purpose=Purpose.VOICE_CLONING,
                members=[template.objects["a.voice_segment"]],
                engine="example",
                engine_version="1.0",
                avatar_id=template.avatars["one"],
            )
        )
        kind = "model_weights" if what == "training" else "model_checkpoint"
    with pytest.raises(LikenessError) as stopped:
        door.put(run, kind, pieces())
    assert stopped.value.reason in {"fence_lost", "removed_under_way"}
    house.storage.carrying_out.run(orders[0].id)
    assert_erased(house, template, SUBJECT, known, orders[0])


def test_readers_and_writers_in_other_processes_stop_and_leave_nothing(
    houses: Houses, at_once: AtOnce
) -> None:
    house = houses.copied()
    segment = _long(house)
    known = before(house, houses.template, SUBJECT)
    template = houses.template
    stop_by = time.monotonic() + 60

    began = house.home.with_name("began")
    began.mkdir()

    def until_stopped(work: Callable[[House], object]) -> Callable[[], str]:
        def loop() -> str:
            mine = houses.opened()
            while time.monotonic() < stop_by:
                try:
                    work(mine)
                except (Refused, FenceLost, NotFound):
                    return "stopped"
                except LikenessError as error:
                    return f"{error.reason}: {error}"
                (began / work.__name__).touch()
            return "never stopped"

        return loop

    def reads(mine: House) -> None:
        with mine.storage.door.open(segment, TRAINING) as reader:
            for _ in reader:
                pass

    def trains(mine: House) -> None:
        mine.train(template.avatars["one"], template.objects["a.voice_segment"])

    def uploads(mine: House) -> None:
        mine.storage.subjects.known("s-1")
        mine.admit(mine.receive("s-1", BOTH, account="firm"))

    def exports(mine: House) -> None:
        _exports(mine, houses)

    def erases() -> str:
        while len(list(began.iterdir())) < len(works) and time.monotonic() < stop_by:
            time.sleep(0.05)
        mine = houses.opened()
        order = mine.storage.orders.place(SUBJECT.request(template))
        mine.storage.carrying_out.run(order.id)
        return order.id

    works = [until_stopped(work) for work in (reads, trains, uploads, exports)]
    *stopped, order_id = at_once([*works, erases], seconds=90)
    assert set(stopped) <= {"stopped", REMOVED}
    house = houses.opened()
    house.storage.reconciler.run()
    assert house.receipts() == [order_id]
    _assert_nothing_of_theirs(house, houses, known)
