"""Published versions of the privacy policy (Policy P22)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Connection, Integer, String, Table, insert, select

from models.consent.policies import PolicyVersion
from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA

POLICY_VERSIONS = Table(
    "policy_versions",
    METADATA,
    Column("version", String(32), primary_key=True),
    Column("ledger_sequence", Integer, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("changes", JSON, nullable=False),
)


def add_policy(connection: Connection, policy: PolicyVersion) -> None:
    """Record a version; from its commit on every decision reads it."""
    connection.execute(insert(POLICY_VERSIONS).values(**policy_columns(policy)))


def all_policies(connection: Connection) -> list[PolicyVersion]:
    """Every published version, in the order in which they take effect."""
    rows = connection.execute(
        select(POLICY_VERSIONS).order_by(
            POLICY_VERSIONS.c.effective_at, POLICY_VERSIONS.c.ledger_sequence
        )
    )
    return [policy_from(row._mapping) for row in rows]


def policy_columns(policy: PolicyVersion) -> dict[str, Any]:
    """A version as both databases keep it."""
    return {
        "version": policy.version,
        "ledger_sequence": policy.sequence,
        "published_at": policy.published_at,
        "effective_at": policy.effective_at,
        "changes": [change.model_dump(mode="json") for change in policy.changes],
    }


def policy_from(row: Any) -> PolicyVersion:
    """The version that a row of either database holds."""
    values = dict(row)
    values["sequence"] = values.pop("ledger_sequence")
    return PolicyVersion.model_validate(values)
