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
from storage.database import Database
from storage.door import Door
from storage.erasure.carrying_out import CarryingOut
from storage.erasure.notices import Notices
from storage.erasure.orders import Orders
from storage.erasure.receipts import Receipts
from storage.expiring import Expiring
from storage.foundation import Foundation
from storage.gate import Gate
from storage.key_store import KeyStore
from storage.ledger import Ledger
from storage.ledger_settings import LedgerSettings
from storage.ledger_verification import Verification
from storage.migrations import bring_up_to_date
from storage.objects import open_store
from storage.objects.interface import ObjectStore
from storage.reconcile import Reconciler
from storage.region import claim
from storage.registers.artefacts import Artefacts
from storage.registers.avatars import Avatars
from storage.registers.consents import Consents
from storage.registers.costs import Costs
from storage.registers.disclosures import Disclosures
from storage.registers.holds import Holds
from storage.registers.legal_bases import LegalBases
from storage.registers.minors import Minors
from storage.registers.policies import Policies
from storage.registers.requests import Requests
from storage.registers.reviews import Reviews
from storage.registers.statements import Statements
from storage.registers.subject_access import SubjectAccess
from storage.registers.subjects import Subjects
from storage.registers.termination import Termination
from storage.registers.uploads import Uploads
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
    orders: Orders
    carrying_out: CarryingOut
    receipts: Receipts
    notices: Notices
    holds: Holds
    termination: Termination
    expiring: Expiring
    avatars: Avatars
    artefacts: Artefacts
    store: ObjectStore

    @classmethod
    def open(cls, addresses: StorageAddresses, *, clock: Clock = utc_now) -> Storage:
        """Open the room; sets up an empty home, keys included.

        Raises CheckFailed where there are records but no key store or master key, or the wrong
        one, Refused where what is stored belongs to another region, and ServiceUnavailable where a
        database or the object store does not answer.
        """
        checkpoints, base = _foundation(addresses, clock)
        store = open_store(addresses.objects_url, region=addresses.region)
        anchoring = Anchoring(base.catalogue, base.ledger, after=addresses.ledger.anchor_after)
        door = Door(base, store=store, anchoring=anchoring)
        subjects = Subjects(base)
        minors = Minors(base, subjects=subjects)
        consents = Consents(base, subjects=subjects, minors=minors)
        termination = Termination(base)
        uploads = Uploads(
            base, door=door, consents=consents, subjects=subjects, termination=termination
        )
        carrying_out = CarryingOut(base, store=store, door=door)
        expiring = Expiring(base, door=door, uploads=uploads)
        requests = Requests(base, subjects=subjects)
        avatars = Avatars(base, subjects=subjects)
        artefacts = Artefacts(base, door=door)
        return cls(
            catalogue=base.catalogue,
            keys=base.keys,
            vault=base.vault,
            ledger=base.ledger,
            anchoring=anchoring,
            checkpoints=checkpoints,
            verification=Verification(
                base.catalogue,
                base.keys,
                tag_key=base.vault.ledger_key(),
                public_key=checkpoints.public_key,
            ),
            door=door,
            subjects=subjects,
            minors=minors,
            policies=Policies(base),
            legal_bases=LegalBases(base, subjects=subjects),
            disclosures=Disclosures(base, subjects=subjects),
            consents=consents,
            uploads=uploads,
            reviews=Reviews(base, door=door, uploads=uploads),
            statements=Statements(
                base, door=door, consents=consents, subjects=subjects, uploads=uploads
            ),
            costs=Costs(base, subjects=subjects),
            requests=requests,
            subject_access=SubjectAccess(
                base,
                subjects=subjects,
                uploads=uploads,
                avatars=avatars,
                artefacts=artefacts,
                requests=requests,
            ),
            reconciler=Reconciler(
                base,
                store=store,
                door=door,
                uploads=uploads,
                anchoring=anchoring,
                checkpoints=checkpoints,
                carrying_out=carrying_out,
                expiring=expiring,
            ),
            expiring=expiring,
            orders=Orders(base, subjects=subjects),
            carrying_out=carrying_out,
            receipts=Receipts(base, store=store),
            notices=Notices(base),
            holds=Holds(base, subjects=subjects),
            termination=termination,
            avatars=avatars,
            artefacts=artefacts,
            store=store,
        )


def _foundation(addresses: StorageAddresses, clock: Clock) -> tuple[Checkpoints, Foundation]:
    """Open both databases, bring them up to date, and read or make the keys."""
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
    checkpoints = Checkpoints(
        catalogue,
        keys,
        signing_key=vault.signing_key(),
        every=addresses.ledger.checkpoint_every,
        clock=clock,
    )
    base = Foundation(
        catalogue=catalogue,
        keys=keys,
        vault=vault,
        ledger=Ledger(
            catalogue, keys, tag_key=vault.ledger_key(), checkpoints=checkpoints, clock=clock
        ),
        gate=Gate(region=addresses.region, rules=addresses.rules, clock=clock),
        retention=addresses.retention,
        clock=clock,
    )
    return checkpoints, base


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
