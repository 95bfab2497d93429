"""Retention: what has run out goes by itself (Policy P09, P25)."""

from __future__ import annotations

from storage.assembly import Storage
from storage.expiring import Expired


def let_expire(house: Storage) -> Expired:
    """Let everything go whose time is over; a hold keeps what it is about.

    Raises ServiceUnavailable where a store does not answer; the rest goes the next time.
    """
    return house.expiring.run()
