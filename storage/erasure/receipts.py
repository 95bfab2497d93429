"""Receipts: shown, handed to the person once, and checked against the live stores (Policy P17)."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from models.receipts.finding import Finding
from models.receipts.signing import read, signature_findings
from models.schema.errors import NotFound, Refused
from models.schema.receipt import Receipt, SignedReceipt
from storage.catalogue.objects import OBJECTS, ObjectState
from storage.database import Database
from storage.erasure.plan import Target, collect
from storage.foundation import Foundation
from storage.identifiers import checked_id
from storage.objects.interface import ObjectStore
from storage.recorded_erasures import RecordedErasures

_PAGE = 500


class Receipts:
    """Reads the receipts on record."""

    def __init__(self, base: Foundation, *, store: ObjectStore) -> None:
        self._catalogue: Database = base.catalogue
        self._vault = base.vault
        self._store = store
        self._recorded = RecordedErasures(base.keys.database)

    @property
    def public_key(self) -> str:
        """The key that every receipt of this house is signed with, 64 hexadecimal digits."""
        return bytes(self._vault.signing_key().verify_key).hex()

    def of(self, order_id: str) -> SignedReceipt:
        """The receipt of an order; raises NotFound for an order that is not done, or not known."""
        document = self._recorded.receipt(checked_id(order_id, what="order"))
        if document is None:
            raise NotFound(
                "There is no receipt of such an order.",
                remedy="`likeness erase status` shows the orders; a receipt is there once one is "
                "done.",
            )
        return read(document)

    def for_person(self, order_id: str) -> SignedReceipt:
        """The person's copy, with the salt of its reference; it is given once, then forgotten.

        Raises NotFound as `of` does, Refused where it was given before or nobody was named.
        """
        signed = self.of(order_id)
        salt = self._recorded.take_salt(order_id)
        if salt is None:
            raise Refused(
                "The person's copy of this receipt was given before; its salt is known here no "
                "more.",
                remedy="Whoever has that copy can show whom it is about; without --person the "
                "receipt is shown as often as wanted.",
                code="already_given",
            )
        return signed.model_copy(update={"salt": salt.hex()})

    def findings(self, signed: SignedReceipt) -> list[Finding]:
        """What is wrong with a receipt, and whatever of it has come back to the live stores."""
        found = list(signature_findings(signed, self.public_key))
        if found:
            return found
        receipt = signed.receipt
        try:
            known = self.of(receipt.order)
        except NotFound:
            return [Finding("unknown_order", "This house has no receipt of such an order.")]
        if known.receipt != receipt:
            found.append(Finding("not_on_record", "The receipt on record says something else."))
        return [*found, *self._come_back(receipt)]

    def _come_back(self, receipt: Receipt) -> Iterator[Finding]:
        present = self._store.present_among(each.store_key for each in receipt.removed)
        if present:
            yield Finding(
                "bytes_came_back",
                f"The object store lists {len(present)} of the objects that were removed.",
            )
        if keys := self._vault.living_keys(objects=[each.object for each in receipt.removed]):
            yield Finding("keys_came_back", f"{keys} of the destroyed keys are there again.")
        if rows := self._rows(receipt):
            yield Finding(
                "rows_came_back",
                f"The catalogue holds {rows} records of what was removed.",
            )

    def _rows(self, receipt: Receipt) -> int:
        """Rows that are no tombstones although the receipt says so, and what a new plan finds."""
        gone = {each.object: each.sealed_sha256 for each in receipt.removed}
        found: set[str] = set()
        with self._catalogue.reading() as connection:
            for start in range(0, len(gone), _PAGE):
                page = sorted(gone)[start : start + _PAGE]
                for column, values in (
                    (OBJECTS.c.id, page),
                    (OBJECTS.c.sealed_sha256, [gone[each] for each in page]),
                ):
                    found.update(
                        connection.execute(
                            select(OBJECTS.c.id).where(
                                column.in_(values), OBJECTS.c.state != ObjectState.ERASED.value
                            )
                        ).scalars()
                    )
            order = next((o for o in self._recorded.orders() if o.id == receipt.order), None)
            plan = None if order is None else collect(connection, Target.of(order))
        again = 0 if plan is None else sum(len(group) for group in plan.erased_groups.values())
        return len(found) + again
