"""What the house asks of a consent beyond the law's least, as settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from models.consent.facts import EvidenceLevel
from models.schema.purposes import Purpose


class ConsentRules(BaseModel):
    """Rules of the decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_evidence: dict[Purpose, EvidenceLevel] = Field(default_factory=dict)
    """Weakest evidence that counts, for each purpose; `declared` where a purpose is not named: the
    policy takes the act of uploading for consent (Policy P03)."""
    policy_notice_days: float = Field(default=7.0, ge=0)
    """A material change is published at least this long before it takes effect. The policy demands
    notice before (Policy P22) and names no number; this one is the house's."""

    def least_for(self, purpose: Purpose) -> EvidenceLevel:
        """The weakest evidence that counts for a purpose."""
        return self.least_evidence.get(purpose, EvidenceLevel.DECLARED)
