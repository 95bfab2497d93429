"""What of erasures must outlive a restored catalogue, in the key store (invariant 5).

Orders, receipts, the suppression list and holds: random ids, codes and keyed digests, no personal
data. Each is written here before success is answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from models.schema.purposes import Purpose
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.freezes import Scope
from storage.catalogue.holds import Hold
from storage.catalogue.orders import Order, OrderState, order_columns, order_from
from storage.database import Database
from storage.key_store import METADATA

RECORDED_ORDERS = Table(
    "recorded_orders",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("scope_id", String(32), nullable=False),
    Column("purpose", String(32)),
    Column("ground", String(32), nullable=False),
    Column("requester", String(16), nullable=False),
    Column("keep_shared", Boolean, nullable=False),
    Column("reference", String(64)),
    Column("state", String(16), nullable=False),
    Column("ledger_sequence", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("starts_at", UtcDateTime),
    Column("due_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
)

RECEIPTS = Table(
    "receipts",
    METADATA,
    Column("order_id", String(32), primary_key=True),
    # Canonical JSON of the signed receipt (RFC 8785).
    Column("document", Text, nullable=False),
    Column("signed_at", UtcDateTime, nullable=False),
)

RECEIPT_SALTS = Table(
    "receipt_salts",
    METADATA,
    Column("order_id", String(32), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
)
"""The salt of each order's reference, until the person's copy was handed out."""

SUPPRESSIONS = Table(
    "suppressions",
    METADATA,
    # Keyed, so that the list names nobody.
    Column("digest", String(64), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("purposes", JSON, nullable=False),
    Column("order_id", String(32), nullable=False),
    Column("since", UtcDateTime, nullable=False),
)

RECORDED_HOLDS = Table(
    "recorded_holds",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("scope_id", String(32), nullable=False),
    Column("case", String(1), nullable=False),
    Column("document_digest", String(64), nullable=False),
    Column("ledger_sequence", Integer, nullable=False),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("lifted_at", UtcDateTime),
)


@dataclass(frozen=True)
class Suppression:
    """Somebody who was erased, known by a keyed digest: nothing of theirs comes back by itself.

    An account's is final (Policy P18). A person's stands until they agree again, explicitly.
    """

    digest: str
    scope: Scope
    purposes: frozenset[Purpose]
    order_id: str
    since: datetime


class RecordedErasures:
    """Reads and writes these records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- orders -------------------------------------------------------------------------------

    def record_order(self, order: Order, *, salt: bytes | None) -> None:
        """Remember an order; recording the same one again changes nothing."""
        try:
            with self._database.writing() as writing:
                writing.connection.execute(insert(RECORDED_ORDERS).values(**order_columns(order)))
                if salt is not None:
                    writing.connection.execute(
                        insert(RECEIPT_SALTS).values(order_id=order.id, salt=salt)
                    )
        except IntegrityError:
            pass

    def record_state(
        self, order_id: str, state: OrderState, *, done_at: datetime | None = None
    ) -> None:
        """Remember that an order was cancelled or is done; idempotent."""
        values = {"state": state.value, "done_at": done_at}
        with self._database.writing() as writing:
            writing.connection.execute(
                update(RECORDED_ORDERS).where(RECORDED_ORDERS.c.id == order_id).values(**values)
            )

    def orders(self) -> list[Order]:
        """Every order ever recorded, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(RECORDED_ORDERS).order_by(RECORDED_ORDERS.c.ledger_sequence)
            )
            return [order_from(row._mapping) for row in rows]

    # --- receipts -----------------------------------------------------------------------------

    def record_receipt(self, order_id: str, document: str, *, at: datetime) -> str:
        """Keep an order's receipt; returns the one that stands, which is the first."""
        try:
            with self._database.writing() as writing:
                writing.connection.execute(
                    insert(RECEIPTS).values(order_id=order_id, document=document, signed_at=at)
                )
        except IntegrityError:
            pass
        return self.receipt(order_id) or document

    def receipt(self, order_id: str) -> str | None:
        """The signed receipt of an order; None before it is done."""
        with self._database.reading() as connection:
            return connection.execute(
                select(RECEIPTS.c.document).where(RECEIPTS.c.order_id == order_id)
            ).scalar()

    def take_salt(self, order_id: str) -> bytes | None:
        """The salt of an order's reference, once: taken, it is forgotten here."""
        with self._database.writing() as writing:
            mine = RECEIPT_SALTS.c.order_id == order_id
            salt = writing.connection.execute(
                select(RECEIPT_SALTS.c.salt).where(mine).with_for_update()
            ).scalar()
            writing.connection.execute(delete(RECEIPT_SALTS).where(mine))
            writing.after_commit.append(self._database.truncate_log)
        return salt

    # --- suppressions -------------------------------------------------------------------------

    def suppress(self, suppression: Suppression) -> None:
        """Remember somebody as erased; a later order about the same widens nothing and stands."""
        values = {
            **vars(suppression),
            "scope": suppression.scope.value,
            "purposes": sorted(purpose.value for purpose in suppression.purposes),
        }
        with self._database.writing() as writing:
            mine = SUPPRESSIONS.c.digest == suppression.digest
            if writing.connection.execute(
                update(SUPPRESSIONS).where(mine).values(**values)
            ).rowcount:
                return
        try:
            with self._database.writing() as writing:
                writing.connection.execute(insert(SUPPRESSIONS).values(**values))
        except IntegrityError:
            pass

    def suppression(self, digest: str) -> Suppression | None:
        """The entry of this digest."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(SUPPRESSIONS).where(SUPPRESSIONS.c.digest == digest)
            ).first()
        if row is None:
            return None
        return Suppression(
            digest=row.digest,
            scope=Scope(row.scope),
            purposes=frozenset(Purpose(name) for name in row.purposes),
            order_id=row.order_id,
            since=row.since,
        )

    # --- holds --------------------------------------------------------------------------------

    def record_hold(self, hold: Hold) -> None:
        """Remember a hold; recording the same one again changes nothing."""
        try:
            with self._database.writing() as writing:
                writing.connection.execute(
                    insert(RECORDED_HOLDS).values(**{**vars(hold), "scope": hold.scope.value})
                )
        except IntegrityError:
            pass

    def record_hold_lifted(self, hold_id: str, at: datetime) -> None:
        """Remember that a hold was lifted; idempotent."""
        with self._database.writing() as writing:
            writing.connection.execute(
                update(RECORDED_HOLDS)
                .where(RECORDED_HOLDS.c.id == hold_id, RECORDED_HOLDS.c.lifted_at.is_(None))
                .values(lifted_at=at)
            )

    def holds(self) -> list[Hold]:
        """Every hold ever recorded, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(RECORDED_HOLDS).order_by(RECORDED_HOLDS.c.placed_at))
            return [Hold(**{**row._mapping, "scope": Scope(row.scope)}) for row in rows]
