"""Laws of the verification: whatever one row is changed to, removed or moved, it is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.access_log import record_access
from storage.assembly import Storage, StorageAddresses
from storage.chain import payload_digest_of_schema_1
from storage.clock import utc_now
from storage.database import Database
from storage.identifiers import random_id
from storage.ledger_settings import LedgerSettings
from storage.ledger_verification import Finding, Verification

PERSON, OTHER = "p" * 32, "q" * 32
PLACES = {
    "ledger_entries": "sequence",
    "ledger_payloads": "sequence",
    "checkpoints": "sequence",
    "access_log": "anchor",
}
"""By table, the column that says which entry a row belongs to."""

values = st.one_of(
    st.none(), st.text(max_size=40), st.integers(-(2**40), 2**40), st.binary(max_size=40)
)
laws = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Book:
    """A catalogue with every kind of row that the verification reads, and copies of it."""

    def __init__(self, folder: Path, addresses: StorageAddresses) -> None:
        self._folder = folder
        self.storage = Storage.open(
            replace(addresses, ledger=LedgerSettings(checkpoint_every=4, anchor_after=2))
        )
        for number in range(1, 7):
            self._append(number, PERSON if number in {2, 3, 5} else OTHER)
        self._read(3)
        with self.storage.catalogue.writing() as writing:
            self.storage.ledger.erase_payloads(writing, PERSON)
        self._append(7, OTHER)
        self._read(2)
        self._append(8, None)
        self.storage.catalogue.truncate_log()
        file = self.storage.catalogue.file
        assert file is not None
        self.file = file
        with closing(sqlite3.connect(file)) as connection:
            self.rows = {
                table: connection.execute(
                    f"SELECT rowid, * FROM {table} ORDER BY {place}"
                ).fetchall()
                for table, place in PLACES.items()
            }
            self.columns = {
                table: [
                    column[1]
                    for column in connection.execute(f"PRAGMA table_info({table})").fetchall()
                ]
                for table in PLACES
            }

    def _append(self, number: int, subject_id: str | None) -> None:
        with self.storage.catalogue.writing() as writing:
            sealed = None if number % 2 else b"sealed"
            self.storage.ledger.append(
                writing, "event", {"number": number}, subject_id=subject_id, sealed=sealed
            )

    def _read(self, times: int) -> None:
        with self.storage.catalogue.writing() as writing:
            for _ in range(times):
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
        assert self.storage.anchoring.anchor() == times

    def place(self, table: str, row: tuple[Any, ...]) -> int:
        """The sequence of the entry that a row belongs to."""
        return int(row[1 + self.columns[table].index(PLACES[table])])

    def findings_after(self, damage: Callable[[sqlite3.Connection], object]) -> list[Finding]:
        """What is found in a copy that somebody reached into."""
        copy = self._folder / "copy.db"
        shutil.copy(self.file, copy)
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute("PRAGMA synchronous=OFF")
            damage(connection)
        database = Database(f"sqlite:///{copy}", what="catalogue")
        verification = Verification(
            database,
            self.storage.keys,
            tag_key=self.storage.vault.ledger_key(),
            public_key=self.storage.checkpoints.public_key,
        )
        return list(verification.findings())


@pytest.fixture(scope="module")
def book(
    tmp_path_factory: pytest.TempPathFactory, addresses_in: Callable[[Path], StorageAddresses]
) -> Book:
    """See Book."""
    folder = tmp_path_factory.mktemp("book")
    return Book(folder, addresses_in(folder / "home"))


def _named(findings: list[Finding]) -> set[int]:
    return {
        sequence
        for finding in findings
        for sequence in range(finding.sequence, min(finding.last or finding.sequence, 10**4) + 1)
    }


def test_the_book_that_the_laws_damage_is_sound_and_has_every_kind_of_row(book: Book) -> None:
    assert book.findings_after(lambda _: None) == []
    assert {table: len(rows) for table, rows in book.rows.items()} == {
        "ledger_entries": 11,
        "ledger_payloads": 8,
        "checkpoints": 2,
        "access_log": 5,
    }


@laws
@given(data=st.data(), table=st.sampled_from(sorted(PLACES)), value=values)
def test_whatever_one_column_of_one_row_is_changed_to_is_found_there(
    book: Book, data: st.DataObject, table: str, value: object
) -> None:
    row = data.draw(st.sampled_from(book.rows[table]))
    column = data.draw(st.sampled_from(book.columns[table]))
    old = row[1 + book.columns[table].index(column)]
    if isinstance(old, str) and data.draw(st.booleans()):  # one character, of the same form
        at = data.draw(st.integers(0, len(old) - 1))
        value = old[:at] + chr(ord(old[at]) ^ 1) + old[at + 1 :]

    changed = []

    def damage(connection: sqlite3.Connection) -> None:
        try:
            connection.execute(
                f"UPDATE {table} SET {column} = ? WHERE rowid = ?",
                (value, row[0]),
            )
        except sqlite3.IntegrityError:  # the database itself refuses it
            return
        new = connection.execute(f"SELECT {column} FROM {table}").fetchall()
        changed.append(
            sorted(map(repr, new))
            != sorted(
                repr((each[1 + book.columns[table].index(column)],)) for each in book.rows[table]
            )
        )

    findings = book.findings_after(damage)
    assume(changed == [True])
    assert book.place(table, row) in _named(findings)


@laws
@given(data=st.data(), table=st.sampled_from(sorted(PLACES)))
def test_whichever_row_is_removed_is_found_missing(
    book: Book, data: st.DataObject, table: str
) -> None:
    row = data.draw(st.sampled_from(book.rows[table]))
    findings = book.findings_after(
        lambda c: c.execute(f"DELETE FROM {table} WHERE rowid = ?", (row[0],))
    )
    assert book.place(table, row) in _named(findings)


@laws
@given(data=st.data(), table=st.sampled_from(["ledger_entries", "ledger_payloads", "checkpoints"]))
def test_whichever_two_rows_change_places_are_both_found(
    book: Book, data: st.DataObject, table: str
) -> None:
    first, second = data.draw(
        st.lists(st.sampled_from(book.rows[table]), min_size=2, max_size=2, unique=True)
    )
    moved = [column for column in book.columns[table] if column != "sequence"]
    setting = ", ".join(f"{column} = ?" for column in moved)

    def swap(connection: sqlite3.Connection) -> None:
        for source, target in ((first, second), (second, first)):
            content = [source[1 + book.columns[table].index(column)] for column in moved]
            connection.execute(
                f"UPDATE {table} SET {setting} WHERE rowid = ?",
                (*content, target[0]),
            )

    findings = book.findings_after(swap)
    places = {book.place(table, first), book.place(table, second)}
    assert places <= _named(findings)
    if table == "ledger_entries":
        assert places <= {f.sequence for f in findings if f.code == "reordered"}


def test_a_payload_put_back_after_its_erasure_is_found(book: Book) -> None:
    """From a backup, say: what was erased must stay so."""
    storage = book.storage
    copy = book.file.with_suffix(".before")
    with storage.catalogue.writing() as writing:
        storage.ledger.append(writing, "event", {}, subject_id="r" * 32)
    newest = storage.ledger.head()[0]
    with closing(sqlite3.connect(book.file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    with storage.catalogue.writing() as writing:
        assert storage.ledger.erase_payloads(writing, "r" * 32) == 1

    def put_back(connection: sqlite3.Connection) -> None:
        connection.execute("ATTACH ? AS before", (str(copy),))
        connection.execute(
            "INSERT INTO ledger_payloads SELECT * FROM before.ledger_payloads WHERE sequence = ?",
            (newest,),
        )

    assert book.findings_after(lambda _: None) == []
    assert book.findings_after(put_back) == [Finding(newest, "payload_returned")]


def test_a_number_far_beyond_the_newest_is_answered_in_a_moment(book: Book) -> None:
    findings = book.findings_after(
        lambda c: c.execute("UPDATE ledger_entries SET sequence = ? WHERE sequence = 6", (2**40,))
    )
    assert Finding(6, "missing") in findings
    assert Finding(2**40, "reordered") in findings
    assert len(findings) < 12


def test_entries_from_before_there_were_tags_are_held_by_what_the_key_store_recorded(
    storage: Storage,
) -> None:
    """A home of the first schema has entries without a tag and with its form of digest."""
    for number in range(3):
        with storage.catalogue.writing() as writing:
            storage.ledger.append(writing, "event", {"number": number}, subject_id=PERSON)
    _as_of_schema_1(storage)
    with storage.catalogue.writing() as writing:
        storage.ledger.append(writing, "event", {}, subject_id=PERSON)
    assert list(storage.verification.findings()) == []

    assert storage.catalogue.file is not None
    with closing(sqlite3.connect(storage.catalogue.file)) as connection, connection:
        connection.execute("UPDATE ledger_entries SET tag = NULL WHERE sequence = 4")
    assert {(f.sequence, f.code) for f in storage.verification.findings()} == {(4, "forged")}


def _as_of_schema_1(storage: Storage) -> None:
    """Rewrite the entries as the first schema has them, and record what migrating records."""
    from storage.chain import BEGINNING, entry_hash

    assert storage.catalogue.file is not None and storage.keys.database.file is not None
    with closing(sqlite3.connect(storage.catalogue.file)) as connection, connection:
        previous = BEGINNING
        for sequence, at, event, salt, text, sealed in connection.execute(
            "SELECT sequence, at, event, salt, payload, sealed "
            "FROM ledger_entries JOIN ledger_payloads USING (sequence) ORDER BY sequence"
        ).fetchall():
            digest = payload_digest_of_schema_1(salt, text, sealed)
            entry = {"sequence": sequence, "at": at, "event": event, "previous": previous}
            link, previous = previous, entry_hash({**entry, "payload_digest": digest})
            connection.execute(
                "UPDATE ledger_entries SET payload_digest = ?, previous = ?, hash = ?, tag = NULL "
                "WHERE sequence = ?",
                (digest, link, previous, sequence),
            )
        connection.execute("UPDATE ledger_tip SET hash = ?", (previous,))
    with closing(sqlite3.connect(storage.keys.database.file)) as connection, connection:
        connection.execute("UPDATE ledger_heads SET hash = ?", (previous,))
        connection.execute(
            "INSERT INTO ledger_heads SELECT 'untagged', sequence, hash FROM ledger_heads"
        )
