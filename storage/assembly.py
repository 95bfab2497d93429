"""The parts of the storage room, put together from addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from models.schema.errors import CheckFailed
from models.schema.retention import Retention
from storage.catalogue.metadata import METADATA
from storage.catalogue.people import SUBJECTS
from storage.clock import Clock, utc_now
from storage.consents import Consents
from storage.database import Database
from storage.door import Door
from storage.gate import Gate
from storage.key_store import KeyStore
from storage.ledger import Ledger
from storage.migrations import bring_up_to_date
from storage.objects import open_store
from storage.objects.interface import ObjectStore
from storage.reconcile import Reconciler
from storage.subjects import Subjects
from storage.uploads import Uploads
from storage.vault import Vault, holds_keys


@dataclass(frozen=True)
class StorageAddresses:
    """Where the catalogue, the key store, the objects and the master key are."""

    catalogue_url: str
    keys_url: str
    objects_url: str
    keys_folder: Path
    region: str
    retention: Retention


@dataclass(frozen=True)
class Storage:
    """Everything of the storage room that flows may touch."""

    catalogue: Database
    keys: KeyStore
    vault: Vault
    ledger: Ledger
    door: Door
    subjects: Subjects
    consents: Consents
    uploads: Uploads
    reconciler: Reconciler
    store: ObjectStore

    @classmethod
    def open(cls, addresses: StorageAddresses, *, clock: Clock = utc_now) -> Storage:
        """Open the room; sets up an empty home, keys included.

        Raises CheckFailed where there are records but no key store or master key, or the wrong
        one, and ServiceUnavailable where a database or the object store does not answer.
        """
        # The home first: what lies in it is nobody else's to list.
        for folder in (addresses.keys_folder.parent, addresses.keys_folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        catalogue = Database(addresses.catalogue_url, what="catalogue")
        keys = KeyStore(Database(addresses.keys_url, what="key store"))
        bring_up_to_date(keys.database, "keys")
        _refuse_lost_keys(catalogue, keys)
        vault = Vault.open(keys, addresses.keys_folder, clock=clock)
        bring_up_to_date(catalogue, "catalogue")
        store = open_store(addresses.objects_url, region=addresses.region)
        ledger = Ledger(catalogue, keys, clock=clock)
        gate = Gate(ledger, region=addresses.region)
        door = Door(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            store=store,
            gate=gate,
            ledger=ledger,
            region=addresses.region,
            retention=addresses.retention,
            clock=clock,
        )
        subjects = Subjects(catalogue=catalogue, vault=vault, region=addresses.region, clock=clock)
        consents = Consents(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            gate=gate,
            subjects=subjects,
            retention=addresses.retention,
            clock=clock,
        )
        uploads = Uploads(
            catalogue=catalogue,
            vault=vault,
            ledger=ledger,
            gate=gate,
            door=door,
            consents=consents,
            subjects=subjects,
            retention=addresses.retention,
            clock=clock,
        )
        reconciler = Reconciler(
            catalogue=catalogue,
            keys=keys,
            store=store,
            door=door,
            ledger=ledger,
            uploads=uploads,
            clock=clock,
        )
        return cls(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            door=door,
            subjects=subjects,
            consents=consents,
            uploads=uploads,
            reconciler=reconciler,
            store=store,
        )


def _refuse_lost_keys(catalogue: Database, keys: KeyStore) -> None:
    # The catalogue is asked first: another process may be setting up the same home, and whoever
    # records a person has made the keys before.
    if not catalogue.has_tables(METADATA):
        return
    with catalogue.reading() as connection:
        known = connection.execute(select(SUBJECTS.c.id)).first() is not None
    if known and not holds_keys(keys):
        raise CheckFailed(
            "There are records of people, but their key store is empty.",
            remedy="Put the key store and the master key back from their backups; "
            "new keys could not open what is stored.",
        )
