"""Putting right what crashes and time leave behind.

Safe while everything else runs: it takes only what a row gives up, and never what an open run with
a living worker or a valid lease is writing. Each step is idempotent, so it may itself be killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from models.schema.errors import FenceLost, Refused
from storage.anchoring import Anchoring
from storage.catalogue import erasures, freezes, objects, orders, runs, uploads
from storage.catalogue.objects import ObjectState
from storage.catalogue.orders import OrderState
from storage.catalogue.runs import RunState
from storage.catalogue.uploads import UploadState
from storage.checkpoints import Checkpoints
from storage.door import LONGEST_WRITE, Door
from storage.erasure.carrying_out import CarryingOut
from storage.expiring import Expiring
from storage.foundation import Foundation
from storage.freezing import recorded
from storage.objects.interface import ObjectStore
from storage.recorded_erasures import RecordedErasures
from storage.registers.uploads import Uploads
from storage.restoration import apply_recorded
from storage.worker import is_dead

_PAGE: Final = 500


@dataclass
class Repairs:
    """What reconcile found and did, as counts."""

    freezes_restored: int = 0
    policies_restored: int = 0
    orders_restored: int = 0
    holds_restored: int = 0
    orders_recorded: int = 0
    """Orders and freezes that a crash kept from the key store."""
    erased_again: int = 0
    """Orders carried out again, because a copy brought back what they had erased."""
    ledger_entries_lost: int = 0
    runs_reaped: int = 0
    writes_removed: int = 0
    reaped_keys_visited: int = 0
    late_writes_removed: int = 0
    deletions_finished: int = 0
    expired_erased: int = 0
    challenges_forgotten: int = 0
    uploads_abandoned: int = 0
    quarantine_emptied: int = 0
    strays_removed: int = 0
    unfinished_removed: int = 0
    scratch_removed: int = 0
    held: int = 0
    """Objects whose time is over and that a hold keeps (Policy P20)."""

    @property
    def total(self) -> int:
        """How many things were put right."""
        told = {"reaped_keys_visited", "held"}
        return sum(int(n) for name, n in vars(self).items() if name not in told)


class Reconciler:
    """Walks the catalogue, the key store and the object store once."""

    def __init__(
        self,
        base: Foundation,
        *,
        store: ObjectStore,
        door: Door,
        uploads: Uploads,
        anchoring: Anchoring,
        checkpoints: Checkpoints,
        carrying_out: CarryingOut,
        expiring: Expiring,
    ) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._store = store
        self._door = door
        self._ledger = base.ledger
        self._uploads = uploads
        self._anchoring = anchoring
        self._checkpoints = checkpoints
        self._carrying_out = carrying_out
        self._expiring = expiring
        self._recorded = RecordedErasures(base.keys.database)
        self._clock = base.clock

    def run(self) -> Repairs:
        """Do everything that is due now; returns what was done."""
        now = self._clock()
        repairs = Repairs()
        self._apply_recorded(repairs)
        self._record_missing(repairs)
        self._reap_dead_runs(repairs, now)
        self._abandon_unreceived(repairs)
        self._remove_unfinished_writes(repairs)
        self._visit_reaped_keys(repairs, now)
        self._let_expire(repairs)
        self._finish_deletions(repairs)
        self._erase_again(repairs)
        self._remove_strays(repairs)
        self._anchoring.anchor()
        self._checkpoints.sign()
        self._catalogue.truncate_log()
        return repairs

    def _apply_recorded(self, repairs: Repairs) -> None:
        restored = apply_recorded(self._catalogue, self._keys, self._ledger)
        repairs.freezes_restored = restored.freezes
        repairs.policies_restored = restored.policies
        repairs.ledger_entries_lost = restored.ledger_entries
        repairs.orders_restored = restored.orders
        repairs.holds_restored = restored.holds

    def _record_missing(self, repairs: Repairs) -> None:
        """What was committed here and, by a crash, not recorded in the key store."""
        with self._catalogue.reading() as connection:
            ordered = orders.all_orders(connection)
            frozen = freezes.all_freezes(connection)
        known = {order.id for order in self._recorded.orders()}
        for order in ordered:
            if order.id not in known:
                self._recorded.record_order(order, salt=None)
                repairs.orders_recorded += 1
        known = {freeze.id for freeze in self._keys.freezes()}
        for freeze in frozen:
            if freeze.id not in known:
                self._keys.record_freeze(recorded(freeze))
                repairs.orders_recorded += 1

    def _erase_again(self, repairs: Repairs) -> None:
        """Orders that are done by the key store's record and owed by a restored catalogue's."""
        done = {o.id for o in self._recorded.orders() if o.state is OrderState.DONE}
        with self._catalogue.reading() as connection:
            owed = [o.id for o in orders.unfinished_orders(connection) if o.id in done]
        for order_id in owed:
            with suppress(FenceLost, Refused):  # another worker is at it, or a hold is in force
                self._carrying_out.run(order_id)
                repairs.erased_again += 1

    def _reap_dead_runs(self, repairs: Repairs, now: datetime) -> None:
        with self._catalogue.reading() as connection:
            rows = runs.runs_in_state(connection, RunState.OPEN)
        for run in rows:
            if run.lease_until > now and not is_dead(run.worker):
                continue
            with self._catalogue.writing() as writing:
                repairs.runs_reaped += runs.end_run(
                    writing.connection, run.id, RunState.REAPED, at=now
                )

    def _remove_unfinished_writes(self, repairs: Repairs) -> None:
        with self._catalogue.reading() as connection:
            rows = runs.unfinished_runs(connection)
        for run in rows:
            repairs.writes_removed += self._door.remove_writes(run.id)

    def _visit_reaped_keys(self, repairs: Repairs, now: datetime) -> None:
        """A write that was under way when its key was reaped may have arrived since."""
        with self._catalogue.reading() as connection:
            intents = objects.reaped_intents(connection)
        for intent in intents:
            repairs.reaped_keys_visited += 1
            if self._store.stat(intent.store_key) is not None:
                repairs.late_writes_removed += 1
            self._store.delete(intent.store_key)
            if intent.visit_until is not None and intent.visit_until <= now:
                with self._catalogue.writing() as writing:
                    objects.forget_intent(writing.connection, intent.object_id)

    def _finish_deletions(self, repairs: Repairs) -> None:
        with self._catalogue.reading() as connection:
            # What an order under way has planned is deleted by whoever carries it out.
            planned = erasures.planned_objects(connection)
            deleting = [
                row
                for row in objects.objects_in_state(connection, ObjectState.DELETING)
                if row.id not in planned
            ]
            quarantined = objects.quarantined_of_ended(connection)
        self._door.finish_deleting(deleting)
        repairs.deletions_finished = len(deleting)
        repairs.quarantine_emptied = self._door.delete([row.id for row in quarantined])

    def _abandon_unreceived(self, repairs: Repairs) -> None:
        """Uploads whose receiving ended with its process."""
        with self._catalogue.reading() as connection:
            receiving = [
                upload
                for upload in uploads.uploads_in_state(connection, UploadState.RECEIVING)
                if runs.open_run_of(connection, upload.id) is None
                and runs.was_begun(connection, upload.id)
            ]
        for upload in receiving:
            self._uploads.abandon(upload)
            repairs.uploads_abandoned += 1

    def _let_expire(self, repairs: Repairs) -> None:
        expired = self._expiring.run()
        repairs.uploads_abandoned += expired.uploads_abandoned
        repairs.expired_erased = expired.expired_erased
        repairs.challenges_forgotten = expired.challenges_forgotten
        repairs.held = expired.held

    def _remove_strays(self, repairs: Repairs) -> None:
        """Keys that no row accounts for. Listing comes before asking: an intent comes before its
        bytes, so whatever was listed has its row by the time the rows are asked."""
        listed = (entry.key for entry in self._store.list_keys())
        for page in _pages(listed):
            with self._catalogue.reading() as connection:
                known = objects.known_among(connection, page)
            for key in page:
                if key not in known:
                    self._store.delete(key)
                    repairs.strays_removed += 1
        repairs.unfinished_removed += self._store.clear_unfinished(older_than=LONGEST_WRITE)


def _pages(keys: Iterator[str]) -> Iterator[list[str]]:
    while page := list(islice(keys, _PAGE)):
        yield page
