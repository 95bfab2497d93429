"""Checkpoints, anchored accesses, clocks: what the ledger proves beside its own chain."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select, update

from models.schema.errors import BadInput, CheckFailed, DoorShut, LikenessError
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.access_log import record_snapshot_access
from storage.assembly import Storage
from storage.catalogue.decisions import ACCESS_LOG, CHECKPOINTS, LEDGER_ENTRIES
from storage.checkpoints import Checkpoint, checkpoint_from
from storage.ledger_settings import LedgerSettings
from storage.merkle import root_of
from tests.storage.conftest import VOICE, AdmittedFactory, GrantFactory, MovableClock


def _append(storage: Storage, number: int) -> None:
    with storage.catalogue.writing() as writing:
        storage.ledger.append(writing, "event", {"number": number}, subject_id=None)


def _findings(storage: Storage, *held: Checkpoint) -> set[tuple[int, str]]:
    return {(each.sequence, each.code) for each in storage.verification.findings(held=held)}


def _signed(storage: Storage) -> Checkpoint:
    made = storage.checkpoints.sign()
    assert made is not None
    return made


# --- checkpoints ----------------------------------------------------------------------------------


def test_a_checkpoint_is_signed_by_the_house_and_agrees_with_the_chain(storage: Storage) -> None:
    assert storage.checkpoints.sign() is None, "nothing to sign yet"
    _append(storage, 1)
    made = _signed(storage)
    assert made.is_genuine()
    assert (made.sequence, made.hash) == storage.ledger.head()
    assert made.key == storage.checkpoints.public_key
    assert _signed(storage) == made
    _append(storage, 2)
    assert _findings(storage, checkpoint_from(made.as_json())) == set()


def test_a_checkpoint_kept_elsewhere_contradicts_a_history_that_was_rewritten_with_every_key(
    storage: Storage, new_home: object, addresses_in: Callable[..., Any], tmp_path: Any
) -> None:
    """Another ledger of the same house, whole and tagged: only the checkpoint tells."""
    _append(storage, 1)
    held = _signed(storage)
    other = Storage.open(addresses_in(tmp_path / "other"))
    _append(other, 2)
    mine = replace(held, key=other.checkpoints.public_key)
    assert _findings(other, mine) == {(1, "checkpoint_contradicted"), (1, "checkpoint_false")}


@pytest.mark.parametrize("field", ["sequence", "hash", "at", "signature", "key"])
def test_a_checkpoint_that_was_changed_is_false(storage: Storage, field: str) -> None:
    _append(storage, 1)
    fields = json.loads(_signed(storage).as_json())
    fields[field] = 2 if field == "sequence" else fields[field][:-1] + "0"[: len(fields[field])]
    if fields[field] == json.loads(_signed(storage).as_json())[field]:
        fields[field] = fields[field][:-1] + "1"
    with pytest.raises(CheckFailed):
        checkpoint_from(json.dumps(fields))
    with storage.catalogue.writing() as writing:
        writing.connection.execute(update(CHECKPOINTS).values(**fields))
    assert {code for _, code in _findings(storage)} >= {"checkpoint_false"}


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"sequence": 1}', "\x00"])
def test_what_is_no_checkpoint_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        checkpoint_from(text)


def test_checkpoints_come_by_themselves_with_enough_entries(storage: Storage) -> None:
    every = LedgerSettings().checkpoint_every
    for number in range(every - 1):
        _append(storage, number)
    with storage.catalogue.reading() as connection:
        assert connection.execute(select(CHECKPOINTS)).all() == []
    _append(storage, every)
    with storage.catalogue.reading() as connection:
        (row,) = connection.execute(select(CHECKPOINTS)).all()
    assert row.sequence == storage.ledger.head()[0] == every


# --- the access log -------------------------------------------------------------------------------


@pytest.fixture
def anchored(storage: Storage, admitted: AdmittedFactory) -> Storage:
    """A room whose accesses are anchored by the newest entry."""
    admitted()
    person = storage.subjects.known("s-1").id
    with storage.catalogue.writing() as writing:
        for number in range(5):
            record_snapshot_access(
                writing.connection,
                at=storage.uploads.of_subject(person)[0].created_at,
                snapshot_id=f"{number:032x}",
                subject_id=person,
                role=Role.TRAINING,
                purposes=[Purpose.VOICE_CLONING],
                reference="training",
                count=200,
            )
    assert storage.anchoring.anchor() >= 5
    return storage


Tamper = Callable[[Connection], object]


def _one(connection: Connection) -> str:
    return connection.execute(select(ACCESS_LOG.c.id).limit(1)).scalar_one()


TAMPERINGS: dict[str, Tamper] = {
    "removed": lambda c: c.execute(delete(ACCESS_LOG).where(ACCESS_LOG.c.id == _one(c))),
    "reason": lambda c: c.execute(
        update(ACCESS_LOG).where(ACCESS_LOG.c.id == _one(c)).values(purposes="")
    ),
    "who": lambda c: c.execute(
        update(ACCESS_LOG).where(ACCESS_LOG.c.id == _one(c)).values(role="auditor")
    ),
    "how many": lambda c: c.execute(update(ACCESS_LOG).values(object_count=1)),
    "unanchored": lambda c: c.execute(
        update(ACCESS_LOG).where(ACCESS_LOG.c.id == _one(c)).values(anchor=None)
    ),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_a_changed_or_removed_access_is_found_at_its_anchor(anchored: Storage, what: str) -> None:
    assert _findings(anchored) == set()
    with anchored.catalogue.writing() as writing:
        TAMPERINGS[what](writing.connection)
    code = "accesses_removed" if what in {"removed", "unanchored"} else "accesses_changed"
    assert _findings(anchored) == {(anchored.ledger.head()[0], code)}


def test_an_access_is_anchored_once_and_a_later_one_by_its_own_entry(anchored: Storage) -> None:
    head = anchored.ledger.head()
    assert (anchored.anchoring.anchor(), anchored.anchoring.waiting()) == (0, 0)
    assert anchored.ledger.head() == head


def test_a_training_reads_a_snapshot_with_one_entry_that_names_it(anchored: Storage) -> None:
    accesses = anchored.consents.accesses_to(anchored.subjects.known("s-1").id)
    (first,) = (access for access in accesses if access.object_id == f"{1:032x}")
    assert (first.kind, first.count, first.reference) == ("snapshot", 200, "training")


@given(st.lists(st.binary(max_size=8), max_size=20))
def test_the_merkle_root_is_that_of_rfc_6962(leaves: list[bytes]) -> None:
    assert root_of(leaves) == _reference(leaves).hex()


def _reference(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962, 2.1 defines it: split at the largest power of two below the length."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + _reference(leaves[:split]) + _reference(leaves[split:])).digest()


# --- clocks and restored copies -------------------------------------------------------------------


def test_a_clock_that_runs_backwards_is_an_error_and_nothing_is_written(
    storage: Storage, grant: GrantFactory, clock: MovableClock
) -> None:
    storage.consents.grant("s-1", VOICE, grant())
    head = storage.ledger.head()
    clock.advance(-timedelta(hours=1))
    with pytest.raises(LikenessError, match="3600 s behind the ledger") as refused:
        storage.consents.grant("s-1", VOICE, grant(b"again"))
    assert refused.value.reason == "clock_backwards"
    assert storage.ledger.head() == head
    assert not any(d.warnings for d in storage.consents.decisions("s-1"))


def test_within_the_skew_of_two_machines_time_stands_still_but_never_goes_back(
    storage: Storage, grant: GrantFactory, clock: MovableClock
) -> None:
    storage.consents.grant("s-1", VOICE, grant())
    clock.advance(-timedelta(minutes=4))
    storage.consents.grant("s-1", VOICE, grant(b"again"))
    with storage.catalogue.reading() as connection:
        times = list(connection.execute(select(LEDGER_ENTRIES.c.at)).scalars())
    assert times == sorted(times)
    assert _findings(storage) == set()


def test_a_restored_ledger_takes_no_entry_in_the_place_of_a_lost_one_but_a_stop_waits_for_nobody(
    storage: Storage,
    grant: GrantFactory,
    restored_catalogue: Callable[[Callable[[], object]], Storage],
) -> None:
    storage.consents.grant("s-1", VOICE, grant())
    again = restored_catalogue(lambda: storage.consents.grant("s-1", VOICE, grant(b"lost")))
    with pytest.raises(DoorShut):
        again.consents.grant("s-1", VOICE, grant(b"third"))
    with pytest.raises(DoorShut):
        _append(again, 1)
    again.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    assert not any(decision.allowed for decision in again.consents.decisions("s-1"))
    assert _findings(again) == set()
