"""Whom an erasure has to be told to: the recipients of earlier disclosures (Policy P08a).

What left is no longer in our hands; who received it is told that the person was erased, by order
and not by name, and what of it they must delete stands in their own records of the disclosure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from models.schema.errors import NotFound
from storage.catalogue import erasures
from storage.catalogue.disclosures import all_recipients, recipient_named
from storage.foundation import Foundation
from storage.identifiers import checked_id

RECIPIENT_TOLD: Final = "recipient_told"


@dataclass(frozen=True)
class Notice:
    """One recipient who is to be told of one erasure, or was."""

    order: str
    recipient: str
    """Its registered name, an organisation's."""
    disclosures: int
    told_at: datetime | None


class Notices:
    """Lists whom to tell, and records that they were told."""

    def __init__(self, base: Foundation) -> None:
        self._catalogue = base.catalogue
        self._ledger = base.ledger
        self._clock = base.clock

    def all(self) -> list[Notice]:
        """Every notice that any erasure made necessary, those not given yet first."""
        with self._catalogue.reading() as connection:
            names = {recipient.id: name for name, recipient in all_recipients(connection)}
            found = [
                Notice(
                    erasure.order_id,
                    names[recipient],
                    count,
                    _told_at(erasure.told, recipient),
                )
                for erasure in erasures.all_erasures(connection)
                for recipient, count in sorted(
                    Counter(erasure.concerned.get("recipients", [])).items()
                )
            ]
        return sorted(found, key=lambda notice: notice.told_at is not None)

    def told(self, order_id: str, name: str) -> Notice:
        """Record that a recipient was told of an erasure; again, the first time stands.

        Raises NotFound where that recipient received nothing of what the order erased.
        """
        order_id = checked_id(order_id, what="order")
        with self._catalogue.writing() as writing:
            recipient = recipient_named(writing.connection, name)
            erasure = erasures.erasure_of(writing.connection, order_id)
            received = Counter(erasure.concerned.get("recipients", [])) if erasure else Counter()
            if erasure is None or recipient is None or recipient.id not in received:
                raise NotFound(
                    "There is no such notice to give.",
                    remedy="`likeness disclose notices` lists whom to tell of which order.",
                )
            told = {recipient.id: self._clock().isoformat(), **erasure.told}
            if erasure.told != told:
                erasures.record_told(writing.connection, order_id, told)
                self._ledger.append(
                    writing,
                    RECIPIENT_TOLD,
                    {"order": order_id, "recipient": recipient.id},
                    subject_id=None,
                )
        return Notice(order_id, name, received[recipient.id], _told_at(told, recipient.id))


def _told_at(told: dict[str, str], recipient: str) -> datetime | None:
    at = told.get(recipient)
    return datetime.fromisoformat(at) if at else None
