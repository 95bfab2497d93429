"""What has run out goes by itself; what is kept with the consent, and what a hold keeps, stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows.steward.retention import let_expire
from models.consent.facts import EvidenceLevel
from models.consent.settings import StatementSettings
from models.schema.errors import BadInput
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.catalogue.challenges import CHALLENGES
from storage.catalogue.freezes import Scope
from storage.catalogue.uploads import UploadState
from storage.registers.evidence import Evidence
from storage.registers.uploads import Conclusion
from tests.storage.conftest import AdmittedFactory, MovableClock, ReceivedFactory

DOCUMENT = Evidence(b"a document", EvidenceLevel.DOCUMENT)


def _hold(storage: Storage, scope: Scope, named: str, clock: MovableClock, *, days: int) -> None:
    storage.holds.place(
        scope, named, case="d", document=DOCUMENT, expires_at=clock() + timedelta(days=days)
    )


def _original(storage: Storage, upload: str) -> str:
    """A raw recording that goes 30 days after it was taken in (Policy P25)."""
    run = storage.door.begin(
        upload, role=Role.INGEST, purposes=storage.uploads.by_id(upload).purposes
    )
    original = storage.door.put(run, "original", [b"a recording"])
    storage.door.commit(
        run,
        also=lambda writing: storage.uploads.conclude(
            writing, upload, Conclusion(UploadState.ADMITTED, [], {})
        ),
    )
    storage.uploads.release_quarantine(upload)
    return original


def test_raw_recordings_go_after_their_time_and_features_stay_with_the_consent(
    storage: Storage, received: ReceivedFactory, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    features = admitted("s-2").upload.id
    upload = received("s-1").id
    _original(storage, upload)
    clock.advance(timedelta(days=29))
    assert let_expire(storage).expired_erased == 0
    clock.advance(timedelta(days=2))
    assert let_expire(storage).expired_erased == 1
    assert storage.uploads.objects_of(upload) == []
    assert storage.uploads.objects_of(features)
    assert let_expire(storage).expired_erased == 0


def test_what_waits_too_long_is_abandoned_and_quarantine_empties_itself(
    storage: Storage, received: ReceivedFactory, clock: MovableClock
) -> None:
    upload = received("s-1").id
    clock.advance(timedelta(hours=23))
    assert let_expire(storage).uploads_abandoned == 0
    clock.advance(timedelta(hours=2))
    assert let_expire(storage).uploads_abandoned == 1
    assert storage.uploads.by_id(upload).state is UploadState.ABANDONED
    assert list(storage.store.list_keys()) == []


def test_a_hold_keeps_what_is_over_and_it_goes_when_the_hold_is_over_too(
    storage: Storage, received: ReceivedFactory, clock: MovableClock
) -> None:
    waiting = received("s-1").id
    original = received("s-2", content=[b"another"]).id
    _original(storage, original)
    _hold(storage, Scope.UPLOAD, waiting, clock, days=40)
    _hold(storage, Scope.SUBJECT, "s-2", clock, days=40)
    clock.advance(timedelta(days=35))
    expired = let_expire(storage)
    assert (expired.uploads_abandoned, expired.expired_erased) == (0, 0)
    assert expired.held >= 2
    assert storage.uploads.by_id(waiting).state is UploadState.RECEIVED
    assert storage.uploads.objects_of(original)
    clock.advance(timedelta(days=6))
    expired = let_expire(storage)
    assert (expired.uploads_abandoned, expired.expired_erased, expired.held) == (1, 1, 0)
    assert list(storage.store.list_keys()) == []


def test_a_sentence_that_nobody_read_in_time_is_forgotten_a_day_after(
    storage: Storage, clock: MovableClock
) -> None:
    """For that day a late answer is told why it is refused."""
    issued = storage.statements.issue(
        "s-1", Purpose.VOICE_CLONING, "en", StatementSettings()
    ).challenge
    clock.now = issued.expires_at + timedelta(hours=23)
    assert let_expire(storage).challenges_forgotten == 0
    refused = _answer(storage, issued.id)
    clock.advance(timedelta(hours=2))
    assert let_expire(storage).challenges_forgotten == 1
    with storage.catalogue.reading() as connection:
        assert connection.execute(CHALLENGES.select()).all() == []
    assert _answer(storage, issued.id) != refused


def _answer(storage: Storage, challenge: str) -> str:
    """What answering by the person and the id is told."""
    with pytest.raises(BadInput) as refused:
        storage.statements.find(external_subject="s-1", challenge_id=challenge, token=None)
    return refused.value.message
