"""The ledger's and the access log's tables."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA

LEDGER_ENTRIES = Table(
    "ledger_entries",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("event", String(40), nullable=False),
    Column("payload_digest", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    # Keyed, so that whoever has only the database can add no entry.
    Column("tag", String(64)),
)
"""The chain: append-only, no personal data, kept after an erasure."""

LEDGER_PAYLOADS = Table(
    "ledger_payloads",
    METADATA,
    Column("sequence", Integer, ForeignKey("ledger_entries.sequence"), primary_key=True),
    Column("subject_id", String(32), index=True),
    Column("salt", LargeBinary, nullable=False),
    Column("payload", Text, nullable=False),
    Column("sealed", LargeBinary),
)
"""What the chain commits to, beside it under salts of its own: an erasure removes these rows."""

LEDGER_TIP = Table(
    "ledger_tip",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""One row: the newest entry. Holding it keeps two writers in one chain."""

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
    Column("at", String(40), nullable=False),
    Column("key", String(64), nullable=False),
    Column("previous", Integer, nullable=False),
    Column("signature", String(128), nullable=False),
)
"""Signed statements of how far the chain had come, and what its hash was there."""

ACCESS_LOG = Table(
    "access_log",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("object_id", String(32), nullable=False, index=True),
    Column("subject_id", String(32), index=True),
    Column("kind", String(40), nullable=False),
    Column("role", String(16), nullable=False),
    Column("operation", String(16), nullable=False),
    Column("purposes", String(120), nullable=False),
    Column("reference", String(64), nullable=False),
    Column("object_count", Integer),
    # Ledger sequence of the entry that holds this one's Merkle root; None until it is anchored.
    Column("anchor", Integer, index=True),
)
"""Who read what and why: one durable entry per opened object, before its first byte; for a
training, one that names the snapshot it read. Random ids only, so it outlives an erasure."""
