"""Writing the receipt of an order: what was removed, what stays and why, signed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from models.receipts.signing import sign, written
from models.schema.erasure import Step
from models.schema.kinds import KEY_BACKUP_DAYS
from models.schema.receipt import (
    Informed,
    Kept,
    KeptReason,
    KeptThing,
    Receipt,
    RemovedObject,
)
from storage.catalogue.erasures import Erasure, Item
from storage.catalogue.orders import Order
from storage.foundation import Foundation
from storage.recorded_erasures import RecordedErasures


class ReceiptWriter:
    """Writes and signs receipts, and keeps them in the key store."""

    def __init__(self, base: Foundation) -> None:
        self._base = base
        self._recorded = RecordedErasures(base.keys.database)

    def write(self, order: Order, progress: Erasure, removed: Sequence[Item], narrowed: int) -> str:
        """Sign the receipt of an order that is verified; returns the SHA-256 of the one on record.

        Of several workers the first one's stands: there is exactly one for an order.
        """
        now = self._base.clock()
        signed = sign(
            self._receipt(order, progress, removed, narrowed, now), self._base.vault.signing_key()
        )
        document = self._recorded.record_receipt(order.id, written(signed), at=now)
        return sha256(document.encode()).hexdigest()

    def _receipt(
        self,
        order: Order,
        progress: Erasure,
        removed: Sequence[Item],
        narrowed: int,
        now: datetime,
    ) -> Receipt:
        steps = _in_order(progress, order.created_at, signed_at=now)
        signed_at = steps[Step.SIGNED]
        told = Counter(progress.concerned.get("recipients", []))
        return Receipt(
            order=order.id,
            scope=order.scope.value,
            purpose=order.purpose,
            ground=order.ground,
            requester=order.requester,
            reference=order.reference,
            ordered_at=order.created_at,
            due_at=order.due_at,
            steps=steps,
            removed=tuple(
                RemovedObject(
                    object=item.object_id,
                    kind=item.kind,
                    store_key=item.store_key,
                    sealed_bytes=item.sealed_bytes or 0,
                    sealed_sha256=item.sealed_sha256,
                )
                for item in removed
            ),
            removed_rows={group: n for group, n in progress.removed_rows.items() if n},
            narrowed=narrowed,
            kept=tuple(self._kept(order, progress, narrowed, signed_at)),
            informed=tuple(
                Informed(
                    recipient=recipient,
                    disclosures=count,
                    told_at=progress.told.get(recipient),
                )
                for recipient, count in sorted(told.items())
            ),
            unreadable_from=(signed_at + timedelta(days=KEY_BACKUP_DAYS)).date(),
            region=self._base.gate.region,
        )

    def _kept(
        self, order: Order, progress: Erasure, narrowed: int, now: datetime
    ) -> Iterator[Kept]:
        concerned = progress.concerned
        suppressed = len(concerned["subjects"]) + len(concerned["accounts"])
        if suppressed:
            yield Kept(what=KeptThing.SUPPRESSION, count=suppressed, why=KeptReason.NOTHING_RETURNS)
        yield Kept(what=KeptThing.LEDGER_CHAIN, why=KeptReason.PROOF)
        yield Kept(what=KeptThing.ACCESS_LOG, why=KeptReason.NETWORK_LOGS)
        yield Kept(
            what=KeptThing.TOMBSTONES,
            count=max(1, sum(progress.removed_rows.values())),
            why=KeptReason.PROOF,
        )
        yield Kept(what=KeptThing.RECEIPT, why=KeptReason.PROOF)
        backups = (now + timedelta(days=KEY_BACKUP_DAYS)).date()
        yield Kept(what=KeptThing.KEY_BACKUPS, why=KeptReason.RECOVERY, until=backups)
        if kept := len(concerned["kept_uploads"]):
            yield Kept(what=KeptThing.SHARED_UPLOADS, count=kept, why=KeptReason.CHOSEN)
        if others := narrowed + len(concerned["narrowed_uploads"]):
            yield Kept(what=KeptThing.OTHER_PURPOSES, count=others, why=KeptReason.STILL_AGREED)
        if bases := len(concerned["bases"]):
            until = now + timedelta(days=self._base.retention.base_retraining_days)
            yield Kept(
                what=KeptThing.TAINTED_BASE,
                count=bases,
                why=KeptReason.RETRAINED,
                until=until.date(),
            )


def _in_order(
    progress: Erasure, ordered_at: datetime, *, signed_at: datetime
) -> dict[Step, datetime]:
    """When each step was done; never before the one before, though the clock was set back."""
    stated = {Step(name): datetime.fromisoformat(at) for name, at in progress.steps.items()}
    stated[Step.SIGNED] = signed_at
    steps: dict[Step, datetime] = {}
    latest = ordered_at
    for step in Step:
        if step in stated:
            latest = steps[step] = max(latest, stated[step])
    return steps
