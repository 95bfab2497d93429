"""Is the ledger as it was written? Every entry, payload, checkpoint and anchored access.

Reads the chain once, in order, in memory that does not grow with it, and names what it finds.
What the house's own entries say (which payloads an erasure removed, which numbers a restored copy
lost, which accesses were anchored) is believed only where the entry is whole and bears our tag.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select, type_coerce
from sqlalchemy.types import NULLTYPE

from models.consent.facts import CLOCK_SKEW
from storage.access_proof import AnchoredRoot, wrong_accesses
from storage.catalogue.decisions import CHECKPOINTS, LEDGER_ENTRIES, LEDGER_PAYLOADS, LEDGER_TIP
from storage.chain import (
    ACCESSES_ANCHORED,
    BEGINNING,
    CLOCK_CORRECTED,
    PAYLOADS_ERASED,
    RESTORED,
    entry_hash,
    entry_tag,
    hash_of_columns,
    payload_digest,
    payload_digest_of_schema_1,
)
from storage.checkpoints import Checkpoint
from storage.database import Database
from storage.key_store import KeyStore

_PAGE: Final = 2_000
_NOTED: Final = frozenset({ACCESSES_ANCHORED})
"""Events whose payload the walk remembers."""
_MOST_SUSPECTS: Final = 256
"""Entries that are whole but elsewhere are looked for among so many; more are told as changed."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written, and where."""

    sequence: int
    code: str
    """`missing`, `changed`, `reordered` (whole, but at another's place), `inserted` (a copy, or
    what a restored copy had lost), `forged` (no tag of ours), `broken_link`, `payload_changed`,
    `payload_missing` (and no erasure says so), `payload_returned` (although an erasure removed
    it), `payload_without_entry`, `time_backwards`, `tip_mismatch`, `behind_key_store`,
    `checkpoint_false`, `checkpoint_contradicted`, `checkpoint_missing`, `checkpoint_of_other_key`,
    `accesses_changed`, `accesses_removed`, `accesses_added`."""
    last: int | None = None
    """The last of several numbers that are missing; None for one."""


class Verification:
    """Checks one ledger."""

    def __init__(
        self, catalogue: Database, keys: KeyStore, *, tag_key: bytes, public_key: str
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._tag_key = tag_key
        self._public_key = public_key

    def findings(self, *, held: Iterable[Checkpoint] = ()) -> Iterator[Finding]:
        """Everything that is wrong; `held` are checkpoints that were kept elsewhere.

        Sees one state of the catalogue, while others go on appending.
        """
        # The key store first: it never has what the catalogue has not committed yet.
        recorded, untagged = self._keys.ledger_head(), self._keys.untagged_head()
        newest = self._keys.checkpoint()
        with self._catalogue.snapshot() as connection:
            marks = _Marks(self._tag_key, untagged[0])
            marks.read(connection)
            walk = _Walk(marks)
            yield from walk.findings(_rows(connection))
            yield from _misplaced(connection, walk)
            yield from _without_entry(connection)
            yield from _about_tip(connection, walk)
            for sequence, digest in (recorded, untagged):
                yield from _about_record(connection, sequence, digest, walk)
            yield from self._about_checkpoints(connection, newest, marks)
            for checkpoint in held:
                yield from self._about_held(connection, checkpoint)
            for sequence, code in wrong_accesses(connection, walk.anchors, walk.doubted):
                yield Finding(sequence, code)

    def _about_checkpoints(
        self, connection: Connection, newest: dict[str, Any] | None, marks: _Marks
    ) -> Iterator[Finding]:
        before, found_newest = 0, newest is None
        for row in connection.execution_options(yield_per=_PAGE).execute(
            select(CHECKPOINTS).order_by(CHECKPOINTS.c.sequence)
        ):
            checkpoint = Checkpoint(**row._mapping)
            if not self._is_ours(checkpoint):
                yield Finding(checkpoint.sequence, "checkpoint_false")
            else:
                if checkpoint.previous != before and checkpoint.previous:
                    yield Finding(checkpoint.previous, "checkpoint_missing")
                yield from _about_agreement(connection, checkpoint)
            before = checkpoint.sequence
            found_newest = found_newest or checkpoint.sequence == (newest or {})["sequence"]
        if newest is not None and not marks.was_lost(newest["sequence"]):
            if not found_newest:
                yield Finding(newest["sequence"], "checkpoint_missing")
            recorded = Checkpoint(**newest)
            if self._is_ours(recorded):
                yield from _about_agreement(connection, recorded)
            else:
                yield Finding(recorded.sequence, "checkpoint_false")

    def _about_held(self, connection: Connection, checkpoint: Checkpoint) -> Iterator[Finding]:
        if checkpoint.key != self._public_key:
            yield Finding(checkpoint.sequence, "checkpoint_of_other_key")
        elif not checkpoint.is_genuine():
            yield Finding(checkpoint.sequence, "checkpoint_false")
        yield from _about_agreement(connection, checkpoint)

    def _is_ours(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.key == self._public_key and checkpoint.is_genuine()


class _Marks:
    """What our own entries say about numbers elsewhere in the chain."""

    def __init__(self, tag_key: bytes, untagged: int) -> None:
        self.tag_key = tag_key
        self.untagged = untagged
        """Entries up to here have no tag and the first schema's digests."""
        self.lost: dict[int, tuple[int, int]] = {}
        """By the sequence of a restored ledger's entry, the numbers it lost."""
        self.erased: list[tuple[int, int]] = []
        """Numbers whose payload an erasure removed, in order."""

    def read(self, connection: Connection) -> None:
        """Read those that change how others are judged; the only ones held in memory."""
        for row in _rows(connection, LEDGER_ENTRIES.c.event.in_([RESTORED, PAYLOADS_ERASED])):
            said = self.said(row)
            if row.event == RESTORED and said:
                self.lost[row.sequence] = (said["lost_from"], said["lost_to"])
            elif said:
                self.erased += [(first, last) for first, last in said["entries"]]
        self.erased.sort()

    def was_lost(self, sequence: int) -> bool:
        """Whether a restored ledger says that it lost this number."""
        return any(first <= sequence <= last for first, last in self.lost.values())

    def said(self, row: Any) -> dict[str, Any] | None:
        """An entry's payload, where entry and payload are whole and ours."""
        whole = self.is_whole(row) and self.is_ours(row) and self.has_its_payload(row)
        return json.loads(row.payload) if whole else None

    def is_ours(self, row: Any) -> bool:
        """Whether the entry's hash bears our tag."""
        if row.sequence <= self.untagged:
            return row.tag is None
        try:
            return bool(row.tag == entry_tag(self.tag_key, row.hash))
        except (TypeError, AttributeError):  # SQLite keeps what it is given, of whatever type
            return False

    def is_whole(self, row: Any, *, sequence: int | None = None) -> bool:
        """Whether the entry is what its hash was made of, at its own number or another."""
        try:
            made_of = {
                "at": row.at,
                "event": row.event,
                "payload_digest": row.payload_digest,
                "previous": row.previous,
                "sequence": row.sequence if sequence is None else sequence,
            }
            return bool(entry_hash(made_of) == row.hash)
        except (TypeError, ValueError):
            return False

    def has_its_payload(self, row: Any) -> bool:
        """Whether the payload is what the entry commits to."""
        try:
            digest = (
                payload_digest(row.salt, row.payload, row.sealed, row.subject_id)
                if row.sequence > self.untagged
                else payload_digest_of_schema_1(row.salt, row.payload, row.sealed)
            )
        except (TypeError, AttributeError, ValueError):
            return False
        return bool(digest == row.payload_digest)


class _Walk:
    """What is remembered between one entry and the next."""

    def __init__(self, marks: _Marks) -> None:
        self.marks = marks
        self.expected = 1
        self.previous: Any = BEGINNING
        self.anchors: dict[int, AnchoredRoot] = {}
        self.doubted: set[int] = set()
        """Anchoring entries that are named already, so that their accesses are not."""
        self.suspects: list[Any] = []
        """Entries with a hash of ours that is not theirs at this place."""
        self.gaps: list[int] = []
        self._at = ""
        self._erasures = iter(marks.erased)
        self._erasure = next(self._erasures, None)

    def findings(self, rows: Iterable[Any]) -> Iterator[Finding]:
        """One entry after another, in the order of sequence."""
        marks = self.marks
        for row in rows:
            if self._is_sound(row):
                self.expected, self.previous, self._at = row[0] + 1, row[5], row[1]
                continue
            sequence = row.sequence
            if sequence != self.expected:
                yield from self._gap(sequence)
            if marks.lost and marks.was_lost(sequence):
                yield Finding(sequence, "inserted")
            if row.previous != self.previous:
                yield Finding(sequence, "broken_link")
            ours, whole = marks.is_ours(row), marks.is_whole(row)
            if not ours:
                yield Finding(sequence, "forged")
            if not whole:
                if ours and len(self.suspects) < _MOST_SUSPECTS:
                    self.suspects.append(row)
                else:
                    yield Finding(sequence, "changed")
            elif ours and row.at < self._at and self._is_backwards(row):
                yield Finding(sequence, "time_backwards")
            if ours and whole:
                self._at = row.at
            yield from self._about_payload(row)
            if row.event == ACCESSES_ANCHORED:
                self._anchored(row)
            self.expected = sequence + 1
            self.previous = row.hash

    def _is_sound(self, row: Any) -> bool:
        """Whether nothing at all is to be said about an entry: what nearly all are, in one look."""
        sequence, at, event, digest, linked, stored, tag, subject_id, salt, text, sealed = row
        marks = self.marks
        try:
            return (
                sequence == self.expected
                and linked == self.previous
                and at >= self._at
                and event not in _NOTED
                and sequence > marks.untagged
                and hash_of_columns(sequence, at, event, digest, linked) == stored
                and entry_tag(marks.tag_key, stored) == tag
                and payload_digest(salt, text, sealed, subject_id) == digest
                and not (marks.lost and marks.was_lost(sequence))
                and not (marks.erased and self._is_erased(sequence))
            )
        except (TypeError, AttributeError, ValueError):
            return False

    def _gap(self, sequence: int) -> Iterator[Finding]:
        """The numbers before this one that should be there; a restored ledger says what it lost."""
        last = sequence - 1
        lost = self.marks.lost.get(sequence)
        if lost is not None and lost[1] == last:
            last = min(last, lost[0] - 1)
        if last >= self.expected:
            room = _MOST_SUSPECTS - len(self.gaps)
            self.gaps += range(self.expected, min(last + 1, self.expected + room))
            yield Finding(self.expected, "missing", last if last > self.expected else None)

    def _about_payload(self, row: Any) -> Iterator[Finding]:
        erased = self._is_erased(row.sequence)
        if row.salt is None:
            if not erased:
                yield Finding(row.sequence, "payload_missing")
        elif not self.marks.has_its_payload(row):
            yield Finding(row.sequence, "payload_changed")
        elif erased:
            yield Finding(row.sequence, "payload_returned")

    def _is_erased(self, sequence: int) -> bool:
        while self._erasure is not None and self._erasure[1] < sequence:
            self._erasure = next(self._erasures, None)
        return self._erasure is not None and self._erasure[0] <= sequence

    def _is_backwards(self, row: Any) -> bool:
        if row.event == CLOCK_CORRECTED:
            return False
        return datetime.fromisoformat(row.at) < datetime.fromisoformat(self._at) - CLOCK_SKEW

    def _anchored(self, row: Any) -> None:
        said = self.marks.said(row)
        if said is None:
            self.doubted.add(row.sequence)
        else:
            self.anchors[row.sequence] = AnchoredRoot(said["root"], said["count"])


def _rows(connection: Connection, where: ColumnElement[bool] | None = None) -> Iterator[Any]:
    statement: Select[Any] = (
        # As the database gives them: what somebody put there need not have the column's type.
        select(
            LEDGER_ENTRIES,
            LEDGER_PAYLOADS.c.subject_id,
            type_coerce(LEDGER_PAYLOADS.c.salt, NULLTYPE).label("salt"),
            LEDGER_PAYLOADS.c.payload,
            type_coerce(LEDGER_PAYLOADS.c.sealed, NULLTYPE).label("sealed"),
        )
        .outerjoin(LEDGER_PAYLOADS, LEDGER_PAYLOADS.c.sequence == LEDGER_ENTRIES.c.sequence)
        .order_by(LEDGER_ENTRIES.c.sequence)
    )
    if where is not None:
        statement = statement.where(where)
    yield from connection.execution_options(yield_per=_PAGE).execute(statement)


def _misplaced(connection: Connection, walk: _Walk) -> Iterator[Finding]:
    """Entries whose hash is ours but not theirs: at another's place, a copy, or changed."""
    places = [row.sequence for row in walk.suspects]
    for row in walk.suspects:
        copies = connection.execute(
            select(LEDGER_ENTRIES.c.sequence).where(
                LEDGER_ENTRIES.c.hash == row.hash, LEDGER_ENTRIES.c.sequence != row.sequence
            )
        ).scalars()
        if any(walk.marks.is_whole(row, sequence=copy) for copy in copies):
            yield Finding(row.sequence, "inserted")
        elif any(walk.marks.is_whole(row, sequence=place) for place in (*places, *walk.gaps)):
            yield Finding(row.sequence, "reordered")
        else:
            yield Finding(row.sequence, "changed")


def _without_entry(connection: Connection) -> Iterator[Finding]:
    entry = select(LEDGER_ENTRIES.c.sequence).where(
        LEDGER_ENTRIES.c.sequence == LEDGER_PAYLOADS.c.sequence
    )
    for sequence in connection.execute(
        select(LEDGER_PAYLOADS.c.sequence).where(~entry.exists())
    ).scalars():
        yield Finding(sequence, "payload_without_entry")


def _about_tip(connection: Connection, walk: _Walk) -> Iterator[Finding]:
    tip = connection.execute(select(LEDGER_TIP.c.sequence, LEDGER_TIP.c.hash)).first()
    newest = walk.expected - 1
    if tip is None or (tip.sequence, tip.hash) != (newest, walk.previous):
        yield Finding(tip.sequence if tip else newest, "tip_mismatch")


def _about_record(
    connection: Connection, sequence: int, digest: str, walk: _Walk
) -> Iterator[Finding]:
    """What the key store recorded: the newest entry, and the last one without a tag."""
    if sequence >= walk.expected:
        yield Finding(sequence, "behind_key_store")
        return
    found = _hash_at(connection, sequence)
    if sequence and found not in {None, digest}:  # a missing one is named already
        yield Finding(sequence, "changed")


def _about_agreement(connection: Connection, checkpoint: Checkpoint) -> Iterator[Finding]:
    if _hash_at(connection, checkpoint.sequence) != checkpoint.hash:
        yield Finding(checkpoint.sequence, "checkpoint_contradicted")


def _hash_at(connection: Connection, sequence: int) -> Any:
    return connection.execute(
        select(LEDGER_ENTRIES.c.hash).where(LEDGER_ENTRIES.c.sequence == sequence)
    ).scalar()
