"""The register of artefacts: what it tells, and what it keeps sealed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.schema.errors import BadUsage, ConsentRefused, KeyDestroyed, NotFound
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.assembly import Storage
from storage.catalogue.artefacts import ArtefactState
from storage.catalogue.avatars import Avatar
from tests.storage.conftest import (
    AdmittedFactory,
    MovableClock,
    PlanFactory,
    Trained,
    TrainedFactory,
)

WORDS = "words that only Zhang Wei would have said"


@pytest.fixture
def segment(admitted: AdmittedFactory) -> str:
    return admitted().features["voice_segment"]


@pytest.fixture
def avatar(storage: Storage, segment: str) -> Avatar:
    return storage.avatars.create("s-1", "Reader")


@pytest.fixture
def voice(avatar: Avatar, segment: str, trained: TrainedFactory) -> Trained:
    return trained(avatar, segment)


def test_an_avatar_uses_the_newest_artefact_of_a_task_that_may_be_used_now(
    storage: Storage,
    avatar: Avatar,
    segment: str,
    trained: TrainedFactory,
    planned: PlanFactory,
    clock: MovableClock,
) -> None:
    trained(avatar, segment)
    clock.advance(timedelta(seconds=1))
    newest = trained(avatar, segment).artefact
    clock.advance(timedelta(seconds=1))
    storage.door.begin_training(planned(avatar, segment))
    assert storage.artefacts.newest_usable(avatar, Task.VOICE) == newest
    with pytest.raises(NotFound, match="no human"):
        storage.artefacts.newest_usable(avatar, Task.HUMAN)
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    with pytest.raises(NotFound, match="no voice"):
        storage.artefacts.newest_usable(avatar, Task.VOICE)


def test_a_registered_artefact_is_in_the_ledger_of_its_person(
    storage: Storage, voice: Trained, avatar: Avatar
) -> None:
    (entry,) = [
        each
        for each in storage.subject_access.held("s-1").entries
        if each.event == "artefact_registered"
    ]
    assert entry.payload["artefact"] == voice.artefact.id
    assert entry.payload["avatar"] == avatar.id
    assert not list(storage.verification.findings())


def test_the_model_of_an_artefact_is_all_that_generation_is_handed(
    storage: Storage, voice: Trained
) -> None:
    assert {row.id for row in storage.artefacts.model(voice.artefact)} == set(
        voice.objects.values()
    )


def test_what_was_asked_for_is_sealed_under_the_persons_key(
    storage: Storage, voice: Trained, avatar: Avatar, plain_in_home: Callable[..., list[str]]
) -> None:
    run = storage.artefacts.begin_generation(voice.artefact.id)
    made = storage.door.put(run, "generated_speech", [b"speech"])
    generation = storage.artefacts.finish_generation(run, made, seconds=2.0, request=WORDS)
    assert storage.artefacts.request(generation) == WORDS
    assert plain_in_home(WORDS.encode()) == []
    storage.vault.destroy_scope_keys(avatar.subject_id or "")
    with pytest.raises(KeyDestroyed):
        storage.artefacts.request(generation)


def test_a_generation_that_was_never_put_is_not_finished(storage: Storage, voice: Trained) -> None:
    run = storage.artefacts.begin_generation(voice.artefact.id)
    with pytest.raises(NotFound):
        storage.artefacts.finish_generation(run, "0" * 32, seconds=1.0, request=None)


def test_everything_of_a_person_is_listed_and_a_base_under_nobody(
    storage: Storage,
    voice: Trained,
    avatar: Avatar,
    admitted: AdmittedFactory,
    trained: TrainedFactory,
) -> None:
    improving = admitted("s-1", purposes=frozenset({Purpose.MODEL_IMPROVEMENT}))
    base = trained(None, improving.features["voice_segment"]).artefact
    run = storage.artefacts.begin_generation(voice.artefact.id)
    made = storage.door.put(run, "generated_speech", [b"speech"])
    storage.artefacts.finish_generation(run, made, seconds=2.0, request=None)
    subject = avatar.subject_id or ""
    assert storage.artefacts.of_avatar(avatar) == [voice.artefact]
    assert storage.artefacts.of_subject(subject) == [voice.artefact]
    assert storage.artefacts.bases() == [base]
    assert [each.id for each in storage.artefacts.generations_of_subject(subject)] == [made]


def test_a_training_that_is_refused_at_the_end_is_not_registered(
    storage: Storage, avatar: Avatar, segment: str, planned: PlanFactory
) -> None:
    run = storage.artefacts.begin_training(planned(avatar, segment))
    storage.door.put(run, "model_weights", [b"x"])
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    with pytest.raises(ConsentRefused):
        storage.artefacts.finish_training(run, {"loss": 1.0})
    storage.door.abandon(run)
    artefact = storage.artefacts.by_id(run.artefact_id)
    assert (artefact.state, artefact.metrics) == (ArtefactState.FAILED, {})


@pytest.mark.parametrize("wrong", ["0" * 32, "not an id"])
def test_an_id_of_nothing_is_refused(storage: Storage, wrong: str) -> None:
    for ask in (storage.artefacts.by_id, storage.artefacts.generation):
        with pytest.raises((NotFound, BadUsage)):
            ask(wrong)
