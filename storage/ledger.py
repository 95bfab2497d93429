"""The ledger of decisions: append-only, hash-chained.

An entry's hash covers its sequence, time, event, the salted digest of its payload and the hash
before it; a keyed tag tells our own entries from those of somebody who has only the database. The
payload, its salt and what is sealed beside it can be removed by an erasure, which says so in an
entry of its own; the chain still verifies, and the digest that is left says nothing without the
salt (invariant 5). `storage.ledger_verification` checks all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from nacl.utils import random as random_bytes
from sqlalchemy import Connection, delete, insert, select, update

from models.consent.facts import CLOCK_SKEW
from models.schema.errors import BadUsage, LikenessError
from storage.catalogue.decisions import LEDGER_ENTRIES, LEDGER_PAYLOADS, LEDGER_TIP
from storage.chain import (
    BEGINNING,
    CLOCK_CORRECTED,
    PAYLOADS_ERASED,
    RESTORED,
    canonical,
    entry_hash,
    entry_tag,
    payload_digest,
    ranges,
    stamp,
)
from storage.checkpoints import Checkpoints, tip
from storage.clock import Clock, utc_now
from storage.database import Database, Writing
from storage.key_store import KeyStore
from storage.recorded_head import require_held

_SALT_BYTES: Final = 32


@dataclass(frozen=True)
class Entry:
    """What an auditor sees of an entry."""

    sequence: int
    at: str
    event: str
    hash: str


class Ledger:
    """Appends to and reads the chain in the catalogue."""

    def __init__(
        self,
        database: Database,
        keys: KeyStore,
        *,
        tag_key: bytes,
        checkpoints: Checkpoints,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._tag_key = tag_key
        self._checkpoints = checkpoints
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
        transaction is committed, the new head is recorded in the key store. Raises DoorShut where
        the catalogue is older than the key store, and LikenessError for a clock that runs
        backwards; then nothing is written.
        """
        newest = tip(writing.connection)
        require_held(writing.connection, self._keys.ledger_head())
        return self._write(
            writing,
            newest[0] + 1,
            newest,
            event,
            payload,
            at=self._moment(writing.connection, newest[0]),
            subject_id=subject_id,
            sealed=sealed,
        )

    def resume_after_restore(self, writing: Writing, recorded: tuple[int, str]) -> int:
        """Go on behind the entries that a restored catalogue lost.

        The new entry says which numbers are lost and what the key store recorded as the head; the
        chain links from the newest entry that is left. Entries that a restored copy went on with by
        itself cannot exist: `append` refuses there.
        """
        newest = tip(writing.connection)
        lost = {"lost_from": newest[0] + 1, "lost_to": recorded[0], "recorded_hash": recorded[1]}
        return self._write(
            writing,
            recorded[0] + 1,
            newest,
            RESTORED,
            lost,
            at=self._moment(writing.connection, newest[0]),
        )

    def correct_clock(self) -> int:
        """Go on at this machine's time although the newest entry is dated later.

        For a clock that once ran ahead: without this, nothing could be appended until the time
        that was recorded by mistake. The new entry says what the newest one's date was; returns
        its sequence. Raises BadUsage where the clock does not run behind the ledger.
        """
        with self._database.writing() as writing:
            newest = tip(writing.connection)
            require_held(writing.connection, self._keys.ledger_head())
            last, now = self._newest_at(writing.connection, newest[0]), self._clock()
            if last is None or now >= last - CLOCK_SKEW:
                raise BadUsage(
                    "The clock does not run behind the ledger; there is nothing to correct.",
                    remedy="`likeness ledger show` says when the newest entries were written.",
                )
            said = {"newest": stamp(last)}
            return self._write(writing, newest[0] + 1, newest, CLOCK_CORRECTED, said, at=stamp(now))

    def say_again(
        self, writing: Writing, event: str, payload: dict[str, Any], *, subject_id: str
    ) -> int:
        """Add an act that a restored copy lost, in the transaction that resumes after it."""
        newest = tip(writing.connection)
        return self._write(
            writing,
            newest[0] + 1,
            newest,
            event,
            payload,
            at=self._moment(writing.connection, newest[0]),
            subject_id=subject_id,
        )

    def _write(
        self,
        writing: Writing,
        sequence: int,
        newest: tuple[int, str],
        event: str,
        payload: dict[str, Any],
        *,
        at: str,
        subject_id: str | None = None,
        sealed: bytes | None = None,
    ) -> int:
        connection = writing.connection
        salt = random_bytes(_SALT_BYTES)
        text = canonical(payload)
        entry = {
            "sequence": sequence,
            "at": at,
            "event": event,
            "payload_digest": payload_digest(salt, text, sealed, subject_id),
            "previous": newest[1],
        }
        digest = entry_hash(entry)
        connection.execute(
            insert(LEDGER_ENTRIES).values(
                **entry, hash=digest, tag=entry_tag(self._tag_key, digest)
            )
        )
        connection.execute(
            insert(LEDGER_PAYLOADS).values(
                sequence=sequence, subject_id=subject_id, salt=salt, payload=text, sealed=sealed
            )
        )
        connection.execute(update(LEDGER_TIP).values(sequence=sequence, hash=digest))
        writing.after_commit.append(partial(self._keys.record_ledger_head, sequence, digest))
        self._checkpoints.sign_when_due(writing, sequence, digest, at)
        return sequence

    def erase_payloads(self, writing: Writing, subject_id: str) -> int:
        """Remove what the entries about a person say, salts included; returns how many.

        The chain keeps their digests, and an entry of its own says which payloads are gone.
        """
        tip(writing.connection)  # held first: nobody adds an entry about the person meanwhile
        mine = LEDGER_PAYLOADS.c.subject_id == subject_id
        sequences = list(
            writing.connection.execute(
                select(LEDGER_PAYLOADS.c.sequence).where(mine).order_by(LEDGER_PAYLOADS.c.sequence)
            ).scalars()
        )
        if not sequences:
            return 0
        writing.connection.execute(delete(LEDGER_PAYLOADS).where(mine))
        self.append(writing, PAYLOADS_ERASED, {"entries": ranges(sequences)}, subject_id=None)
        writing.after_commit.append(self._database.truncate_log)
        return len(sequences)

    def sealed_part(self, connection: Connection, sequence: int) -> bytes | None:
        """The encrypted evidence beside an entry, None when there is none or it was erased."""
        return connection.execute(
            select(LEDGER_PAYLOADS.c.sealed).where(LEDGER_PAYLOADS.c.sequence == sequence)
        ).scalar()

    def _moment(self, connection: Connection, newest: int) -> str:
        """The time of a new entry, never before the one it follows."""
        now, last = self._clock(), self._newest_at(connection, newest)
        if last is None:
            return stamp(now)
        if now < last - CLOCK_SKEW:
            raise LikenessError(
                f"The clock of this machine is {(last - now).total_seconds():.0f} s behind the "
                "ledger; nothing was written.",
                remedy="Set the clock right (NTP), then run the command again. If the clock is "
                "right, it once ran ahead: `likeness ledger correct-clock` goes on from now.",
                code="clock_backwards",
            )
        return stamp(max(now, last))

    @staticmethod
    def _newest_at(connection: Connection, newest: int) -> datetime | None:
        last = connection.execute(
            select(LEDGER_ENTRIES.c.at).where(LEDGER_ENTRIES.c.sequence == newest)
        ).scalar()
        return None if last is None else datetime.fromisoformat(last)

    def entries(self, first: int, *, limit: int) -> list[Entry]:
        """Entries from a number on, without their payloads."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(
                    LEDGER_ENTRIES.c.sequence,
                    LEDGER_ENTRIES.c.at,
                    LEDGER_ENTRIES.c.event,
                    LEDGER_ENTRIES.c.hash,
                )
                .where(LEDGER_ENTRIES.c.sequence >= first)
                .order_by(LEDGER_ENTRIES.c.sequence)
                .limit(limit)
            )
            return [Entry(**row._mapping) for row in rows]

    def head(self) -> tuple[int, str]:
        """Sequence and hash of the newest entry; (0, zeros) before the first."""
        with self._database.reading() as connection:
            row = connection.execute(select(LEDGER_TIP.c.sequence, LEDGER_TIP.c.hash)).first()
        return (row.sequence, row.hash) if row else (0, BEGINNING)
