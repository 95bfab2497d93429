"""Are the anchored accesses as they were? Each batch's Merkle root is computed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from sqlalchemy import Connection, select

from storage.anchoring import access_root
from storage.catalogue.decisions import ACCESS_LOG


@dataclass(frozen=True)
class AnchoredRoot:
    """What an anchoring entry of the ledger says about its batch."""

    root: str
    count: int


def wrong_accesses(
    connection: Connection, anchors: Mapping[int, AnchoredRoot], doubted: Set[int]
) -> Iterator[tuple[int, str]]:
    """The ledger sequence of each batch that is not as it was anchored, and how.

    `doubted` are anchoring entries that cannot be relied on themselves; they are passed over.
    """
    for sequence, anchored in anchors.items():
        try:
            rows = connection.execute(
                select(ACCESS_LOG)
                .where(ACCESS_LOG.c.anchor == sequence)
                .order_by(ACCESS_LOG.c.at, ACCESS_LOG.c.id)
                .limit(anchored.count + 1)
            ).all()
            if len(rows) < anchored.count:
                yield sequence, "accesses_removed"
            elif len(rows) > anchored.count:
                yield sequence, "accesses_added"
            elif access_root(rows) != anchored.root:
                yield sequence, "accesses_changed"
        except (ValueError, TypeError):  # a value that is none of its column's type
            yield sequence, "accesses_changed"
    for sequence in connection.execute(
        select(ACCESS_LOG.c.anchor).where(ACCESS_LOG.c.anchor.is_not(None)).distinct()
    ).scalars():
        # SQLite keeps what it is given: a text here names no batch, and its own lacks a row.
        if isinstance(sequence, int) and sequence not in anchors and sequence not in doubted:
            yield sequence, "accesses_added"
