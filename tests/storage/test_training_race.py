"""Withdrawals race trainings and generations in other processes; a withdrawal wins every race.

Each worker notes the moment before a check began, and whether it passed; the withdrawer notes the
moment after its withdrawal was committed. All read CLOCK_MONOTONIC, which the processes of a
machine share. A check that began later than that and passed would be a broken promise
(invariant 4). Nobody withdraws before every worker got something of theirs through.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, NamedTuple

import pytest

from models.consent.facts import EvidenceLevel, Source, Uploader
from models.schema.errors import FenceLost, Refused
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.artefacts import ARTEFACTS, ArtefactState
from storage.catalogue.objects import OBJECTS, ObjectState
from storage.catalogue.uploads import UploadState
from storage.clock import utc_now
from storage.handles import ArtefactRun
from storage.registers.consents import Grant
from storage.registers.evidence import Evidence
from storage.registers.uploads import Conclusion, Declaration
from storage.trainings import PlannedTraining

ALL = frozenset(Purpose)
PEOPLE = 6
PATIENCE_SECONDS = 60

AtOnce = Callable[..., list[Any]]


class Prepared(NamedTuple):
    """A person with an avatar, a segment to train on, and a voice that is registered."""

    subject: str
    subject_id: str
    avatar: str
    segment: str
    voice: str


class Passed(NamedTuple):
    """A step that got through: whose, and when its check began."""

    person: int
    step: str
    began_ns: int


Step = Callable[[str, Callable[[], Any]], Any]
Work = Callable[[Storage, list[Prepared], int, Step], None]


@dataclass
class Turn:
    """Whose turn it is, and what the workers have met of each person."""

    context: Any
    workers: int
    person: Any = field(init=False)
    passed: list[Any] = field(init=False)
    stopped: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.person = self.context.Value("i", 0)
        self.passed = [self.context.RawArray("b", PEOPLE) for _ in range(self.workers)]
        self.stopped = [self.context.RawArray("b", PEOPLE) for _ in range(self.workers)]

    def wait_for(self, flags: list[Any], person: int, what: str) -> None:
        """Until every worker has been there; fails after a minute."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not all(of_worker[person] for of_worker in flags):
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


def _prepare(storage: Storage, subject: str) -> Prepared:
    grant = Grant(
        evidence=Evidence(f"{subject} agreed".encode(), EvidenceLevel.DECLARED),
        uploader=Uploader.SELF,
        authorisation=None,
        source=Source.UPLOAD,
        acted_at=utc_now(),
    )
    upload = storage.uploads.declare(Declaration(subject, None, ALL, grant))
    storage.uploads.receive(upload, [b"a recording"])
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=ALL)
    segment = storage.door.put(run, "voice_segment", [b"features"])
    ended = Conclusion(UploadState.ADMITTED, [], {})
    storage.door.commit(run, also=lambda w: storage.uploads.conclude(w, upload.id, ended))
    avatar = storage.avatars.create(subject, "Reader").id
    training = storage.door.begin_training(_voice(avatar, segment))
    storage.door.put(training, "model_weights", [b"weights"])
    storage.door.commit(training)
    return Prepared(subject, upload.subject_id, avatar, segment, training.artefact_id)


def _voice(avatar: str, segment: str) -> PlannedTraining:
    return PlannedTraining(Task.VOICE, Purpose.VOICE_CLONING, (segment,), "example", "1.0", avatar)


# --- those that race --------------------------------------------------------------------------


def _train_voice(storage: Storage, people: list[Prepared], person: int, step: Step) -> None:
    one = people[person]
    run = step("begin", lambda: storage.door.begin_training(_voice(one.avatar, one.segment)))
    _finish(storage, run, "model_weights", step)


def _train_base(storage: Storage, people: list[Prepared], person: int, step: Step) -> None:
    """Of this person and of the last, who withdraws nothing before the end."""
    members = {people[person].segment, people[-1].segment}
    plan = PlannedTraining(Task.BASE, Purpose.MODEL_IMPROVEMENT, members, "example", "1.0")
    run = step("begin", lambda: storage.door.begin_training(plan))
    _finish(storage, run, "base_weights", step)


def _generate(storage: Storage, people: list[Prepared], person: int, step: Step) -> None:
    run = step("begin", lambda: storage.door.begin_generation(people[person].voice))
    _finish(storage, run, "generated_speech", step)


def _finish(storage: Storage, run: ArtefactRun, kind: str, step: Step) -> None:
    try:
        # Of a put, the intent is what a check permits; its bytes are nobody's until the commit.
        storage.door.put(run, kind, [b"bytes"])
        step("commit", lambda: storage.door.commit(run))
    except BaseException:
        storage.door.abandon(run)
        raise


WORKS: tuple[Work, ...] = (_train_voice, _train_base, _generate)


def _worker(
    addresses: StorageAddresses, turn: Turn, people: list[Prepared], number: int
) -> list[Passed]:
    storage, passed = Storage.open(addresses), []
    while (person := turn.person.value) < PEOPLE:

        def step(name: str, work: Callable[[], Any], of: int = person) -> Any:
            began = time.monotonic_ns()
            answer = work()
            passed.append(Passed(of, name, began))
            return answer

        try:
            WORKS[number](storage, people, person, step)
            turn.passed[number][person] = 1
        except (Refused, FenceLost):
            turn.stopped[number][person] = 1
    return passed


def _withdrawer(addresses: StorageAddresses, turn: Turn, people: list[Prepared]) -> list[int]:
    storage, dice, committed = Storage.open(addresses), Random(1), []
    try:
        for person in range(PEOPLE):
            turn.person.value = person
            turn.wait_for(turn.passed, person, "somebody got nothing through")
            time.sleep(dice.uniform(0, 0.05))
            for purpose in (Purpose.VOICE_CLONING, Purpose.MODEL_IMPROVEMENT):
                storage.consents.withdraw(people[person].subject, purpose)
            committed.append(time.monotonic_ns())
            turn.wait_for(turn.stopped, person, "somebody was not stopped")
    finally:
        turn.person.value = PEOPLE
    return committed


def test_no_check_that_begins_after_a_withdrawal_trains_registers_or_generates_anything(
    raced: StorageAddresses, at_once: AtOnce
) -> None:
    storage = Storage.open(raced)
    people = [_prepare(storage, f"s-{person}") for person in range(PEOPLE + 1)]
    turn = Turn(multiprocessing.get_context("fork"), len(WORKS))
    committed, *answers = at_once(
        [
            partial(_withdrawer, raced, turn, people),
            *(partial(_worker, raced, turn, people, number) for number in range(len(WORKS))),
        ],
        seconds=250,
    )
    assert len(committed) == PEOPLE
    assert all({each.step for each in passed} == {"begin", "commit"} for passed in answers)
    late = [p for passed in answers for p in passed if p.began_ns > committed[p.person]]
    assert late == []
    _assert_nothing_is_left(raced, people)


def _assert_nothing_is_left(addresses: StorageAddresses, people: list[Prepared]) -> None:
    storage = Storage.open(addresses)
    storage.reconciler.run()
    with storage.catalogue.reading() as connection:
        artefacts = {row.id: row for row in connection.execute(ARTEFACTS.select())}
        stored = OBJECTS.c.state == ObjectState.STORED.value
        rows = connection.execute(OBJECTS.select().where(stored)).all()
    states = {row.state for row in artefacts.values()}
    assert states <= {ArtefactState.REGISTERED, ArtefactState.FAILED}
    # Nothing lies in the store but what a row names, and nothing is of a training that failed.
    assert {entry.key for entry in storage.store.list_keys()} == {row.store_key for row in rows}
    made = {row.artefact_id for row in rows if row.artefact_id is not None}
    assert {artefacts[each].state for each in made} == {ArtefactState.REGISTERED}
    withdrawn = {one.subject_id for one in people[:-1]}
    for row in artefacts.values():
        if row.state == ArtefactState.REGISTERED and row.subject_id is not None:
            usable = storage.artefacts.is_usable(storage.artefacts.by_id(row.id))
            assert usable == (row.subject_id not in withdrawn)
    assert not list(storage.verification.findings())
    assert storage.reconciler.run().total == 0
