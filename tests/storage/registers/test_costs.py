"""What a switch costs, told before it is done: the purge must find exactly this."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.consent.facts import Event, Fact, Source
from models.schema.deadlines import due_at
from models.schema.kinds import KINDS, Role
from models.schema.purposes import Purpose
from models.schema.retention import Retention
from storage.assembly import Storage
from storage.catalogue.objects import ObjectState, StoredRow
from storage.clock import utc_now
from storage.registers.costs import Amount, Cost, cost
from tests.storage.conftest import SEGMENT, VOICE, AdmittedFactory, GrantFactory, MovableClock

HUMAN = frozenset({Purpose.DIGITAL_HUMAN})
ALL = frozenset(Purpose)
NOW = utc_now()


def _cost(storage: Storage, purposes: frozenset[Purpose], subject: str = "s-1") -> Cost:
    return storage.costs.cost_of_stopping(subject, purposes)


def test_what_only_this_purpose_needs_is_deleted_and_the_rest_is_narrowed(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted()
    told = _cost(storage, HUMAN)
    assert told.deleted == [Amount("face_segment", 1, len(SEGMENT))]
    assert [each.kind for each in told.narrowed] == ["voice_segment", "report"]
    assert told.kept_for == VOICE
    assert (told.deleted_uploads, told.narrowed_uploads) == (0, 1)
    assert told.due_at == due_at(clock(), account_closure=False, retention=Retention())


def test_purposes_that_are_withdrawn_together_keep_nothing_for_each_other(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted()
    told = _cost(storage, VOICE | HUMAN)
    assert [each.kind for each in told.deleted] == ["voice_segment", "face_segment", "report"]
    assert told.narrowed == []
    assert told.deleted_uploads == 1


def test_a_purpose_that_was_withdrawn_before_keeps_nothing_any_more(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted()
    storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN)
    told = _cost(storage, VOICE)
    assert [each.kind for each in told.deleted] == ["voice_segment", "report"]
    assert told.narrowed == []
    assert _cost(storage, HUMAN).deleted == [], "what is owed already is not counted again"


def test_runs_under_way_for_the_purpose_are_counted(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    upload = admitted().upload
    storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    assert _cost(storage, VOICE).runs == 1
    assert _cost(storage, HUMAN).runs == 0
    stopped = storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    assert stopped.runs_stopped == 1


def test_asking_changes_nothing(storage: Storage, admitted: AdmittedFactory) -> None:
    admitted()
    before = storage.ledger.head()
    _cost(storage, ALL)
    assert storage.ledger.head() == before
    assert any(decision.allowed for decision in storage.consents.decisions("s-1"))


def test_other_people_cost_nothing(storage: Storage, admitted: AdmittedFactory) -> None:
    admitted("s-1")
    assert _cost(storage, ALL, "s-2") == Cost(
        purposes=ALL,
        granted=frozenset(),
        runs=0,
        deleted=[],
        deleted_uploads=0,
        narrowed=[],
        narrowed_uploads=0,
        kept_for=frozenset(),
        due_at=None,
    )


def test_what_was_never_agreed_to_owes_no_erasure(storage: Storage, grant: GrantFactory) -> None:
    storage.consents.grant("s-1", VOICE, grant())
    assert _cost(storage, HUMAN).due_at is None
    assert _cost(storage, VOICE).due_at is not None


@pytest.mark.parametrize("stop", ["withdraw", "refuse"])
def test_the_order_is_due_when_the_cost_said(
    storage: Storage, admitted: AdmittedFactory, stop: str
) -> None:
    subject_id = admitted().upload.subject_id
    told = _cost(storage, VOICE)
    getattr(storage.consents, stop)("s-1", Purpose.VOICE_CLONING)
    (order,) = storage.consents.orders_of(subject_id)
    assert order.due_at == told.due_at


purposes = st.sets(st.sampled_from(Purpose), min_size=1).map(frozenset)
objects = st.lists(st.tuples(st.sampled_from(sorted(KINDS)), purposes), max_size=8)


def _rows(made: list[tuple[str, frozenset[Purpose]]]) -> list[StoredRow]:
    basis = {purpose: number for number, purpose in enumerate(sorted(Purpose), 1)}
    return [
        StoredRow(
            id=f"{number:032x}",
            kind=kind,
            state=ObjectState.STORED,
            subject_id="",
            upload_id=None,
            store_key=None,
            basis={purpose: basis[purpose] for purpose in needed},
            region=None,
            plain_bytes=10,
            sealed_bytes=None,
            sealed_sha256="",
            created_at=NOW,
            expires_at=None,
            erased_at=None,
        )
        for number, (kind, needed) in enumerate(made)
    ]


FACTS = [
    Fact(
        sequence=number,
        event=Event.GRANT,
        purpose=purpose,
        acted_at=NOW,
        source=Source.UPLOAD,
        evidence_digest="0" * 64,
    )
    for number, purpose in enumerate(sorted(Purpose), 1)
]


@given(made=objects, asked=purposes)
def test_every_object_that_a_purpose_needs_is_deleted_or_kept_for_another(
    made: list[tuple[str, frozenset[Purpose]]], asked: frozenset[Purpose]
) -> None:
    told = cost(FACTS, _rows(made), [], 0, asked, due_at=NOW)
    assert sum(each.count for each in told.deleted) == sum(needed <= asked for _, needed in made)
    assert sum(each.count for each in told.narrowed) == sum(
        bool(needed & asked) and not needed <= asked for _, needed in made
    )
    assert not told.kept_for & asked


@given(made=objects, asked=purposes, more=purposes)
def test_stopping_more_never_deletes_less(
    made: list[tuple[str, frozenset[Purpose]]],
    asked: frozenset[Purpose],
    more: frozenset[Purpose],
) -> None:
    rows = _rows(made)
    few = cost(FACTS, rows, [], 0, asked, due_at=NOW)
    many = cost(FACTS, rows, [], 0, asked | more, due_at=NOW)
    counts = {each.kind: each.count for each in many.deleted}
    assert all(each.count <= counts.get(each.kind, 0) for each in few.deleted)
