"""Anchoring the access log in the ledger: the Merkle root of each batch becomes an entry.

An access is durable the moment it is written; only its anchoring is batched. Once a batch is
anchored, a changed or removed access is found by `storage.ledger_verification`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, select, update

from storage.catalogue.decisions import ACCESS_LOG
from storage.chain import ACCESSES_ANCHORED, canonical, stamp
from storage.checkpoints import tip
from storage.database import Database
from storage.ledger import Ledger
from storage.merkle import root_of

BATCH: Final = 10_000
"""Accesses in one anchoring entry at most; a writer waits no longer than this many take."""


class Anchoring:
    """Anchors accesses that no ledger entry covers yet."""

    def __init__(self, catalogue: Database, ledger: Ledger, *, after: int = 1_000) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._after = after

    def waiting(self) -> int:
        """How many accesses are not anchored yet."""
        with self._catalogue.reading() as connection:
            return int(
                connection.execute(
                    select(func.count()).where(ACCESS_LOG.c.anchor.is_(None))
                ).scalar_one()
            )

    def anchor_if_due(self) -> int:
        """Anchor when more accesses wait than may; returns how many were anchored.

        Cheap to ask: it looks at no more of the index than may wait.
        """
        waits = ACCESS_LOG.c.anchor.is_(None)
        with self._catalogue.reading() as connection:
            due = connection.execute(
                select(ACCESS_LOG.c.anchor).where(waits).offset(self._after).limit(1)
            ).first()
        return self.anchor() if due else 0

    def anchor(self) -> int:
        """Anchor everything that waits, in batches; returns how many accesses."""
        anchored = 0
        while batch := self._anchor_batch():
            anchored += batch
        return anchored

    def _anchor_batch(self) -> int:
        with self._catalogue.writing() as writing:
            connection = writing.connection
            tip(connection)  # held first, so that of two anchorings one comes after the other
            rows = connection.execute(
                select(ACCESS_LOG)
                .where(ACCESS_LOG.c.anchor.is_(None))
                .order_by(ACCESS_LOG.c.at, ACCESS_LOG.c.id)
                .limit(BATCH)
            ).all()
            if not rows:
                return 0
            payload = {
                "count": len(rows),
                "first": rows[0].id,
                "last": rows[-1].id,
                "root": access_root(rows),
            }
            sequence = self._ledger.append(writing, ACCESSES_ANCHORED, payload, subject_id=None)
            ids = [row.id for row in rows]
            for start in range(0, len(ids), 500):
                connection.execute(
                    update(ACCESS_LOG)
                    .where(ACCESS_LOG.c.id.in_(ids[start : start + 500]))
                    .values(anchor=sequence)
                )
        return len(rows)


def access_root(rows: Sequence[Any]) -> str:
    """The Merkle root over accesses in the order given."""
    return root_of([_leaf(row) for row in rows])


def _leaf(row: Any) -> bytes:
    return canonical(
        {
            "id": row.id,
            "at": stamp(row.at),
            "object": row.object_id,
            "subject": row.subject_id,
            "kind": row.kind,
            "role": row.role,
            "operation": row.operation,
            "purposes": row.purposes,
            "reference": row.reference,
            "count": row.object_count,
        }
    ).encode()
