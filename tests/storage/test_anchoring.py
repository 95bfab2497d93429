"""Anchoring: once its Merkle root is in the ledger, an access can no longer be changed unseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage import anchoring
from storage.access_log import accesses_to, record_access, record_snapshot_access
from storage.anchoring import Anchoring
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.decisions import ACCESS_LOG, CHECKPOINTS
from storage.clock import utc_now
from storage.identifiers import random_id
from storage.ledger_settings import LedgerSettings
from storage.merkle import root_of

PERSON = "p" * 32


def _read(storage: Storage, times: int = 1) -> None:
    for _ in range(times):
        with storage.catalogue.writing() as writing:
            record_access(
                writing.connection,
                at=utc_now(),
                object_id=random_id(),
                subject_id=PERSON,
                kind="report",
                role=Role.INGEST,
                operation="process",
                purposes=[Purpose.VOICE_CLONING],
                reference=random_id(),
            )


def _found(storage: Storage) -> set[tuple[int, str]]:
    return {(each.sequence, each.code) for each in storage.verification.findings()}


def test_everything_that_waits_is_anchored_once(storage: Storage) -> None:
    assert storage.anchoring.anchor() == 0
    assert storage.ledger.head()[0] == 0
    _read(storage, 3)
    assert storage.anchoring.anchor() == 3
    assert storage.anchoring.anchor() == 0
    assert storage.anchoring.waiting() == 0
    assert storage.ledger.head()[0] == 1
    assert _found(storage) == set()


def test_many_that_wait_are_anchored_in_batches(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchoring, "BATCH", 2)
    _read(storage, 5)
    assert storage.anchoring.anchor() == 5
    assert storage.ledger.head()[0] == 3
    assert _found(storage) == set()


def test_it_is_due_when_more_wait_than_may(storage: Storage) -> None:
    due = Anchoring(storage.catalogue, storage.ledger, after=2)
    _read(storage, 2)
    assert due.anchor_if_due() == 0
    _read(storage)
    assert due.anchor_if_due() == 3


def test_reconcile_anchors(storage: Storage) -> None:
    _read(storage, 2)
    storage.reconciler.run()
    assert storage.anchoring.waiting() == 0


@pytest.mark.parametrize("column", [c.name for c in ACCESS_LOG.c if c.name not in {"at", "id"}])
def test_a_changed_access_is_found_at_the_entry_that_anchors_it(
    storage: Storage, column: str
) -> None:
    _read(storage, 3)
    storage.anchoring.anchor()
    with storage.catalogue.writing() as writing:
        one = writing.connection.execute(select(ACCESS_LOG.c.id)).scalars().first()
        value = 7 if column in {"object_count", "anchor"} else "x"
        writing.connection.execute(
            update(ACCESS_LOG).where(ACCESS_LOG.c.id == one).values({column: value})
        )
    found = {place for place, _ in _found(storage)}
    assert found == ({1, 7} if column == "anchor" else {1})


def test_a_removed_and_an_added_access_are_found(storage: Storage) -> None:
    _read(storage, 3)
    storage.anchoring.anchor()
    with storage.catalogue.writing() as writing:
        row = writing.connection.execute(select(ACCESS_LOG)).first()
        assert row is not None
        again = {**row._mapping, "id": random_id()}
        writing.connection.execute(insert(ACCESS_LOG).values(again))
    assert _found(storage) == {(1, "accesses_added")}
    with storage.catalogue.writing() as writing:
        for one in (row.id, again["id"]):
            writing.connection.execute(delete(ACCESS_LOG).where(ACCESS_LOG.c.id == one))
    assert _found(storage) == {(1, "accesses_removed")}


def test_one_entry_stands_for_everything_that_a_training_read(storage: Storage) -> None:
    snapshot = random_id()
    with storage.catalogue.writing() as writing:
        record_snapshot_access(
            writing.connection,
            at=utc_now(),
            snapshot_id=snapshot,
            subject_id=PERSON,
            role=Role.INGEST,
            purposes=[Purpose.VOICE_CLONING],
            reference=random_id(),
            count=12,
        )
    assert storage.anchoring.anchor() == 1
    assert _found(storage) == set()
    with storage.catalogue.reading() as connection:
        (access,) = accesses_to(connection, PERSON)
    assert (access.object_id, access.kind, access.count) == (snapshot, "snapshot", 12)


# --- the tree ---------------------------------------------------------------------------------


def _head(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written there."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\x01" + _head(leaves[:split]) + _head(leaves[split:])).digest()


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_the_root_is_the_tree_head_of_rfc_6962(leaves: list[bytes]) -> None:
    assert root_of(leaves) == _head(leaves).hex()


def test_the_root_of_the_vectors_of_certificate_transparency() -> None:
    """From the reference implementation's test data (google/certificate-transparency)."""
    leaves = [bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243")]
    assert root_of(leaves[:1]) == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert root_of(leaves[:2]) == (
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    )


# --- several writers --------------------------------------------------------------------------

AtOnce = Callable[..., list[Any]]


def _four_writers(storage: Storage, addresses: StorageAddresses, at_once: AtOnce) -> None:
    often = replace(addresses, ledger=LedgerSettings(checkpoint_every=10, anchor_after=5))

    def work() -> list[int]:
        own, written = Storage.open(often), []
        for number in range(25):
            with own.catalogue.writing() as writing:
                written.append(
                    own.ledger.append(writing, "event", {"number": number}, subject_id=PERSON)
                )
            _read(own)
            own.anchoring.anchor_if_due()
            if number % 8 == 0:
                own.checkpoints.sign()
        own.anchoring.anchor()
        return written

    written = [sequence for mine in at_once([work] * 4, seconds=200) for sequence in mine]
    assert len(set(written)) == 100
    assert _found(storage) == set()
    assert storage.anchoring.waiting() == 0
    assert storage.keys.ledger_head() == storage.ledger.head()
    with storage.catalogue.reading() as connection:
        anchored = connection.execute(select(ACCESS_LOG.c.anchor)).scalars().all()
        signed = connection.execute(select(CHECKPOINTS.c.sequence)).scalars().all()
    assert len(anchored) == 100
    assert set(range(10, storage.ledger.head()[0] + 1, 10)) <= set(signed)


def test_writers_anchorers_and_signers_at_once_keep_one_chain_embedded(
    storage: Storage, addresses: StorageAddresses, at_once: AtOnce
) -> None:
    _four_writers(storage, addresses, at_once)


@pytest.mark.services
@pytest.mark.parametrize("storage", ["served"], indirect=True)
def test_writers_anchorers_and_signers_at_once_keep_one_chain_served(
    storage: Storage, at_once: AtOnce, addresses: StorageAddresses
) -> None:
    def url(part: Any) -> str:
        return str(part.url.render_as_string(hide_password=False))

    served = replace(
        addresses, catalogue_url=url(storage.catalogue), keys_url=url(storage.keys.database)
    )
    _four_writers(storage, served, at_once)
