"""Versions of the privacy policy, and which consents a change makes stale (Policy P22).

A version states which of its changes are material, by the policy's own list (article VIII, a-f),
and which purposes each concerns. From the day it takes effect, an older consent to such a purpose
does not count until it is renewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from models.schema.purposes import Purpose

BASELINE: Final = "2025-11-11"
"""The version that the house was built to; in force until another one is published."""


class ChangeReason(StrEnum):
    """What makes a change material: the cases of article VIII."""

    SERVICE = "a"
    """The service changes: purposes, types of data, or how they are used."""
    CONTROL = "b"
    """Ownership or organisation changes, by merger or otherwise."""
    RECIPIENTS = "c"
    """The main recipients of sharing, transfer or publication change."""
    RIGHTS = "d"
    """What people may ask for, or how, changes."""
    CONTACT = "e"
    """Who is responsible for data security, or how to complain, changes."""
    RISK = "f"
    """An assessment of the impact on people's rights shows a high risk."""


class Change(BaseModel):
    """One change of a version; without purposes it is not material for any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: ChangeReason
    purposes: frozenset[Purpose]


class PolicyVersion(BaseModel):
    """One published version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int
    version: str = Field(min_length=1, max_length=32)
    published_at: datetime
    effective_at: datetime
    changes: tuple[Change, ...]

    @property
    def material_for(self) -> frozenset[Purpose]:
        """The purposes whose older consents it makes stale."""
        return frozenset(purpose for change in self.changes for purpose in change.purposes)


def in_force(policies: Sequence[PolicyVersion], at: datetime) -> str:
    """The version that applies at a moment."""
    effective = [policy for policy in policies if policy.effective_at <= at]
    return max(effective, key=_order).version if effective else BASELINE


def overtaken_by(
    policies: Sequence[PolicyVersion], purpose: Purpose, agreed_to: str | None, acted_at: datetime
) -> list[PolicyVersion]:
    """The versions, in force or ahead, that a consent to a purpose does not cover.

    A consent covers the version it names and all before it; one that names none covers what was in
    force when the person acted.
    """
    ordered = sorted(policies, key=_order)
    names = [policy.version for policy in ordered]
    if agreed_to in names:
        later = ordered[names.index(agreed_to) + 1 :]
    elif agreed_to == BASELINE:
        later = ordered
    else:
        later = [policy for policy in ordered if policy.effective_at > acted_at]
    return [policy for policy in later if purpose in policy.material_for]


def _order(policy: PolicyVersion) -> tuple[datetime, int]:
    return policy.effective_at, policy.sequence
