"""Reconcile: the stores among themselves, then the folders that dead processes left."""

from __future__ import annotations

from flows.settings import Settings
from flows.steward.scratch import clear_dead
from storage.assembly import Storage
from storage.reconcile import Repairs


def reconcile_all(storage: Storage, settings: Settings) -> Repairs:
    """Put everything right that is due now; returns what was done."""
    repairs = storage.reconciler.run()
    repairs.scratch_removed += clear_dead(settings)
    return repairs
