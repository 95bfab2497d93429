"""Publishing versions of the privacy policy (Policy P22)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from models.consent.decision import Question, decide
from models.consent.policies import BASELINE, Change, PolicyVersion, in_force
from models.schema.errors import BadInput
from models.schema.purposes import Purpose
from storage.catalogue import people
from storage.catalogue.policies import add_policy, all_policies
from storage.foundation import Foundation

POLICY_PUBLISHED: Final = "policy_published"


@dataclass(frozen=True)
class Stale:
    """What a version stops, or will: people whose consent to a purpose it makes stale."""

    purpose: Purpose
    people: int


class Policies:
    """The published versions."""

    def __init__(self, base: Foundation) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._ledger = base.ledger
        self._gate = base.gate
        self._rules = base.gate.rules
        self._clock = base.clock

    def publish(
        self, version: str, *, effective_at: datetime, changes: tuple[Change, ...]
    ) -> PolicyVersion:
        """Publish a version; what it makes stale stops when it takes effect, not before.

        Raises BadInput for a name that is taken, a day that is past or before another version's,
        and a material change without its notice.
        """
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            published = all_policies(writing.connection)
            self._check(version, effective_at, changes, published, now)
            draft = PolicyVersion(
                sequence=0,
                version=version,
                published_at=now,
                effective_at=effective_at,
                changes=changes,
            )
            payload = draft.model_dump(mode="json", exclude={"sequence"})
            for change in payload["changes"]:
                change["purposes"] = sorted(change["purposes"])
            sequence = self._ledger.append(writing, POLICY_PUBLISHED, payload, subject_id=None)
            policy = draft.model_copy(update={"sequence": sequence})
            add_policy(writing.connection, policy)
            writing.after_commit.append(partial(self._keys.record_policy, policy))
        return policy

    def all(self) -> list[PolicyVersion]:
        """Every published version, in the order in which they take effect."""
        with self._catalogue.reading() as connection:
            return all_policies(connection)

    def in_force(self) -> str:
        """The version that applies now."""
        return in_force(self.all(), self._clock())

    def stopped_by(self, policy: PolicyVersion) -> list[Stale]:
        """How many people's use stops when the version takes effect, unless they renew."""
        counts = dict.fromkeys(sorted(policy.material_for), 0)
        moment = max(policy.effective_at, self._clock())
        with self._catalogue.reading() as connection:
            for subject in people.all_subjects(connection):
                record = self._gate.record(connection, subject, upload=None)
                for purpose in counts:
                    reasons = decide(record, Question(purpose, moment)).reasons
                    counts[purpose] += "policy_changed" in {reason.code for reason in reasons}
        return [Stale(purpose, count) for purpose, count in counts.items()]

    def _check(
        self,
        version: str,
        effective_at: datetime,
        changes: tuple[Change, ...],
        published: list[PolicyVersion],
        now: datetime,
    ) -> None:
        if version == BASELINE or any(version == each.version for each in published):
            raise BadInput("A policy version of this name is published already.")
        if effective_at < now:
            raise BadInput(
                "A policy version cannot take effect in the past; nothing was published."
            )
        if published and effective_at <= published[-1].effective_at:
            raise BadInput("A version must take effect after the ones published before it.")
        notice = timedelta(days=self._rules.policy_notice_days)
        if any(change.purposes for change in changes) and effective_at < now + notice:
            raise BadInput(
                "A material change must be published at least "
                f"{self._rules.policy_notice_days:g} days before it takes effect.",
                remedy="Choose a later --effective, or set LIKENESS_CONSENT__POLICY_NOTICE_DAYS "
                "(Policy P22).",
            )
