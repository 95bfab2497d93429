"""Legal bases: recorded, naming what they permit, never training (Policy P06)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from models.consent.facts import EvidenceLevel
from models.consent.legal_bases import LegalUse
from models.schema.errors import BadInput, ConsentRefused, NotFound, RoleRefused
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.handles import Operation, Use
from storage.registers.evidence import Evidence
from tests.storage.conftest import VOICE, AdmittedFactory, MovableClock

SUMMONS = Evidence(b"Summons of the court", EvidenceLevel.DOCUMENT)
INSPECT = Use(Role.REVIEW, Operation.INSPECT, frozenset(), "case 7")


@pytest.fixture
def basis(clock: MovableClock) -> dict[str, Any]:
    """A complete basis to look at reports."""
    return {
        "case": "c",
        "invoked_by": "the safety team",
        "document": SUMMONS,
        "permits": frozenset({LegalUse.INSPECT}),
        "covers": frozenset({"report"}),
        "expires_at": clock() + timedelta(days=30),
    }


def _opens(storage: Storage, object_id: str, use: Use = INSPECT) -> bool:
    try:
        with storage.door.open(object_id, use) as reader:
            reader.read()
    except ConsentRefused:
        return False
    return True


def test_only_what_the_document_names_is_opened_and_only_until_it_expires(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock, basis: dict[str, Any]
) -> None:
    report = admitted().features["report"]
    assert not _opens(storage, report)
    storage.legal_bases.record("s-1", **basis)
    assert _opens(storage, report)
    clock.advance(timedelta(days=30))
    assert not _opens(storage, report)


def test_it_stands_beside_a_withdrawal_but_never_lets_anything_be_trained(
    storage: Storage, admitted: AdmittedFactory, basis: dict[str, Any]
) -> None:
    features = admitted().features
    everything = frozenset({"report", "voice_segment"})
    storage.legal_bases.record("s-1", **{**basis, "covers": everything})
    for purpose in (Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN):
        storage.consents.withdraw("s-1", purpose)
    assert _opens(storage, features["report"])
    training = Use(Role.TRAINING, Operation.PROCESS, VOICE, "run")
    assert not _opens(storage, features["voice_segment"], training)
    with pytest.raises(RoleRefused):
        _opens(storage, features["voice_segment"], replace(INSPECT, role=Role.TRAINING))


def test_a_basis_that_was_ended_permits_nothing_more(
    storage: Storage, admitted: AdmittedFactory, basis: dict[str, Any]
) -> None:
    report = admitted().features["report"]
    recorded = storage.legal_bases.record("s-1", **basis)
    storage.legal_bases.end("s-1", recorded.sequence)
    assert not _opens(storage, report)
    assert [found.ended for found in storage.legal_bases.of("s-1")] == [True]
    with pytest.raises(NotFound):
        storage.legal_bases.end("s-1", recorded.sequence)


def test_every_look_is_in_the_access_log(
    storage: Storage, admitted: AdmittedFactory, basis: dict[str, Any]
) -> None:
    upload = admitted()
    storage.legal_bases.record("s-1", **basis)
    assert _opens(storage, upload.features["report"])
    access = storage.consents.accesses_to(upload.upload.subject_id)[-1]
    assert (access.operation, access.role, access.reference) == ("inspect", "review", "case 7")


@pytest.mark.parametrize(
    "wrong",
    [
        {"case": "z"},
        {"invoked_by": "  "},
        {"document": Evidence(b"words", EvidenceLevel.DECLARED)},
        {"document": Evidence(b"", EvidenceLevel.DOCUMENT)},
        {"permits": frozenset()},
        {"covers": frozenset({"everything"})},
    ],
)
def test_a_basis_is_never_a_default_and_never_silent(
    storage: Storage, admitted: AdmittedFactory, basis: dict[str, Any], wrong: dict[str, Any]
) -> None:
    admitted()
    before = storage.ledger.head()
    with pytest.raises(BadInput):
        storage.legal_bases.record("s-1", **{**basis, **wrong})
    assert storage.ledger.head() == before


@pytest.mark.parametrize("days", [0, -1, 5000])
def test_a_basis_must_end(
    storage: Storage,
    admitted: AdmittedFactory,
    basis: dict[str, Any],
    clock: MovableClock,
    days: int,
) -> None:
    admitted()
    with pytest.raises(BadInput, match="ends by itself"):
        storage.legal_bases.record("s-1", **{**basis, "expires_at": clock() + timedelta(days=days)})
