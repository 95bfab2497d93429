"""How often the ledger is signed and the access log anchored, as settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LedgerSettings(BaseModel):
    """Numbers of the house; no rule names any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint_every: int = Field(default=100, ge=1)
    """Every so many entries one is signed as a checkpoint, in the transaction that appends it."""
    anchor_after: int = Field(default=1_000, ge=1)
    """More accesses than this do not wait to be anchored."""
