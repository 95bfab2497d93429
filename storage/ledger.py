"""The ledger of decisions: append-only, hash-chained.

An entry's hash covers its sequence, time, event, the salted digest of its payload and the hash
before it. The payload, its salt and what is sealed beside it can be removed by an erasure; the
chain still verifies, and the digest that is left says nothing without the salt (invariant 5).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final

from nacl.utils import random as random_bytes
from sqlalchemy import Connection, insert, select, update

from models.consent.facts import Event, Fact
from storage.catalogue.decisions import LEDGER_ENTRIES, LEDGER_PAYLOADS, LEDGER_TIP
from storage.clock import Clock, utc_now
from storage.database import Database, Writing
from storage.key_store import KeyStore

_BEGINNING: Final = "0" * 64
_SALT_BYTES: Final = 32
RESTORED: Final = "catalogue_restored"
"""The one event that may stand behind a gap in the sequence."""


@dataclass(frozen=True)
class Finding:
    """Something wrong with the chain, and where."""

    sequence: int
    code: str
    """`missing`, `changed`, `broken_link`, `payload_changed`, `tip_mismatch` or
    `behind_key_store`."""


class Ledger:
    """Appends to and reads the chain in the catalogue."""

    def __init__(self, database: Database, keys: KeyStore, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock

    def append(
        self,
        writing: Writing,
        event: str,
        payload: dict[str, Any],
        *,
        subject_id: str | None,
        sealed: bytes | None = None,
    ) -> int:
        """Add an entry inside the caller's transaction; returns its sequence.

        `payload` is JSON of strings, numbers and lists; `sealed` is already encrypted. Once the
        transaction is committed, the new head is recorded in the key store.
        """
        sequence, previous = _tip(writing.connection)
        return self._write(
            writing, sequence + 1, previous, event, payload, subject_id=subject_id, sealed=sealed
        )

    def resume_after_restore(self, writing: Writing, recorded: tuple[int, str]) -> int:
        """Go on behind the entries that a restored catalogue lost.

        The new entry says which numbers are lost and what the key store recorded as the head; the
        chain links from the newest entry that is left.
        """
        sequence, previous = _tip(writing.connection)
        lost = {"lost_from": sequence + 1, "lost_to": recorded[0], "recorded_hash": recorded[1]}
        return self._write(
            writing, recorded[0] + 1, previous, RESTORED, lost, subject_id=None, sealed=None
        )

    def _write(
        self,
        writing: Writing,
        sequence: int,
        previous: str,
        event: str,
        payload: dict[str, Any],
        *,
        subject_id: str | None,
        sealed: bytes | None,
    ) -> int:
        connection = writing.connection
        salt = random_bytes(_SALT_BYTES)
        text = canonical(payload)
        entry = {
            "sequence": sequence,
            "at": _stamp(self._clock()),
            "event": event,
            "payload_digest": _payload_digest(salt, text, sealed),
            "previous": previous,
        }
        digest = _entry_hash(entry)
        connection.execute(insert(LEDGER_ENTRIES).values(**entry, hash=digest))
        connection.execute(
            insert(LEDGER_PAYLOADS).values(
                sequence=sequence, subject_id=subject_id, salt=salt, payload=text, sealed=sealed
            )
        )
        connection.execute(update(LEDGER_TIP).values(sequence=sequence, hash=digest))
        writing.after_commit.append(partial(self._keys.record_ledger_head, sequence, digest))
        return sequence

    def facts(self, connection: Connection, subject_id: str) -> list[Fact]:
        """What a person decided, in ledger order, as the decision reads it."""
        rows = connection.execute(
            select(LEDGER_PAYLOADS.c.sequence, LEDGER_ENTRIES.c.event, LEDGER_PAYLOADS.c.payload)
            .join(LEDGER_ENTRIES, LEDGER_ENTRIES.c.sequence == LEDGER_PAYLOADS.c.sequence)
            .where(
                LEDGER_PAYLOADS.c.subject_id == subject_id,
                LEDGER_ENTRIES.c.event.in_([event.value for event in Event]),
            )
            .order_by(LEDGER_PAYLOADS.c.sequence)
        )
        return [_fact(row.sequence, row.event, json.loads(row.payload)) for row in rows]

    def sealed_part(self, connection: Connection, sequence: int) -> bytes | None:
        """The encrypted evidence beside an entry, None when there is none or it was erased."""
        return connection.execute(
            select(LEDGER_PAYLOADS.c.sealed).where(LEDGER_PAYLOADS.c.sequence == sequence)
        ).scalar()

    def head(self) -> tuple[int, str]:
        """Sequence and hash of the newest entry; (0, zeros) before the first."""
        with self._database.reading() as connection:
            row = connection.execute(select(LEDGER_TIP.c.sequence, LEDGER_TIP.c.hash)).first()
        return (row.sequence, row.hash) if row else (0, _BEGINNING)

    def verify(self) -> Iterator[Finding]:
        """Walk the whole chain and yield everything that is not as it was written."""
        recorded_sequence, recorded_hash = self._keys.ledger_head()
        hash_at_recorded = _BEGINNING
        expected, previous = 1, _BEGINNING
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=1000).execute(
                select(
                    LEDGER_ENTRIES,
                    LEDGER_PAYLOADS.c.salt,
                    LEDGER_PAYLOADS.c.payload,
                    LEDGER_PAYLOADS.c.sealed,
                )
                .outerjoin(LEDGER_PAYLOADS, LEDGER_PAYLOADS.c.sequence == LEDGER_ENTRIES.c.sequence)
                .order_by(LEDGER_ENTRIES.c.sequence)
            )
            for row in rows:
                if row.event != RESTORED:
                    for missing in range(expected, row.sequence):
                        yield Finding(missing, "missing")
                expected = row.sequence + 1
                entry = {
                    "sequence": row.sequence,
                    "at": row.at,
                    "event": row.event,
                    "payload_digest": row.payload_digest,
                    "previous": row.previous,
                }
                if row.previous != previous:
                    yield Finding(row.sequence, "broken_link")
                if _entry_hash(entry) != row.hash:
                    yield Finding(row.sequence, "changed")
                if row.salt is not None and (
                    _payload_digest(row.salt, row.payload, row.sealed) != row.payload_digest
                ):
                    yield Finding(row.sequence, "payload_changed")
                previous = row.hash
                if row.sequence == recorded_sequence:
                    hash_at_recorded = row.hash
            tip = connection.execute(select(LEDGER_TIP.c.sequence, LEDGER_TIP.c.hash)).first()
        if tip is None or (tip.sequence, tip.hash) != (expected - 1, previous):
            yield Finding(tip.sequence if tip else expected - 1, "tip_mismatch")
        if recorded_sequence >= expected:
            yield Finding(recorded_sequence, "behind_key_store")
        elif recorded_sequence and hash_at_recorded != recorded_hash:
            yield Finding(recorded_sequence, "changed")


def canonical(value: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces: the same text for the same value (after RFC 8785)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _tip(connection: Connection) -> tuple[int, str]:
    """The newest entry, held until the transaction ends, so that writers follow one another."""
    row = connection.execute(
        select(LEDGER_TIP.c.sequence, LEDGER_TIP.c.hash).with_for_update()
    ).first()
    if row is None:
        raise RuntimeError("The ledger was never begun; its migration is incomplete.")
    return row.sequence, row.hash


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _payload_digest(salt: bytes, text: str, sealed: bytes | None) -> str:
    return sha256(
        salt + sha256(text.encode()).digest() + sha256(sealed or b"").digest()
    ).hexdigest()


def _entry_hash(entry: dict[str, Any]) -> str:
    return sha256(canonical(entry).encode()).hexdigest()


def _fact(sequence: int, event: str, payload: dict[str, Any]) -> Fact:
    known = {name: payload[name] for name in Fact.model_fields if name in payload}
    return Fact.model_validate({**known, "sequence": sequence, "event": event})
