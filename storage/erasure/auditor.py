"""The auditor: tries to open what was erased, past the door and its rows, and must fail."""

from __future__ import annotations

from collections.abc import Iterable

from models.schema.errors import KeyDestroyed, NotFound, Tampered
from storage.catalogue.erasures import Item
from storage.objects.interface import ObjectStore
from storage.vault import Vault


class Auditor:
    """Asks the object store and the key store themselves, not the catalogue that led to them."""

    def __init__(self, *, store: ObjectStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    def opened(self, items: Iterable[Item]) -> list[str]:
        """The ids of those objects of which a key or a byte could still be had."""
        return [item.object_id for item in items if self._has_key(item) or self._has_bytes(item)]

    def _has_key(self, item: Item) -> bool:
        try:
            self._vault.object_key(item.object_id)
        except (KeyDestroyed, Tampered):
            return False
        return True

    def _has_bytes(self, item: Item) -> bool:
        try:
            with self._store.get(item.store_key) as sealed:
                return any(True for _ in sealed)
        except NotFound:
            return False
