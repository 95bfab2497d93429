"""Giving a restored catalogue back what the key store remembers (invariant 5)."""

from __future__ import annotations

from dataclasses import dataclass

from models.schema.purposes import Purpose
from storage.catalogue import freezes, policies
from storage.catalogue.freezes import FreezeRow, Scope
from storage.database import Database
from storage.key_store import KeyStore
from storage.ledger import Ledger
from storage.recorded_head import holds


@dataclass(frozen=True)
class Restored:
    """What an older copy had forgotten, as counts."""

    freezes: int = 0
    policies: int = 0
    ledger_entries: int = 0


def apply_recorded(catalogue: Database, keys: KeyStore, ledger: Ledger) -> Restored:
    """Apply every recorded freeze and policy version again, and go on behind the lost entries.

    Does nothing for a catalogue that is current; idempotent.
    """
    recorded = keys.ledger_head()
    tip = ledger.head()
    with catalogue.reading() as connection:
        known = freezes.known_freezes(connection)
        published = {policy.version for policy in policies.all_policies(connection)}
    missing = [freeze for freeze in keys.freezes() if freeze.id not in known]
    lost = [policy for policy in keys.policies() if policy.version not in published]
    behind = max(0, recorded[0] - tip[0])
    if not missing and not lost and not behind:
        return Restored()
    with catalogue.writing() as writing:
        for freeze in missing:
            values = dict(vars(freeze))
            values["scope"] = Scope(freeze.scope)
            values["purpose"] = Purpose(freeze.purpose) if freeze.purpose else None
            freezes.add_freeze(writing.connection, FreezeRow(**values))
        for policy in lost:
            policies.add_policy(writing.connection, policy)
        if behind:
            ledger.resume_after_restore(writing, recorded)
    return Restored(len(missing), len(lost), behind)


def bring_current(catalogue: Database, keys: KeyStore, ledger: Ledger) -> None:
    """The same where the catalogue is behind; else one look at each database."""
    recorded = keys.ledger_head()
    with catalogue.reading() as connection:
        current = holds(connection, recorded)
    if not current:
        apply_recorded(catalogue, keys, ledger)
