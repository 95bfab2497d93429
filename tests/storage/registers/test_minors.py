"""People under 18: flags, guardians, the day they come of age (Policy P21)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from models.consent.ages import AgeBand
from models.consent.facts import EvidenceLevel, Uploader
from models.schema.errors import BadInput, BadUsage, Frozen, LikenessError
from models.schema.kinds import Role
from storage.assembly import Storage
from storage.handles import Operation, Use
from storage.registers.evidence import Evidence
from tests.storage.conftest import VOICE, AdmittedFactory, GrantFactory, MovableClock

TRAINING = Use(Role.TRAINING, Operation.PROCESS, VOICE, "run")
LETTER = b"The signed letter of a parent"


@pytest.fixture
def guardian(grant: GrantFactory) -> Callable[..., None]:
    """Records a guardian's consent for s-1."""

    def consents(storage: Storage, named: str = "mother", **details: object) -> None:
        details.setdefault("level", EvidenceLevel.DOCUMENT)
        act = grant(LETTER, uploader=Uploader.GUARDIAN, **details)  # type: ignore[arg-type]
        storage.consents.grant("s-1", VOICE, replace(act, guardian=named))

    return consents


def _codes(storage: Storage) -> set[str]:
    (voice,) = (d for d in storage.consents.decisions("s-1") if d.purpose in VOICE)
    return {reason.code for reason in voice.reasons}


def test_a_flag_stops_everything_at_once_also_what_is_being_read(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    upload = admitted(content=[b"x" * 3_000_000])
    original = upload.features["voice_segment"]
    with storage.door.open(original, TRAINING) as reader:
        storage.minors.flag("s-1", turns_18_on=None, fourteen_or_under=False)
        with pytest.raises(Frozen):
            reader.read()
    assert _codes(storage) == {"guardian_consent_missing", "frozen"}


def test_the_flag_owes_an_erasure_that_waits_for_the_guardian(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted()
    storage.minors.flag("s-1", turns_18_on=None, fourteen_or_under=True)
    (waiting,) = storage.minors.waiting()
    assert waiting.erased_after == clock() + timedelta(days=15)
    (order,) = storage.consents.orders_of(waiting.subject_id)
    assert (order.ground, order.state) == ("no_guardian_consent", "pending")


def test_a_guardians_written_consent_lifts_the_stop_and_takes_the_order_back(
    storage: Storage, admitted: AdmittedFactory, guardian: Callable[..., None]
) -> None:
    segment = admitted().features["voice_segment"]
    storage.minors.flag("s-1", turns_18_on=None, fourteen_or_under=False)
    guardian(storage)
    assert _codes(storage) == set()
    assert storage.minors.waiting() == []
    (order,) = storage.consents.orders_of(storage.subjects.known("s-1").id)
    assert order.state == "cancelled"
    with storage.door.open(segment, TRAINING) as reader:
        assert reader.read()


def test_the_purposes_the_guardian_did_not_name_stay_stopped(
    storage: Storage, admitted: AdmittedFactory, guardian: Callable[..., None]
) -> None:
    admitted()
    storage.minors.flag("s-1", turns_18_on=None, fourteen_or_under=False)
    guardian(storage)
    allowed = {d.purpose for d in storage.consents.decisions("s-1") if d.allowed}
    assert allowed == VOICE


def test_from_the_day_they_turn_18_their_own_consent_is_needed(
    storage: Storage,
    admitted: AdmittedFactory,
    guardian: Callable[..., None],
    grant: GrantFactory,
    clock: MovableClock,
) -> None:
    segment = admitted().features["voice_segment"]
    turns = (clock() + timedelta(days=40)).date()
    storage.minors.flag("s-1", turns_18_on=turns, fourteen_or_under=False)
    guardian(storage)
    assert _codes(storage) == set()
    clock.advance(timedelta(days=41))
    assert _codes(storage) == {"own_consent_needed_at_18"}
    storage.consents.grant("s-1", VOICE, grant(b"I am of age and agree"))
    with storage.door.open(segment, TRAINING) as reader:
        assert reader.read()


def test_a_document_that_shows_the_person_is_of_age_takes_the_flag_back(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted()
    storage.minors.flag("s-1", turns_18_on=None, fourteen_or_under=False)
    with pytest.raises(BadInput, match="shown by a document"):
        storage.minors.correct_to_adult("s-1", Evidence(b"trust me", EvidenceLevel.DECLARED))
    assert "frozen" in _codes(storage)
    card = Evidence(b"identity card", EvidenceLevel.DOCUMENT)
    assert storage.minors.correct_to_adult("s-1", card) == 1
    assert _codes(storage) == set()


def test_a_minor_named_at_their_first_upload_needs_no_flag(
    storage: Storage, guardian: Callable[..., None], grant: GrantFactory
) -> None:
    band = storage.minors.state_age("s-1", turns_18_on=None, fourteen_or_under=True)
    assert band is AgeBand.FOURTEEN_OR_UNDER
    storage.consents.grant("s-1", VOICE, grant())
    assert _codes(storage) == {"guardian_consent_missing"}
    guardian(storage)
    assert _codes(storage) == set()
    with pytest.raises(BadUsage, match="on record already"):
        storage.minors.state_age("s-1", turns_18_on=None, fourteen_or_under=False)


def _self(storage: Storage, guardian: Callable[..., None]) -> None:
    guardian(storage, named="s-1")


def _another_minor(storage: Storage, guardian: Callable[..., None]) -> None:
    storage.minors.state_age("friend", turns_18_on=None, fourteen_or_under=False)
    guardian(storage, named="friend")


def _in_words(storage: Storage, guardian: Callable[..., None]) -> None:
    guardian(storage, level=EvidenceLevel.DECLARED)


@pytest.mark.parametrize("wrong", [_self, _another_minor, _in_words])
def test_who_cannot_be_a_guardian_or_did_not_write_changes_nothing(
    storage: Storage,
    admitted: AdmittedFactory,
    guardian: Callable[..., None],
    wrong: Callable[[Storage, Callable[..., None]], None],
) -> None:
    admitted()
    storage.minors.flag("s-1", turns_18_on=None, fourteen_or_under=False)
    with pytest.raises(BadInput):
        wrong(storage, guardian)
    assert _codes(storage) == {"guardian_consent_missing", "frozen"}
    assert len(storage.minors.waiting()) == 1


def test_for_an_adult_no_guardian_can_consent(
    storage: Storage, admitted: AdmittedFactory, guardian: Callable[..., None]
) -> None:
    admitted()
    before = storage.ledger.head()
    with pytest.raises(BadInput, match="not known to be under 18"):
        guardian(storage)
    assert storage.ledger.head() == before


@pytest.mark.parametrize("day", [date(2020, 1, 1), date(2090, 1, 1)])
def test_a_day_that_cannot_be_right_is_an_error(
    storage: Storage, admitted: AdmittedFactory, day: date
) -> None:
    admitted()
    before = storage.ledger.head()
    with pytest.raises(LikenessError):
        storage.minors.flag("s-1", turns_18_on=day, fourteen_or_under=False)
    assert storage.ledger.head() == before


def test_a_restored_catalogue_knows_which_stops_were_lifted(
    storage: Storage,
    admitted: AdmittedFactory,
    guardian: Callable[..., None],
    restored_catalogue: Callable[[Callable[[], object]], Storage],
) -> None:
    admitted()

    def happens() -> None:
        storage.minors.flag("s-1", turns_18_on=None, fourteen_or_under=False)
        guardian(storage)

    again = restored_catalogue(happens)
    again.reconciler.run()
    assert again.minors.waiting() == []


def test_a_flag_stops_use_on_a_restored_catalogue_too(
    storage: Storage,
    admitted: AdmittedFactory,
    grant: GrantFactory,
    restored_catalogue: Callable[[Callable[[], object]], Storage],
) -> None:
    admitted()
    again = restored_catalogue(lambda: storage.consents.grant("s-2", VOICE, grant()))
    again.minors.flag("s-1", turns_18_on=None, fourteen_or_under=False)
    assert "frozen" in _codes(again)
    assert list(again.verification.findings()) == []
