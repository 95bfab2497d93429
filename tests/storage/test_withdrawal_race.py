"""Withdrawals race reads and writes from several processes; a withdrawal wins every race.

Readers and writers note the moment before each check begins, and whether it passed; a withdrawer
notes the moment after its withdrawal was committed. Both read CLOCK_MONOTONIC, which all processes
of a machine share. A check that began later than that and passed would be a broken promise
(invariant 4). The race is made to happen: nobody withdraws before a reader and a writer have got
something of theirs, and each person's withdrawals must have stopped both.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import pytest

from models.consent.facts import EvidenceLevel, Source, Uploader
from models.schema.errors import ConsentRefused, FenceLost, Frozen, KeyDestroyed, LikenessError
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage, StorageAddresses
from storage.catalogue import objects, runs
from storage.catalogue.objects import IntentState
from storage.catalogue.runs import RunState
from storage.clock import utc_now
from storage.handles import Operation, Reader, Use
from storage.registers.consents import Grant
from storage.registers.evidence import Evidence
from storage.registers.uploads import Declaration

PURPOSES = tuple(Purpose)
MEBIBYTE = 1024 * 1024
ROLES = ("read", "write")
STOPPED = (ConsentRefused, Frozen, FenceLost)
OVER = -1
PATIENCE_SECONDS = 60
PAUSE_SECONDS_MOST = 0.1

AtOnce = Callable[..., list[Any]]


class Prepared(NamedTuple):
    """A received upload that was granted for every purpose, and its object in quarantine."""

    subject: str
    upload: str
    object: str


class Passed(NamedTuple):
    """A check that let something through: whose, for what, which step, and when it began."""

    person: int
    purpose: Purpose
    step: str
    began_ns: int


class Withdrawn(NamedTuple):
    """A withdrawal, and the moments before it was asked for and after it was committed."""

    person: int
    purpose: Purpose
    asked_ns: int
    committed_ns: int


Attempt = Callable[[int, list[Passed]], None]


@dataclass
class Lane:
    """What a withdrawer, a reader and a writer have in common: the people it takes in turn."""

    context: Any
    people: range
    target: Any = field(init=False)
    """Number of the person who withdraws next."""
    committed: Any = field(init=False)
    """How many withdrawals were committed so far."""
    passed: dict[str, Any] = field(init=False)
    """By role: a flag for each person of whom that role got something."""
    stopped: dict[str, Any] = field(init=False)
    """By role: a flag for each person at whose things that role was stopped."""

    def __post_init__(self) -> None:
        self.target = self.context.Value("i", self.people[0])
        self.committed = self.context.Value("i", 0)
        self.passed = {role: self._flags() for role in ROLES}
        self.stopped = {role: self._flags() for role in ROLES}

    def _flags(self) -> Any:
        return self.context.RawArray("b", self.people.stop)

    def pause(self, dice: random.Random) -> None:
        """Half of the time, until the next withdrawal was committed: between two checks."""
        if dice.random() < 0.5:
            return
        seen, end = self.committed.value, time.monotonic() + PAUSE_SECONDS_MOST
        while self.committed.value == seen and time.monotonic() < end:
            time.sleep(0.001)

    def wait_for(self, flags: dict[str, Any], person: int, what: str) -> None:
        """Until both roles have been there; fails after a minute."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not all(flags[role][person] for role in ROLES):
            assert time.monotonic() < end, what
            time.sleep(0.001)


@pytest.fixture(params=["embedded", pytest.param("postgresql", marks=pytest.mark.services)])
def raced(request: pytest.FixtureRequest, addresses: StorageAddresses) -> StorageAddresses:
    """A room on SQLite, or on a real PostgreSQL; every process opens it by itself."""
    if request.param == "postgresql":
        fresh = request.getfixturevalue("fresh_postgres")
        addresses = replace(addresses, catalogue_url=fresh(), keys_url=fresh())
    Storage.open(addresses)
    return addresses


def _prepare(storage: Storage, subject: str, content: list[bytes]) -> Prepared:
    grant = Grant(
        evidence=Evidence(f"{subject} agreed".encode(), EvidenceLevel.DECLARED),
        uploader=Uploader.SELF,
        authorisation=None,
        source=Source.UPLOAD,
        acted_at=utc_now(),
    )
    declared = storage.uploads.declare(Declaration(subject, None, frozenset(Purpose), grant))
    upload = storage.uploads.receive(declared, content)
    (row,) = storage.uploads.objects_of(upload.id)
    return Prepared(subject, upload.id, row.id)


def _use(purpose: Purpose) -> Use:
    return Use(Role.INGEST, Operation.PROCESS, frozenset({purpose}), "r" * 32)


# --- the three that race ----------------------------------------------------------------------


def _withdrawer(
    addresses: StorageAddresses, lane: Lane, prepared: list[Prepared]
) -> list[Withdrawn]:
    storage, dice = Storage.open(addresses), random.Random(lane.people[0])
    done = []
    try:
        for person in lane.people:
            lane.target.value = person
            lane.wait_for(lane.passed, person, "nobody got through before a withdrawal")
            for purpose in dice.sample(PURPOSES, len(PURPOSES)):
                # As long as a write takes, so that any of its steps may be under way.
                time.sleep(dice.uniform(0, 0.02))
                asked = time.monotonic_ns()
                storage.consents.withdraw(prepared[person].subject, purpose)
                done.append(Withdrawn(person, purpose, asked, time.monotonic_ns()))
                lane.committed.value += 1
            if person > lane.people[0]:
                lane.wait_for(lane.stopped, person - 1, "nobody was stopped by a withdrawal")
        lane.wait_for(lane.stopped, lane.people[-1], "nobody was stopped by a withdrawal")
    finally:
        lane.target.value = OVER
    return done


def _attempts(lane: Lane, role: str, attempt: Attempt) -> list[Passed]:
    """Try, with the person who withdraws next and both neighbours, until the lane is over."""
    dice = random.Random(f"{role} {lane.people[0]}")
    passed: list[Passed] = []
    while (target := lane.target.value) != OVER:
        person = min(max(target + dice.choice((-1, 0, 0, 1)), lane.people[0]), lane.people[-1])
        try:
            attempt(person, passed)
        except STOPPED:
            lane.stopped[role][person] = 1
    return passed


def _reader(addresses: StorageAddresses, lane: Lane, prepared: list[Prepared]) -> list[Passed]:
    storage, dice = Storage.open(addresses), random.Random(lane.people[-1])

    def attempt(person: int, passed: list[Passed]) -> None:
        """Open for each purpose, then read each: many are open when a withdrawal comes."""
        opened: dict[Purpose, Reader] = {}
        stopped: list[LikenessError] = []
        with ExitStack() as stack:
            for purpose in dice.sample(PURPOSES, len(PURPOSES)):
                began = time.monotonic_ns()
                door = storage.door.open(prepared[person].object, _use(purpose))
                try:
                    opened[purpose] = stack.enter_context(door)
                    passed.append(Passed(person, purpose, "opened", began))
                    lane.passed["read"][person] = 1
                except STOPPED as error:
                    stopped.append(error)
            lane.pause(dice)
            for purpose, reader in opened.items():
                began = time.monotonic_ns()
                try:
                    for _ in reader:
                        passed.append(Passed(person, purpose, "piece", began))
                        began = time.monotonic_ns()
                except STOPPED as error:
                    stopped.append(error)
        if stopped:
            raise stopped[0]

    return _attempts(lane, "read", attempt)


def _writer(addresses: StorageAddresses, lane: Lane, prepared: list[Prepared]) -> list[Passed]:
    storage, dice = Storage.open(addresses), random.Random(lane.people[-1])

    def attempt(person: int, passed: list[Passed]) -> None:
        purposes = frozenset(dice.sample(PURPOSES, dice.choice((1, len(PURPOSES)))))

        def note(step: str, began: int) -> None:
            passed.extend(Passed(person, purpose, step, began) for purpose in purposes)
            lane.passed["write"][person] = 1

        def pieces() -> Iterator[bytes]:
            # The store asks for the first byte only once the intent is committed.
            note("intent", began)
            yield b"late or not, these bytes are somebody's"

        began = time.monotonic_ns()
        run = storage.door.begin(prepared[person].upload, role=Role.INGEST, purposes=purposes)
        note("run", began)
        try:
            lane.pause(dice)
            began = time.monotonic_ns()
            storage.door.put(run, "measurements", pieces())
            lane.pause(dice)
            began = time.monotonic_ns()
            storage.door.commit(run)
            note("commit", began)
        except STOPPED:
            storage.door.abandon(run)
            raise

    return _attempts(lane, "write", attempt)


# --- the race ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "people",
    [
        pytest.param(14, id="42_withdrawals"),
        pytest.param(
            334,
            id="1002_withdrawals",
            marks=[pytest.mark.long, pytest.mark.timeout(1800)],
        ),
    ],
)
def test_no_check_that_begins_after_a_withdrawal_releases_a_piece_or_commits_anything(
    raced: StorageAddresses, people: int, at_once: AtOnce
) -> None:
    halves = [range(people // 2), range(people // 2, people)]
    prepared = [
        one
        for half in at_once([partial(_prepare_all, raced, half) for half in halves], seconds=600)
        for one in half
    ]
    context = multiprocessing.get_context("fork")
    lanes = [Lane(context, half) for half in halves]
    answers = at_once(
        [
            partial(work, raced, lane, prepared)
            for lane in lanes
            for work in (_withdrawer, _reader, _writer)
        ],
        seconds=1700,
    )

    withdrawn = {(one.person, one.purpose): one for done in answers[::3] for one in done}
    assert len(withdrawn) == people * len(PURPOSES)
    passed = [check for place in (1, 2) for checks in answers[place::3] for check in checks]
    late = [p for p in passed if p.began_ns > withdrawn[p.person, p.purpose].committed_ns]
    assert late == []

    # Every step got through at some time, and some while a withdrawal of it was under way.
    assert {check.step for check in passed} == {"opened", "piece", "run", "intent", "commit"}
    assert any(p.began_ns > withdrawn[p.person, p.purpose].asked_ns for p in passed)

    _assert_nothing_is_left(raced, prepared)


def _prepare_all(addresses: StorageAddresses, people: range) -> list[Prepared]:
    storage = Storage.open(addresses)
    return [_prepare(storage, f"s-{person}", [b"a recording"]) for person in people]


def _assert_nothing_is_left(addresses: StorageAddresses, prepared: list[Prepared]) -> None:
    storage = Storage.open(addresses)
    storage.reconciler.run()
    with storage.catalogue.reading() as connection:
        rows = connection.execute(objects.OBJECTS.select()).all()
        intents = connection.execute(objects.INTENTS.select()).all()
        assert runs.runs_in_state(connection, RunState.OPEN) == []
    assert {i.state for i in intents} <= {IntentState.COMMITTED, IntentState.REAPED}
    assert {entry.key for entry in storage.store.list_keys()} == {row.store_key for row in rows}
    for intent in intents:
        if intent.state == IntentState.REAPED:
            with pytest.raises(KeyDestroyed):
                storage.vault.object_key(intent.object_id)
    for place, row in enumerate(rows):
        purposes = [Purpose(name) for name in row.basis]
        refused = pytest.raises(ConsentRefused)
        with refused, storage.door.open(row.id, _use(purposes[place % len(purposes)])):
            pass
    assert {one.object for one in prepared} <= {row.id for row in rows}
    assert not list(storage.verification.findings())
    assert storage.reconciler.run().total == 0


# --- long reads and late writes ---------------------------------------------------------------


def test_a_long_read_in_another_process_is_cut_at_its_next_piece(
    raced: StorageAddresses, at_once: AtOnce
) -> None:
    one = _prepare(Storage.open(raced), "s-1", [b"x" * MEBIBYTE] * 6)
    context = multiprocessing.get_context("fork")
    under_way, committed = context.Event(), context.Event()

    def read() -> int:
        storage = Storage.open(raced)
        with storage.door.open(one.object, _use(PURPOSES[0])) as reader:
            pieces = iter(reader)
            released = len([next(pieces), next(pieces)])
            under_way.set()
            assert committed.wait(PATIENCE_SECONDS)
            with pytest.raises(Frozen):
                released += len([next(pieces)])
        return released

    def withdraw() -> int:
        storage = Storage.open(raced)
        assert under_way.wait(PATIENCE_SECONDS)
        storage.consents.withdraw(one.subject, PURPOSES[0])
        committed.set()
        return 0

    assert at_once([read, withdraw]) == [2, 0]


def test_bytes_of_a_writer_that_slept_through_a_withdrawal_are_purged(
    raced: StorageAddresses,
) -> None:
    """It is stopped in the middle of its write and goes on once reconcile has been through."""
    storage = Storage.open(raced)
    one = _prepare(storage, "s-1", [b"a recording"])
    before = {entry.key for entry in storage.store.list_keys()}
    writer = os.fork()
    if writer == 0:
        os._exit(_write_late(raced, one))
    try:
        _, status = os.waitpid(writer, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert storage.consents.withdraw(one.subject, PURPOSES[0]).runs_stopped == 1
        assert storage.reconciler.run().writes_removed == 1
    finally:
        os.kill(writer, signal.SIGCONT)
        _, status = os.waitpid(writer, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the late write did not fail by its fence"
    storage.reconciler.run()
    assert {entry.key for entry in storage.store.list_keys()} == before
    assert list(storage.store.unfinished()) == []
    assert {row.id for row in storage.uploads.objects_of(one.upload)} == {one.object}
    assert storage.reconciler.run().total == 0


def _write_late(addresses: StorageAddresses, one: Prepared) -> int:
    """0 where the put failed as it must."""

    def pieces() -> Iterator[bytes]:
        yield b"x" * MEBIBYTE
        os.kill(os.getpid(), signal.SIGSTOP)
        yield b"y" * MEBIBYTE

    storage = Storage.open(addresses)
    run = storage.door.begin(one.upload, role=Role.INGEST, purposes=frozenset({PURPOSES[0]}))
    try:
        storage.door.put(run, "measurements", pieces())
    except FenceLost:
        return 0
    except LikenessError as error:  # the store's own fence: what it had begun was removed
        return 0 if error.reason == "removed_under_way" else 2
    except BaseException:
        return 2
    return 1
