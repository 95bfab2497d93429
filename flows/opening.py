"""The storage room of this process, opened once."""

from __future__ import annotations

from functools import lru_cache

from flows.settings import settings
from storage.assembly import Storage


@lru_cache(maxsize=1)
def storage() -> Storage:
    """The opened storage room; the first call of an empty home sets it up."""
    return Storage.open(settings().storage)
