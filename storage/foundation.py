"""What every register stands on, handed over as one."""

from __future__ import annotations

from dataclasses import dataclass

from models.schema.retention import Retention
from storage.clock import Clock
from storage.database import Database
from storage.gate import Gate
from storage.key_store import KeyStore
from storage.ledger import Ledger
from storage.vault import Vault


@dataclass(frozen=True)
class Foundation:
    """The two databases, the keys, the record and the gate of one house."""

    catalogue: Database
    keys: KeyStore
    vault: Vault
    ledger: Ledger
    gate: Gate
    retention: Retention
    clock: Clock
