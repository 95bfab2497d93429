"""The register of recipients and of whatever leaves (Policy P08a-d, P13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from models.consent.disclosure import Ground, RecipientKind
from models.consent.facts import EvidenceLevel
from models.schema.errors import BadInput, ConsentRefused, NotFound, RoleRefused
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.handles import Operation, Use
from storage.registers.evidence import Evidence
from tests.storage.conftest import VOICE, AdmittedFactory, GrantFactory

AGREEMENT = Evidence(b"the signed agreement", EvidenceLevel.DOCUMENT)
REPORT = frozenset({"report"})


@pytest.fixture
def processor(storage: Storage) -> str:
    """A registered processor for reports; its name."""
    storage.disclosures.register(
        "Cloud Ltd",
        kind=RecipientKind.PROCESSOR,
        region="local",
        purposes=VOICE,
        covers=REPORT,
        agreement=AGREEMENT,
        expires_at=None,
    )
    return "Cloud Ltd"


def _disclose(storage: Storage, recipient: str, **details: Any) -> str:
    asked: dict[str, Any] = {
        "ground": Ground.AGREEMENT,
        "purpose": Purpose.VOICE_CLONING,
        "kinds": REPORT,
        "document": None,
        **details,
    }
    return storage.disclosures.disclose("s-1", recipient, **asked).id


def _handed(storage: Storage, object_id: str, disclosure: str) -> bytes:
    use = Use(Role.DISCLOSURE, Operation.DISCLOSE, VOICE, disclosure)
    with storage.door.open(object_id, use) as reader:
        return reader.read()


def test_a_disclosure_is_decided_recorded_and_part_of_what_a_person_may_read(
    storage: Storage, admitted: AdmittedFactory, processor: str
) -> None:
    upload = admitted()
    disclosure = _disclose(storage, processor)
    ((name, found),) = storage.disclosures.of_subject(upload.upload.subject_id)
    assert (name, found.id, found.kinds) == (processor, disclosure, REPORT)
    assert _handed(storage, upload.features["report"], disclosure)
    access = storage.consents.accesses_to(upload.upload.subject_id)[-1]
    assert (access.operation, access.reference) == ("disclose", disclosure)


def test_only_what_it_names_of_whom_it_names_leaves(
    storage: Storage, admitted: AdmittedFactory, processor: str
) -> None:
    mine, other = admitted(), admitted("s-2")
    disclosure = _disclose(storage, processor)
    for object_id in (mine.features["voice_segment"], other.features["report"]):
        with pytest.raises(ConsentRefused, match="names this object"):
            _handed(storage, object_id, disclosure)
    with pytest.raises(ConsentRefused):
        _handed(storage, mine.features["report"], "0" * 32)
    with pytest.raises(RoleRefused):
        use = Use(Role.TRAINING, Operation.DISCLOSE, VOICE, disclosure)
        with storage.door.open(mine.features["report"], use):
            pass


def test_it_is_asked_again_at_every_opening(
    storage: Storage, admitted: AdmittedFactory, processor: str
) -> None:
    report = admitted().features["report"]
    disclosure = _disclose(storage, processor)
    storage.disclosures.end(processor)
    with pytest.raises(ConsentRefused, match="agreement with the recipient is over"):
        _handed(storage, report, disclosure)


def test_a_refused_disclosure_is_on_record_and_hands_out_nothing(
    storage: Storage, admitted: AdmittedFactory, processor: str
) -> None:
    upload = admitted()
    before = storage.ledger.head()[0]
    with pytest.raises(ConsentRefused) as refused:
        _disclose(storage, processor, kinds=frozenset({"original"}))
    assert [reason["code"] for reason in refused.value.reasons] == ["kinds_not_in_agreement"]
    assert storage.ledger.head()[0] == before + 1
    assert storage.disclosures.of_subject(upload.upload.subject_id) == []


def test_a_transfer_stops_use_until_the_new_holder_is_bound(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted()
    _holder(storage)
    storage.disclosures.begin_transfer("s-1", "New Ltd")
    assert not any(d.allowed for d in storage.consents.decisions("s-1"))
    assert storage.disclosures.bind("New Ltd", AGREEMENT) == 1
    assert {d.purpose for d in storage.consents.decisions("s-1") if d.allowed} >= VOICE
    with pytest.raises(BadInput, match="not bound yet"):
        storage.disclosures.begin_transfer("s-1", "New Ltd")


def test_a_transfer_goes_on_for_whoever_agrees_to_the_new_holder(
    storage: Storage, admitted: AdmittedFactory, grant: GrantFactory
) -> None:
    admitted(), admitted("s-2")
    holder = _holder(storage)
    for subject in ("s-1", "s-2"):
        storage.disclosures.begin_transfer(subject, "New Ltd")
    agreed = replace(grant(b"I agree to New Ltd"), recipient=holder)
    storage.consents.grant("s-1", VOICE, agreed)
    assert any(d.allowed for d in storage.consents.decisions("s-1"))
    assert not any(d.allowed for d in storage.consents.decisions("s-2"))


def _holder(storage: Storage) -> str:
    return storage.disclosures.register(
        "New Ltd",
        kind=RecipientKind.HOLDER,
        region="local",
        purposes=VOICE,
        covers=frozenset(),
        agreement=None,
        expires_at=None,
    ).id


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "Cloud Ltd"},
        {"covers": frozenset({"everything"})},
        {"agreement": Evidence(b"by word of mouth", EvidenceLevel.DECLARED)},
    ],
)
def test_a_recipient_that_cannot_be_registered_changes_nothing(
    storage: Storage, processor: str, wrong: dict[str, Any]
) -> None:
    before = storage.ledger.head()
    given: dict[str, Any] = {
        "name": "Other Ltd",
        "kind": RecipientKind.PROCESSOR,
        "region": "local",
        "purposes": VOICE,
        "covers": REPORT,
        "agreement": AGREEMENT,
        "expires_at": None,
        **wrong,
    }
    with pytest.raises(BadInput):
        storage.disclosures.register(given.pop("name"), **given)
    assert storage.ledger.head() == before
    with pytest.raises(NotFound):
        storage.disclosures.recipient("Other Ltd")
