"""The object store: ciphertext under random keys, in a folder or in an S3 bucket."""

from __future__ import annotations

from storage.objects.factory import open_store
from storage.objects.interface import Listed, ObjectStore, StoredObject

__all__ = ["Listed", "ObjectStore", "StoredObject", "open_store"]
