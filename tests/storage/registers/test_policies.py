"""Publishing policy versions, and what they stop (Policy P22)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from models.consent.policies import BASELINE, Change, ChangeReason
from models.schema.errors import BadInput, ConsentRefused
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.handles import Operation, Use
from storage.registers.policies import Stale
from tests.storage.conftest import VOICE, AdmittedFactory, GrantFactory, MovableClock

MATERIAL = (Change(reason=ChangeReason.SERVICE, purposes=VOICE),)
EDITORIAL = (Change(reason=ChangeReason.CONTACT, purposes=frozenset()),)
MONTH = timedelta(days=30)
TRAINING = Use(Role.TRAINING, Operation.PROCESS, VOICE, "run")


def _readable(storage: Storage, object_id: str) -> bool:
    try:
        with storage.door.open(object_id, TRAINING) as reader:
            reader.read()
    except ConsentRefused as refused:
        assert [reason["code"] for reason in refused.reasons] == ["policy_changed"]
        return False
    return True


def test_a_material_version_stops_use_when_it_takes_effect_until_consent_is_renewed(
    storage: Storage, admitted: AdmittedFactory, grant: GrantFactory, clock: MovableClock
) -> None:
    segment = admitted().features["voice_segment"]
    policy = storage.policies.publish("2", effective_at=clock() + MONTH, changes=MATERIAL)
    assert storage.policies.stopped_by(policy) == [Stale(Purpose.VOICE_CLONING, 1)]
    (voice,) = (d for d in storage.consents.decisions("s-1") if d.purpose in VOICE)
    assert [warning.code for warning in voice.warnings] == ["policy_change_ahead"]
    assert _readable(storage, segment)
    clock.advance(MONTH)
    assert storage.policies.in_force() == "2"
    assert not _readable(storage, segment)
    storage.consents.grant("s-1", VOICE, grant(b"agreed to version 2"))
    assert storage.consents.history(storage.subjects.known("s-1").id)[-1].policy_version == "2"
    assert _readable(storage, segment)


def test_whoever_agreed_to_the_coming_version_is_not_stopped(
    storage: Storage, admitted: AdmittedFactory, grant: GrantFactory, clock: MovableClock
) -> None:
    segment = admitted().features["voice_segment"]
    policy = storage.policies.publish("2", effective_at=clock() + MONTH, changes=MATERIAL)
    clock.advance(timedelta(days=1))
    act = grant(b"agreed ahead")
    storage.consents.grant("s-1", VOICE, replace(act, policy_version="2"))
    assert storage.policies.stopped_by(policy) == [Stale(Purpose.VOICE_CLONING, 0)]
    clock.advance(MONTH)
    assert _readable(storage, segment)


def test_a_version_that_is_material_for_nothing_stops_nothing_and_needs_no_notice(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    segment = admitted().features["voice_segment"]
    storage.policies.publish("2", effective_at=clock(), changes=EDITORIAL)
    assert storage.policies.in_force() == "2"
    assert _readable(storage, segment)


@pytest.mark.parametrize(
    ("version", "days", "message"),
    [
        ("2", -1, "in the past"),
        (BASELINE, 30, "published already"),
        ("1", 60, "published already"),
        ("2", 30, "after the ones published before"),
    ],
)
def test_what_cannot_be_published_changes_nothing(
    storage: Storage, clock: MovableClock, version: str, days: int, message: str
) -> None:
    storage.policies.publish("1", effective_at=clock() + timedelta(days=40), changes=MATERIAL)
    before = storage.ledger.head()
    with pytest.raises(BadInput, match=message):
        storage.policies.publish(
            version, effective_at=clock() + timedelta(days=days), changes=MATERIAL
        )
    assert storage.ledger.head() == before
    assert [policy.version for policy in storage.policies.all()] == ["1"]


def test_a_material_change_needs_its_notice(storage: Storage, clock: MovableClock) -> None:
    with pytest.raises(BadInput, match="at least 7 days"):
        storage.policies.publish("2", effective_at=clock() + timedelta(days=6), changes=MATERIAL)
    assert storage.policies.all() == []


def test_a_consent_to_a_version_that_nobody_published_is_an_error(
    storage: Storage, grant: GrantFactory
) -> None:
    with pytest.raises(BadInput, match="not published by then"):
        storage.consents.grant("s-1", VOICE, replace(grant(), policy_version="9"))


def test_a_restored_catalogue_gets_back_the_versions_it_forgot(
    storage: Storage,
    clock: MovableClock,
    restored_catalogue: Callable[[Callable[[], object]], Storage],
) -> None:
    later = clock() + MONTH
    again = restored_catalogue(
        lambda: storage.policies.publish("2", effective_at=later, changes=MATERIAL)
    )
    assert again.policies.all() == []
    again.reconciler.run()
    (policy,) = again.policies.all()
    assert (policy.version, policy.changes) == ("2", MATERIAL)
