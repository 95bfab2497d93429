"""The ledger: whatever is changed, removed or reordered behind its back is found and located."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, insert, select, update

from models.consent.facts import Event, Source
from models.schema.purposes import Purpose
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.decisions import LEDGER_ENTRIES, LEDGER_PAYLOADS, LEDGER_TIP
from storage.chain import RESTORED, canonical, entry_hash, hash_of_columns, payload_digest
from storage.ledger_verification import Finding
from tests.storage.conftest import GrantFactory

VOICE = frozenset({Purpose.VOICE_CLONING})
ENTRIES = 6
PERSON = "p" * 32
Tamper = Callable[[Connection], object]


@pytest.fixture
def filled(storage: Storage) -> Storage:
    """A room whose ledger has six entries, each with a sealed part."""
    for number in range(1, ENTRIES + 1):
        _append(storage, f"event_{number}", {"number": number})
    return storage


def _append(storage: Storage, event: str, payload: dict[str, Any]) -> int:
    with storage.catalogue.writing() as writing:
        return storage.ledger.append(writing, event, payload, subject_id=PERSON, sealed=b"sealed")


def _findings(storage: Storage) -> set[tuple[int, str]]:
    return {(finding.sequence, finding.code) for finding in storage.verification.findings()}


def _tampered(storage: Storage, tamper: Tamper) -> set[tuple[int, str]]:
    with storage.catalogue.writing() as writing:
        tamper(writing.connection)
    return _findings(storage)


def _entry(connection: Connection, sequence: int) -> dict[str, Any]:
    row = connection.execute(
        select(LEDGER_ENTRIES).where(LEDGER_ENTRIES.c.sequence == sequence)
    ).one()
    return dict(row._mapping)


def _payload(connection: Connection, sequence: int) -> dict[str, Any]:
    row = connection.execute(
        select(LEDGER_PAYLOADS).where(LEDGER_PAYLOADS.c.sequence == sequence)
    ).one()
    return dict(row._mapping)


def _change_entry(connection: Connection, sequence: int, /, **values: object) -> None:
    connection.execute(
        update(LEDGER_ENTRIES).where(LEDGER_ENTRIES.c.sequence == sequence).values(**values)
    )


def _change_payload(connection: Connection, sequence: int, /, **values: object) -> None:
    connection.execute(
        update(LEDGER_PAYLOADS).where(LEDGER_PAYLOADS.c.sequence == sequence).values(**values)
    )


def _remove(connection: Connection, sequence: int) -> None:
    for table in (LEDGER_PAYLOADS, LEDGER_ENTRIES):
        connection.execute(delete(table).where(table.c.sequence == sequence))


# --- what is not wrong ------------------------------------------------------------------------


def test_an_empty_ledger_and_a_filled_one_verify_clean(storage: Storage) -> None:
    assert storage.ledger.head() == (0, "0" * 64)
    assert _findings(storage) == set()
    for number in range(1, 4):
        assert _append(storage, "event", {"number": number}) == number
        assert _findings(storage) == set()
    assert storage.ledger.head()[0] == 3


def test_the_key_store_has_the_head_before_success_is_answered(filled: Storage) -> None:
    assert filled.keys.ledger_head() == filled.ledger.head()


def test_an_append_that_is_rolled_back_leaves_nothing(filled: Storage) -> None:
    head = filled.ledger.head()
    with pytest.raises(ZeroDivisionError), filled.catalogue.writing() as writing:
        filled.ledger.append(writing, "event", {}, subject_id=None)
        raise ZeroDivisionError
    assert filled.ledger.head() == head == filled.keys.ledger_head()
    assert _findings(filled) == set()


def test_the_chain_still_verifies_after_an_erasure_removed_payloads_and_salts(
    filled: Storage,
) -> None:
    with filled.catalogue.writing() as writing:
        filled.ledger.append(writing, "event", {}, subject_id="q" * 32, sealed=b"sealed")
        assert filled.ledger.erase_payloads(writing, PERSON) == ENTRIES
        assert filled.ledger.erase_payloads(writing, PERSON) == 0
    with filled.catalogue.reading() as connection:
        assert filled.ledger.sealed_part(connection, 2) is None
        assert filled.ledger.sealed_part(connection, ENTRIES + 1) == b"sealed"
    assert _findings(filled) == set()


def test_a_payload_that_is_gone_without_an_erasure_is_found(filled: Storage) -> None:
    def remove(connection: Connection) -> None:
        connection.execute(delete(LEDGER_PAYLOADS).where(LEDGER_PAYLOADS.c.sequence.in_([2, 6])))

    assert _tampered(filled, remove) == {(2, "payload_missing"), (6, "payload_missing")}


def test_what_an_erasure_leaves_of_an_entry_does_not_tell_what_it_said(storage: Storage) -> None:
    """Equal payloads leave different digests, and none of them is an unsalted one."""
    for _ in range(2):
        _append(storage, "event", {"purpose": "voice_cloning"})
    with storage.catalogue.reading() as connection:
        first, second = (_entry(connection, n) for n in (1, 2))
        salts = {_payload(connection, n)["salt"] for n in (1, 2)}
    assert first["payload_digest"] != second["payload_digest"]
    assert {len(salt) for salt in salts} == {32}
    assert len(salts) == 2
    assert PERSON not in json.dumps([first, second])


def test_equal_payloads_are_equal_text_whatever_the_order_of_their_keys() -> None:
    assert canonical({"b": 1, "a": ["x", "声"]}) == '{"a":["x","声"],"b":1}'


@given(st.integers(0, 2**40), *[st.text(max_size=20)] * 4)
def test_an_entry_has_one_hash_whichever_way_it_is_computed(
    sequence: int, at: str, event: str, digest: str, previous: str
) -> None:
    entry = {
        "sequence": sequence,
        "at": at,
        "event": event,
        "payload_digest": digest,
        "previous": previous,
    }
    assert hash_of_columns(sequence, at, event, digest, previous) == entry_hash(entry)


# --- what is wrong, and where -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", "2020-01-01T00:00:00.000000+00:00"),
        ("event", "withdrawal"),
        ("hash", "f" * 64),
    ],
)
@pytest.mark.parametrize("sequence", [1, 3, ENTRIES])
def test_a_changed_field_is_found_at_its_entry(
    filled: Storage, sequence: int, field: str, value: str
) -> None:
    found = _tampered(filled, lambda c: _change_entry(c, sequence, **{field: value}))
    assert (sequence, "changed") in found
    assert {place for place, _ in found} <= {sequence, sequence + 1}


def test_a_changed_link_is_found_at_its_entry(filled: Storage) -> None:
    found = _tampered(filled, lambda c: _change_entry(c, 3, previous="f" * 64))
    assert found == {(3, "broken_link"), (3, "changed")}


def test_a_changed_digest_is_found_at_its_entry(filled: Storage) -> None:
    found = _tampered(filled, lambda c: _change_entry(c, 3, payload_digest="f" * 64))
    assert found == {(3, "changed"), (3, "payload_changed")}


@pytest.mark.parametrize(
    "change",
    [
        {"payload": canonical({"number": 4})},
        {"payload": '{"number": 3}'},
        {"salt": b"x" * 32},
        {"sealed": b"other evidence"},
        {"sealed": None},
    ],
    ids=["content", "spelling", "salt", "sealed_part", "sealed_part_removed"],
)
def test_a_changed_payload_is_found_at_its_entry(
    filled: Storage, change: dict[str, object]
) -> None:
    found = _tampered(filled, lambda c: _change_payload(c, 3, **change))
    assert found == {(3, "payload_changed")}


def test_payloads_that_changed_places_are_found_at_both(filled: Storage) -> None:
    def swap(connection: Connection) -> None:
        second, third = (_payload(connection, n) for n in (2, 3))
        _change_payload(connection, 2, **{**third, "sequence": 2})
        _change_payload(connection, 3, **{**second, "sequence": 3})

    assert _tampered(filled, swap) == {(2, "payload_changed"), (3, "payload_changed")}


@pytest.mark.parametrize("sequence", [1, 3, ENTRIES - 1])
def test_a_removed_entry_is_found_missing(filled: Storage, sequence: int) -> None:
    found = _tampered(filled, lambda c: _remove(c, sequence))
    assert found == {(sequence, "missing"), (sequence + 1, "broken_link")}


def test_removed_entries_that_follow_one_another_are_named_from_first_to_last(
    filled: Storage,
) -> None:
    def remove(connection: Connection) -> None:
        _remove(connection, 3)
        _remove(connection, 4)

    found = _tampered(filled, remove)
    assert found == {(3, "missing"), (5, "broken_link")}
    assert Finding(3, "missing", last=4) in list(filled.verification.findings())


def test_removed_newest_entries_are_found_because_the_key_store_remembers(
    filled: Storage,
) -> None:
    def remove(connection: Connection) -> None:
        _remove(connection, ENTRIES)

    assert (ENTRIES, "behind_key_store") in _tampered(filled, remove)

    def hide(connection: Connection) -> None:
        last = _entry(connection, ENTRIES - 1)
        connection.execute(update(LEDGER_TIP).values(sequence=ENTRIES - 1, hash=last["hash"]))

    assert _tampered(filled, hide) == {(ENTRIES, "behind_key_store")}


def test_a_ledger_that_was_emptied_is_found(filled: Storage) -> None:
    def empty(connection: Connection) -> None:
        connection.execute(delete(LEDGER_PAYLOADS))
        connection.execute(delete(LEDGER_ENTRIES))
        connection.execute(update(LEDGER_TIP).values(sequence=0, hash="0" * 64))

    assert _tampered(filled, empty) == {(ENTRIES, "behind_key_store")}


def test_entries_that_changed_places_are_found_at_both(filled: Storage) -> None:
    def swap(connection: Connection) -> None:
        second, third = (_entry(connection, n) for n in (2, 3))
        _change_entry(connection, 2, **{**third, "sequence": 2})
        _change_entry(connection, 3, **{**second, "sequence": 3})

    found = _tampered(filled, swap)
    assert {(2, "reordered"), (3, "reordered"), (2, "broken_link")} <= found
    assert {place for place, _ in found} <= {2, 3, 4}


def test_an_entry_that_is_forged_and_correctly_chained_is_found_by_the_next_link(
    filled: Storage,
) -> None:
    """Whoever recomputes a hash must recompute all that follow."""

    def forge(connection: Connection) -> None:
        entry = _entry(connection, 3)
        entry["event"] = "grant"
        del entry["hash"], entry["tag"]
        _change_entry(connection, 3, event="grant", hash=_hash_of(entry))

    assert _tampered(filled, forge) == {(4, "broken_link"), (3, "forged")}


def test_a_chain_that_was_recomputed_to_its_end_is_found_by_the_key_store(
    filled: Storage,
) -> None:
    def recompute(connection: Connection) -> None:
        previous = _entry(connection, 3)["previous"]
        for sequence in range(3, ENTRIES + 1):
            entry = {**_entry(connection, sequence), "event": "grant", "previous": previous}
            del entry["hash"], entry["tag"]
            previous = _hash_of(entry)
            _change_entry(connection, sequence, **entry, hash=previous)
        connection.execute(update(LEDGER_TIP).values(hash=previous))

    forged = {(sequence, "forged") for sequence in range(3, ENTRIES + 1)}
    assert _tampered(filled, recompute) == {(ENTRIES, "changed"), *forged}


def test_a_correctly_chained_entry_behind_the_newest_is_found_because_it_has_no_tag_of_ours(
    filled: Storage,
) -> None:
    """Whoever has only the catalogue can compute every hash, and nothing else."""

    def append(connection: Connection) -> None:
        entry = {**_entry(connection, ENTRIES), "sequence": ENTRIES + 1}
        entry["previous"] = entry.pop("hash")
        del entry["tag"]
        salt = b"s" * 32
        entry["payload_digest"] = payload_digest(salt, "{}", None)
        digest = _hash_of(entry)
        connection.execute(insert(LEDGER_ENTRIES).values(**entry, hash=digest, tag="f" * 64))
        connection.execute(
            insert(LEDGER_PAYLOADS).values(sequence=ENTRIES + 1, salt=salt, payload="{}")
        )
        connection.execute(update(LEDGER_TIP).values(sequence=ENTRIES + 1, hash=digest))

    assert _tampered(filled, append) == {(ENTRIES + 1, "forged")}


def test_a_replayed_entry_is_found(filled: Storage) -> None:
    def replay(connection: Connection) -> None:
        again = {**_entry(connection, 2), "sequence": ENTRIES + 1}
        connection.execute(insert(LEDGER_ENTRIES).values(**again))
        connection.execute(update(LEDGER_TIP).values(sequence=ENTRIES + 1, hash=again["hash"]))

    found = _tampered(filled, replay)
    assert found == {
        (ENTRIES + 1, "broken_link"),
        (ENTRIES + 1, "inserted"),
        (ENTRIES + 1, "payload_missing"),
    }


@pytest.mark.parametrize("change", [{"sequence": 2}, {"hash": "f" * 64}])
def test_a_changed_tip_is_found(filled: Storage, change: dict[str, object]) -> None:
    found = _tampered(filled, lambda c: c.execute(update(LEDGER_TIP).values(**change)))
    assert {code for _, code in found} == {"tip_mismatch"}


def test_a_removed_tip_is_found(filled: Storage) -> None:
    found = _tampered(filled, lambda c: c.execute(delete(LEDGER_TIP)))
    assert found == {(ENTRIES, "tip_mismatch")}


def _hash_of(entry: dict[str, Any]) -> str:
    """The construction that storage/ledger.py documents, written again."""
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


# --- several writers, restored copies ---------------------------------------------------------


def test_several_processes_appending_at_once_keep_one_chain(
    filled: Storage,
    addresses: StorageAddresses,
    at_once: Callable[[list[Callable[[], Any]]], list[Any]],
) -> None:
    def append_ten() -> list[int]:
        own = Storage.open(addresses)
        return [_append(own, "event", {"number": number}) for number in range(10)]

    written = at_once([append_ten] * 4)
    assert all(mine == sorted(mine) for mine in written)
    everything = [sequence for mine in written for sequence in mine]
    assert sorted(everything) == list(range(ENTRIES + 1, ENTRIES + 41))
    assert _findings(filled) == set()
    assert filled.keys.ledger_head() == filled.ledger.head()


def test_a_restored_ledger_goes_on_behind_what_it_lost_and_says_so(
    filled: Storage, restored_catalogue: Callable[[Callable[[], object]], Storage]
) -> None:
    def two_more() -> None:
        _append(filled, "event", {})
        _append(filled, "event", {})

    old = restored_catalogue(two_more)
    recorded = old.keys.ledger_head()
    assert _findings(old) == {(ENTRIES + 2, "behind_key_store")}
    with old.catalogue.writing() as writing:
        resumed = old.ledger.resume_after_restore(writing, recorded)
    assert resumed == ENTRIES + 3
    assert _findings(old) == set()
    assert _append(old, "event", {}) == ENTRIES + 4
    assert list(old.verification.findings()) == []
    with old.catalogue.reading() as connection:
        entry, payload = _entry(connection, resumed), _payload(connection, resumed)
        count = connection.execute(select(func.count()).select_from(LEDGER_ENTRIES)).scalar()
    assert entry["event"] == RESTORED
    assert json.loads(payload["payload"]) == {
        "lost_from": ENTRIES + 1,
        "lost_to": ENTRIES + 2,
        "recorded_hash": recorded[1],
    }
    assert count == ENTRIES + 2


def test_an_entry_removed_before_a_restore_mark_is_still_found(
    filled: Storage, restored_catalogue: Callable[[Callable[[], object]], Storage]
) -> None:
    old = restored_catalogue(lambda: _append(filled, "event", {}))
    with old.catalogue.writing() as writing:
        resumed = old.ledger.resume_after_restore(writing, old.keys.ledger_head())
    assert (resumed, "broken_link") in _tampered(old, lambda c: _remove(c, ENTRIES))


def test_a_gap_is_not_forgiven_because_an_ordinary_entry_was_renamed_to_a_restore_mark(
    filled: Storage,
) -> None:
    def disguise(connection: Connection) -> None:
        _remove(connection, 3)
        _change_entry(connection, 4, event=RESTORED)

    found = _tampered(filled, disguise)
    assert {(4, "broken_link"), (4, "changed")} <= found


# --- what the decision reads ------------------------------------------------------------------


def test_the_acts_of_a_person_are_read_in_order_and_nobody_elses(
    storage: Storage, grant: GrantFactory
) -> None:
    storage.consents.grant("s-1", VOICE, grant())
    storage.consents.grant("s-2", VOICE, grant())
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    person = storage.subjects.known("s-1")
    facts = storage.consents.history(person.id)
    assert [fact.event for fact in facts] == [Event.GRANT, Event.WITHDRAWAL]
    assert facts[0].sequence < facts[1].sequence
    assert facts[0].source is Source.EXPLICIT
    assert facts[0].evidence_digest == grant().evidence.digest


def test_a_finding_says_where_and_what() -> None:
    assert Finding(3, "changed") == Finding(sequence=3, code="changed")
