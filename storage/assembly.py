"""The parts of the storage room, put together from addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from models.consent.rules import ConsentRules
from models.schema.errors import CheckFailed
from models.schema.retention import Retention
from storage.anchoring import Anchoring
from storage.catalogue.metadata import METADATA
from storage.catalogue.people import SUBJECTS
from storage.checkpoints import Checkpoints
from storage.clock import Clock, utc_now
from storage.consents import Consents
from storage.costs import Costs
from storage.database import Database
from storage.disclosures import Disclosures
from storage.door import Door
from storage.gate import Gate
from storage.key_store import KeyStore
from storage.ledger import Ledger
from storage.ledger_settings import LedgerSettings
from storage.ledger_verification import Verification
from storage.legal_bases import LegalBases
from storage.migrations import bring_up_to_date
from storage.minors import Minors
from storage.objects import open_store
from storage.objects.interface import ObjectStore
from storage.policies import Policies
from storage.reconcile import Reconciler
from storage.region import claim
from storage.requests import Requests
from storage.reviews import Reviews
from storage.statements import Statements
from storage.subject_access import SubjectAccess
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
    rules: ConsentRules = field(default_factory=ConsentRules)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)


@dataclass(frozen=True)
class Storage:
    """Everything of the storage room that flows may touch."""

    catalogue: Database
    keys: KeyStore
    vault: Vault
    ledger: Ledger
    anchoring: Anchoring
    checkpoints: Checkpoints
    verification: Verification
    door: Door
    subjects: Subjects
    minors: Minors
    policies: Policies
    legal_bases: LegalBases
    disclosures: Disclosures
    consents: Consents
    uploads: Uploads
    reviews: Reviews
    statements: Statements
    costs: Costs
    requests: Requests
    subject_access: SubjectAccess
    reconciler: Reconciler
    store: ObjectStore

    @classmethod
    def open(cls, addresses: StorageAddresses, *, clock: Clock = utc_now) -> Storage:
        """Open the room; sets up an empty home, keys included.

        Raises CheckFailed where there are records but no key store or master key, or the wrong
        one, Refused where what is stored belongs to another region, and ServiceUnavailable where a
        database or the object store does not answer.
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
        claim(catalogue, addresses.region)
        store = open_store(addresses.objects_url, region=addresses.region)
        checkpoints = Checkpoints(
            catalogue,
            keys,
            signing_key=vault.signing_key(),
            every=addresses.ledger.checkpoint_every,
            clock=clock,
        )
        ledger = Ledger(
            catalogue, keys, tag_key=vault.ledger_key(), checkpoints=checkpoints, clock=clock
        )
        anchoring = Anchoring(catalogue, ledger, after=addresses.ledger.anchor_after)
        verification = Verification(
            catalogue,
            keys,
            tag_key=vault.ledger_key(),
            public_key=checkpoints.public_key,
        )
        gate = Gate(region=addresses.region, rules=addresses.rules, clock=clock)
        door = Door(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            store=store,
            gate=gate,
            ledger=ledger,
            anchoring=anchoring,
            region=addresses.region,
            retention=addresses.retention,
            clock=clock,
        )
        subjects = Subjects(catalogue=catalogue, vault=vault, region=addresses.region, clock=clock)
        minors = Minors(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            subjects=subjects,
            retention=addresses.retention,
            clock=clock,
        )
        policies = Policies(
            catalogue=catalogue,
            keys=keys,
            ledger=ledger,
            gate=gate,
            rules=addresses.rules,
            clock=clock,
        )
        legal_bases = LegalBases(
            catalogue=catalogue, vault=vault, ledger=ledger, subjects=subjects, clock=clock
        )
        disclosures = Disclosures(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            gate=gate,
            subjects=subjects,
            retention=addresses.retention,
            clock=clock,
        )
        consents = Consents(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            gate=gate,
            subjects=subjects,
            minors=minors,
            retention=addresses.retention,
            clock=clock,
        )
        uploads = Uploads(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            gate=gate,
            door=door,
            consents=consents,
            subjects=subjects,
            retention=addresses.retention,
            clock=clock,
        )
        statements = Statements(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            gate=gate,
            door=door,
            consents=consents,
            subjects=subjects,
            uploads=uploads,
            clock=clock,
        )
        reviews = Reviews(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            gate=gate,
            door=door,
            uploads=uploads,
            clock=clock,
        )
        costs = Costs(
            catalogue=catalogue,
            ledger=ledger,
            subjects=subjects,
            retention=addresses.retention,
            clock=clock,
        )
        requests = Requests(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            gate=gate,
            subjects=subjects,
            retention=addresses.retention,
            clock=clock,
        )
        subject_access = SubjectAccess(
            catalogue=catalogue,
            vault=vault,
            ledger=ledger,
            gate=gate,
            subjects=subjects,
            uploads=uploads,
            requests=requests,
            clock=clock,
        )
        reconciler = Reconciler(
            catalogue=catalogue,
            keys=keys,
            store=store,
            door=door,
            ledger=ledger,
            uploads=uploads,
            anchoring=anchoring,
            checkpoints=checkpoints,
            clock=clock,
        )
        return cls(
            catalogue=catalogue,
            keys=keys,
            vault=vault,
            ledger=ledger,
            anchoring=anchoring,
            checkpoints=checkpoints,
            verification=verification,
            door=door,
            subjects=subjects,
            minors=minors,
            policies=policies,
            legal_bases=legal_bases,
            disclosures=disclosures,
            consents=consents,
            uploads=uploads,
            reviews=reviews,
            statements=statements,
            costs=costs,
            requests=requests,
            subject_access=subject_access,
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
