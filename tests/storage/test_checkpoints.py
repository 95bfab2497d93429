"""Checkpoints: what was signed once cannot be rewritten, not even by who holds everything."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from nacl.signing import SigningKey, VerifyKey
from sqlalchemy import delete, select, update

from models.schema.errors import BadInput, BadUsage, CheckFailed, LikenessError
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.decisions import CHECKPOINTS, LEDGER_ENTRIES, LEDGER_PAYLOADS, LEDGER_TIP
from storage.chain import BEGINNING, entry_hash, entry_tag, payload_digest
from storage.checkpoints import Checkpoint, checkpoint_from, signed_text
from storage.key_store import LEDGER_HEADS, RECORDED_CHECKPOINTS
from storage.ledger_settings import LedgerSettings
from tests.storage.conftest import MovableClock

EVERY = 3


@pytest.fixture
def signing(storage: Storage, addresses: StorageAddresses, clock: MovableClock) -> Storage:
    """A room that signs every third entry."""
    ledger = LedgerSettings(checkpoint_every=EVERY)
    return Storage.open(replace(addresses, ledger=ledger), clock=clock)


def _append(storage: Storage, times: int = 1) -> None:
    for number in range(times):
        with storage.catalogue.writing() as writing:
            storage.ledger.append(writing, "event", {"number": number}, subject_id=None)


def _kept(storage: Storage) -> list[Checkpoint]:
    with storage.catalogue.reading() as connection:
        rows = connection.execute(select(CHECKPOINTS).order_by(CHECKPOINTS.c.sequence))
        return [Checkpoint(**row._mapping) for row in rows]


def _found(storage: Storage, *held: Checkpoint) -> set[tuple[int, str]]:
    return {(each.sequence, each.code) for each in storage.verification.findings(held=held)}


def _rewrite(storage: Storage) -> None:
    """Write history anew as whoever holds the catalogue, the key store and the tag key can."""
    previous, tag_key = BEGINNING, storage.vault.ledger_key()
    with storage.catalogue.writing() as writing:
        connection = writing.connection
        for row in connection.execute(
            select(LEDGER_ENTRIES).order_by(LEDGER_ENTRIES.c.sequence)
        ).all():
            mine = LEDGER_ENTRIES.c.sequence == row.sequence
            salt, text = b"s" * 32, '{"rewritten":true}'
            entry = {
                "sequence": row.sequence,
                "at": row.at,
                "event": row.event,
                "payload_digest": payload_digest(salt, text, None),
                "previous": previous,
            }
            previous = entry_hash(entry)
            connection.execute(
                update(LEDGER_ENTRIES)
                .where(mine)
                .values(**entry, hash=previous, tag=entry_tag(tag_key, previous))
            )
            connection.execute(
                update(LEDGER_PAYLOADS)
                .where(LEDGER_PAYLOADS.c.sequence == row.sequence)
                .values(salt=salt, payload=text, sealed=None)
            )
        connection.execute(update(LEDGER_TIP).values(hash=previous))
        connection.execute(delete(CHECKPOINTS))
    with storage.keys.database.writing() as writing:
        writing.connection.execute(update(LEDGER_HEADS).values(hash=previous))
        writing.connection.execute(delete(RECORDED_CHECKPOINTS))


def test_every_so_many_entries_one_is_signed_and_the_key_store_has_the_newest(
    signing: Storage,
) -> None:
    _append(signing, 2 * EVERY + 1)
    kept = _kept(signing)
    assert [(each.sequence, each.previous) for each in kept] == [(EVERY, 0), (2 * EVERY, EVERY)]
    assert signing.keys.checkpoint() == vars(kept[-1])
    assert _found(signing) == set()


def test_a_rolled_back_append_signs_nothing(signing: Storage) -> None:
    _append(signing, EVERY - 1)
    with pytest.raises(ZeroDivisionError), signing.catalogue.writing() as writing:
        signing.ledger.append(writing, "event", {}, subject_id=None)
        raise ZeroDivisionError
    assert _kept(signing) == []
    assert signing.keys.checkpoint() is None


def test_signing_again_at_the_same_entry_changes_nothing_and_an_empty_ledger_is_not_signed(
    signing: Storage, clock: MovableClock
) -> None:
    assert signing.checkpoints.sign() is None
    _append(signing)
    first = signing.checkpoints.sign()
    clock.advance(timedelta(hours=1))
    assert signing.checkpoints.sign() == first
    assert _kept(signing) == [first]


def test_reconcile_signs_where_the_ledger_is(signing: Storage) -> None:
    _append(signing)
    signing.reconciler.run()
    assert [each.sequence for each in _kept(signing)] == [1]


def test_anybody_can_check_a_checkpoint_with_the_public_key_alone(signing: Storage) -> None:
    """The signed text is written here again, as an auditor would from the documentation."""
    _append(signing)
    made = signing.checkpoints.sign()
    assert made is not None
    fields = json.loads(made.as_json())
    signature = bytes.fromhex(fields.pop("signature"))
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    key = VerifyKey(bytes.fromhex(signing.checkpoints.public_key))
    key.verify(b"likeness ledger checkpoint\n" + text.encode(), signature)


def test_history_rewritten_with_every_key_but_the_signing_one_contradicts_a_checkpoint_kept(
    signing: Storage,
) -> None:
    _append(signing, EVERY)
    (kept,) = _kept(signing)
    _rewrite(signing)
    assert _found(signing) == set()
    assert _found(signing, kept) == {(EVERY, "checkpoint_contradicted")}
    _append(signing, 2 * EVERY)
    assert (EVERY, "checkpoint_contradicted") in _found(signing, kept)


def test_a_checkpoint_of_what_the_ledger_no_longer_has_contradicts_it(signing: Storage) -> None:
    _append(signing, 2)
    kept = signing.checkpoints.sign()
    assert kept is not None
    assert _found(signing, replace(kept, sequence=99)) >= {(99, "checkpoint_contradicted")}


def test_a_checkpoint_by_another_key_is_not_ours(signing: Storage) -> None:
    _append(signing)
    made = signing.checkpoints.sign()
    assert made is not None
    other = SigningKey.generate()
    key = bytes(other.verify_key).hex()
    text = signed_text(made.sequence, made.hash, made.at, key, 0)
    theirs = replace(made, key=key, signature=other.sign(text).signature.hex())
    assert theirs.is_genuine()
    assert _found(signing, theirs) == {(1, "checkpoint_of_other_key")}


def test_the_newest_checkpoint_taken_out_of_the_catalogue_is_missed_by_the_key_store(
    signing: Storage,
) -> None:
    _append(signing, 2 * EVERY)
    with signing.catalogue.writing() as writing:
        writing.connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.sequence == 2 * EVERY))
    assert _found(signing) == {(2 * EVERY, "checkpoint_missing")}


def test_the_checkpoint_in_the_key_store_is_checked_too(signing: Storage) -> None:
    _append(signing, EVERY)
    assert signing.keys.database.file is not None
    with closing(sqlite3.connect(signing.keys.database.file)) as connection, connection:
        connection.execute("UPDATE recorded_checkpoints SET hash = ?", ("f" * 64,))
    assert _found(signing) == {(EVERY, "checkpoint_false")}


def test_a_checkpoint_file_reads_back_and_a_changed_one_is_refused(signing: Storage) -> None:
    _append(signing)
    made = signing.checkpoints.sign()
    assert made is not None
    assert checkpoint_from(made.as_json()) == made
    for field, value in [("sequence", 2), ("hash", "f" * 64), ("at", ""), ("previous", 1)]:
        with pytest.raises(CheckFailed, match="signature is false"):
            checkpoint_from(json.dumps({**vars(made), field: value}))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '"x"', "[" * 100_000, '{"sequence": 1}'])
def test_a_file_that_is_no_checkpoint_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="not a checkpoint"):
        checkpoint_from(text)


def test_what_a_restored_catalogue_lost_includes_its_checkpoints(
    signing: Storage, home: Path, clock: MovableClock, addresses: StorageAddresses
) -> None:
    _append(signing, EVERY + 1)
    assert signing.catalogue.file is not None
    backup = home / "backup.db"
    with closing(sqlite3.connect(signing.catalogue.file)) as source:
        with closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        _append(signing, EVERY)
        with closing(sqlite3.connect(backup)) as copy:
            copy.backup(source)
    assert (2 * EVERY, "checkpoint_missing") in _found(signing)
    signing.reconciler.run()
    assert _found(signing) == set()
    _append(signing, EVERY)
    assert _found(signing) == set()


# --- the clock --------------------------------------------------------------------------------


def test_a_clock_that_runs_backwards_appends_nothing(storage: Storage, clock: MovableClock) -> None:
    _append(storage)
    clock.advance(-timedelta(minutes=4))
    _append(storage)
    head = storage.ledger.head()
    clock.advance(-timedelta(minutes=2))
    with pytest.raises(LikenessError, match="360 s behind the ledger") as refused:
        _append(storage)
    assert refused.value.reason == "clock_backwards"
    assert storage.ledger.head() == head == storage.keys.ledger_head()
    assert _found(storage) == set()


def test_a_ledger_dated_by_a_clock_that_ran_ahead_goes_on_once_that_is_on_record(
    storage: Storage, clock: MovableClock
) -> None:
    clock.advance(timedelta(days=400))
    _append(storage)
    with pytest.raises(BadUsage, match="nothing to correct"):
        storage.ledger.correct_clock()
    clock.advance(-timedelta(days=400))
    assert storage.ledger.correct_clock() == 2
    _append(storage)
    assert _found(storage) == set()
    assert [entry.event for entry in storage.ledger.entries(1, limit=9)] == [
        "event",
        "clock_corrected",
        "event",
    ]
