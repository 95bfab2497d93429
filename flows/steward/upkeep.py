"""All that the schedules do, once: for a house that has no Prefect server (DESIGN, Scale)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flows.settings import Settings
from flows.shielding import shielded
from flows.steward.reconcile import reconcile_all
from flows.steward.retention import let_expire
from flows.steward.sweep import Failed, Swept, exit_code_of, sweep_orders
from models.schema.errors import LikenessError
from storage.assembly import Storage
from storage.expiring import Expired
from storage.reconcile import Repairs


@dataclass
class Kept:
    """What was done."""

    repairs: Repairs = field(default_factory=Repairs)
    expired: Expired = field(default_factory=Expired)
    swept: Swept = field(default_factory=Swept)
    failed: list[Failed] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """See `exit_code_of`."""
        return exit_code_of(self.failed)


def keep_up(house: Storage, settings: Settings) -> Kept:
    """Reconcile, so that a restored catalogue knows what it owes; let expire; sweep the orders.

    What one of them fails with keeps none of the others from its turn.
    """
    kept = Kept()
    with _told(kept):
        kept.repairs = shielded(reconcile_all)(house, settings)
    with _told(kept):
        kept.expired = shielded(let_expire)(house)
    with _told(kept):
        kept.swept = shielded(sweep_orders)(house)
    kept.failed += kept.swept.failed
    return kept


@contextmanager
def _told(kept: Kept) -> Iterator[None]:
    try:
        yield
    except LikenessError as error:
        kept.failed.append(Failed(None, error))
