"""Is anything left of what an erasure concerned? Asked of every store, never of memory.

An erasure is reported done only where all of this found nothing (invariant 6); a receipt that is
checked against the live stores asks the same again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import select

from storage.catalogue import tombstones
from storage.catalogue.decisions import LEDGER_PAYLOADS
from storage.catalogue.erasures import Action, Erasure, Item, items_of
from storage.catalogue.orders import Order
from storage.database import Database
from storage.erasure.auditor import Auditor
from storage.erasure.elsewhere import Elsewhere
from storage.erasure.plan import Target, collect
from storage.objects.interface import ObjectStore
from storage.vault import Vault

_AUDITED: Final = 100
"""Objects, drawn at random, that the auditor tries to open one by one: it shows that the listing
and the count of keys, which are asked about every object, say what opening says."""


class Left(StrEnum):
    """Where something was found."""

    IN_STORE = "in_store"
    KEYS = "keys"
    ROWS = "rows"
    OPENED = "opened"
    """An auditor had a key or a byte of it."""
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Leftovers:
    """What was found, by place; store keys so that they can be deleted again."""

    store_keys: frozenset[str] = frozenset()
    counts: tuple[tuple[Left, int], ...] = ()

    @property
    def places(self) -> str:
        """`in_store 2, keys 1`, for a message."""
        return ", ".join(f"{place} {count}" for place, count in self.counts)


class Verification:
    """Looks at the object store, the key store, the catalogue and elsewhere."""

    def __init__(self, *, catalogue: Database, vault: Vault, store: ObjectStore) -> None:
        self._catalogue = catalogue
        self._vault = vault
        self._store = store
        self._auditor = Auditor(store=store, vault=vault)

    def leftovers(
        self, order: Order, erasure: Erasure, *, elsewhere: Sequence[Elsewhere] = ()
    ) -> Leftovers:
        """Everything that is left; no counts mean nothing."""
        with self._catalogue.reading() as connection:
            items = items_of(connection, order.id, Action.ERASE)
        keys = [item.store_key for item in items] + erasure.concerned.get("reaped", [])
        present = self._store.present_among(keys)
        found = {
            Left.IN_STORE: len(present),
            Left.KEYS: self._vault.living_keys(
                objects=[item.object_id for item in items],
                owners=[
                    *erasure.concerned.get("subjects", []),
                    *erasure.concerned.get("artefacts", []),
                ],
            ),
            Left.ROWS: self._rows(order, erasure),
            Left.OPENED: len(self._auditor.opened(_drawn(items))),
            Left.ELSEWHERE: sum(place.left(erasure.concerned) for place in elsewhere),
        }
        return Leftovers(
            frozenset(present), tuple((place, count) for place, count in found.items() if count)
        )

    def _rows(self, order: Order, erasure: Erasure) -> int:
        """Rows that still name somebody who was erased, or that a new plan would take."""
        with self._catalogue.reading() as connection:
            plan = collect(connection, Target.of(order))
            named = [
                subject_id
                for subject_id in erasure.concerned.get("subjects", [])
                if not tombstones.named_nowhere(connection, subject_id)
                or connection.execute(
                    select(LEDGER_PAYLOADS.c.sequence).where(
                        LEDGER_PAYLOADS.c.subject_id == subject_id
                    )
                ).first()
            ]
        again = sum(len(group) for group in plan.erased_groups.values()) + len(plan.items)
        return again + len(named)


def _drawn(items: Iterable[Item]) -> list[Item]:
    known = list(items)
    return known if len(known) <= _AUDITED else random.SystemRandom().sample(known, _AUDITED)
