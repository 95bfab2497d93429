"""Trainings and generations at the door: what they may read and make, and what stops them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from models.schema.errors import (
    BadUsage,
    ConsentRefused,
    FenceLost,
    Frozen,
    KeyDestroyed,
    LikenessError,
    NotFound,
    Refused,
    RoleRefused,
)
from models.schema.kinds import KINDS, Owner, Role
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.assembly import Storage
from storage.catalogue import objects
from storage.catalogue.artefacts import ArtefactState, change_artefact
from storage.catalogue.avatars import Avatar
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import StoredRow
from storage.catalogue.snapshots import SNAPSHOT_MEMBERS, digest_of
from storage.handles import ArtefactRun, Operation, Use
from storage.identifiers import random_id
from storage.key_store import SCOPE_KEYS
from storage.mandates import MODEL_KINDS
from storage.runs import LEASE
from tests.storage.conftest import (
    BOTH,
    SEGMENT,
    VOICE,
    WEIGHTS,
    AdmittedFactory,
    GrantFactory,
    MovableClock,
    PlanFactory,
    ReceivedFactory,
    Trained,
    TrainedFactory,
)

IMPROVE = frozenset({Purpose.MODEL_IMPROVEMENT})
MEBIBYTE = 1024 * 1024
STOPPED = (ConsentRefused, FenceLost, Frozen)

pytestmark = pytest.mark.parametrize(
    "storage",
    ["embedded", pytest.param("served", marks=[pytest.mark.services, pytest.mark.long])],
    indirect=True,
)


@pytest.fixture
def segment(admitted: AdmittedFactory) -> str:
    return admitted().features["voice_segment"]


@pytest.fixture
def avatar(storage: Storage, segment: str) -> Avatar:
    return storage.avatars.create("s-1", "Reader")


@pytest.fixture
def training(storage: Storage, avatar: Avatar, segment: str, planned: PlanFactory) -> ArtefactRun:
    return storage.door.begin_training(planned(avatar, segment))


@pytest.fixture
def voice(avatar: Avatar, segment: str, trained: TrainedFactory) -> Trained:
    return trained(avatar, segment)


def _row(storage: Storage, object_id: str) -> StoredRow:
    with storage.catalogue.reading() as connection:
        row = objects.object_by_id(connection, object_id)
    assert row is not None
    return row


def _training(run: ArtefactRun) -> Use:
    return Use(Role.TRAINING, Operation.PROCESS, run.purposes, run.id)


def _generating(purposes: frozenset[Purpose] = VOICE) -> Use:
    return Use(Role.GENERATION, Operation.PROCESS, purposes, "r" * 32)


def _opens(storage: Storage, object_id: str, use: Use) -> bool:
    try:
        with storage.door.open(object_id, use) as reader:
            reader.read()
    except Refused:
        return False
    return True


def _generated(storage: Storage, trained: Trained, kind: str = "generated_speech") -> str:
    run = storage.door.begin_generation(trained.artefact.id)
    made = storage.door.put(run, kind, [b"speech"])
    storage.artefacts.finish_generation(run, made, seconds=1.5, request="say something")
    return made


def _keys(storage: Storage) -> set[str]:
    return {entry.key for entry in storage.store.list_keys()}


# --- the snapshot -----------------------------------------------------------------------------


def test_beginning_freezes_what_is_read_and_the_consent_that_each_rests_on(
    storage: Storage, training: ArtefactRun, segment: str
) -> None:
    artefact = storage.artefacts.by_id(training.artefact_id)
    snapshot, (member,) = storage.artefacts.snapshot(artefact)
    row = _row(storage, segment)
    assert (member.object_id, member.upload_id) == (segment, row.upload_id)
    assert member.grant_sequence == row.basis[Purpose.VOICE_CLONING]
    assert snapshot.digest == digest_of([member])
    assert artefact.state is ArtefactState.TRAINING
    assert training.subject_id == artefact.subject_id == row.subject_id


def test_the_digest_of_a_snapshot_tells_lists_apart_and_not_their_order(
    storage: Storage, avatar: Avatar, admitted: AdmittedFactory, planned: PlanFactory
) -> None:
    ids = [admitted().features["voice_segment"] for _ in range(3)]
    lists = [ids, ids[::-1], [*ids, ids[0]], ids[:2]]
    digests = [
        storage.artefacts.snapshot(
            storage.artefacts.by_id(storage.door.begin_training(planned(avatar, *each)).artefact_id)
        )[0].digest
        for each in lists
    ]
    assert len(set(digests[:3])) == 1
    assert digests[3] != digests[0]


def test_one_member_without_consent_refuses_the_whole_training_and_leaves_no_row(
    storage: Storage, avatar: Avatar, segment: str, admitted: AdmittedFactory, planned: PlanFactory
) -> None:
    other = admitted(purposes=VOICE)
    storage.door.freeze(Scope.UPLOAD, other.upload.id, purpose=None, cause="closing")
    with pytest.raises(ConsentRefused) as refused:
        storage.door.begin_training(planned(avatar, segment, other.features["voice_segment"]))
    assert {reason["code"] for reason in refused.value.reasons} == {"frozen"}
    assert storage.artefacts.of_avatar(avatar) == []


def test_a_purpose_that_an_upload_was_not_given_for_trains_nothing(
    storage: Storage, avatar: Avatar, admitted: AdmittedFactory, planned: PlanFactory
) -> None:
    segment = admitted(purposes=VOICE).features["voice_segment"]
    with pytest.raises(RoleRefused, match="digital_human"):
        storage.door.begin_training(planned(avatar, segment, purpose=Purpose.DIGITAL_HUMAN))


@pytest.mark.parametrize(
    ("task", "purpose"),
    [
        (Task.VOICE, Purpose.MODEL_IMPROVEMENT),
        (Task.HUMAN, Purpose.VOICE_CLONING),
    ],
)
def test_a_task_is_trained_only_for_a_purpose_that_it_serves(
    storage: Storage,
    avatar: Avatar,
    segment: str,
    planned: PlanFactory,
    task: Task,
    purpose: Purpose,
) -> None:
    with pytest.raises(BadUsage, match="is not trained for"):
        storage.door.begin_training(planned(avatar, segment, task=task, purpose=purpose))


def test_a_persons_model_is_trained_on_nobody_elses_recordings(
    storage: Storage, avatar: Avatar, segment: str, admitted: AdmittedFactory, planned: PlanFactory
) -> None:
    others = admitted("s-2").features["voice_segment"]
    with pytest.raises(RoleRefused, match="theirs alone"):
        storage.door.begin_training(planned(avatar, segment, others))


def test_what_waits_in_quarantine_reports_and_models_are_not_trained_on(
    storage: Storage,
    avatar: Avatar,
    received: ReceivedFactory,
    admitted: AdmittedFactory,
    voice: Trained,
    planned: PlanFactory,
) -> None:
    (quarantined,) = storage.uploads.objects_of(received().id)
    report = admitted().features["report"]
    for wrong in (quarantined.id, report, voice.objects["model_weights"]):
        with pytest.raises(RoleRefused, match="not trained on"):
            storage.door.begin_training(planned(avatar, wrong))


def test_an_erased_or_unknown_object_and_an_empty_list_are_not_trained_on(
    storage: Storage, avatar: Avatar, segment: str, planned: PlanFactory
) -> None:
    with pytest.raises(NotFound):
        storage.door.begin_training(planned(avatar, random_id()))
    storage.door.delete([segment])
    with pytest.raises(NotFound):
        storage.door.begin_training(planned(avatar, segment))
    with pytest.raises(LikenessError):
        storage.door.begin_training(planned(avatar))


def test_a_frozen_avatar_is_not_trained(
    storage: Storage, avatar: Avatar, segment: str, planned: PlanFactory
) -> None:
    storage.door.freeze(Scope.AVATAR, avatar.id, purpose=None, cause="avatar_deleted")
    with pytest.raises(ConsentRefused):
        storage.door.begin_training(planned(avatar, segment))


def test_what_may_be_trained_on_is_what_is_allowed_now(
    storage: Storage, avatar: Avatar, segment: str, admitted: AdmittedFactory
) -> None:
    stopped = admitted()
    storage.door.freeze(Scope.UPLOAD, stopped.upload.id, purpose=None, cause="closing")
    only_voice = admitted(purposes=VOICE).features["voice_segment"]
    assert avatar.subject_id is not None

    def usable(purpose: Purpose) -> set[str]:
        kinds = {"voice_segment", "report"}
        return set(
            storage.artefacts.usable(purpose, subject_id=avatar.subject_id or "", kinds=kinds)
        )

    assert usable(Purpose.VOICE_CLONING) == {segment, only_voice}
    assert usable(Purpose.DIGITAL_HUMAN) == {segment}
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    assert usable(Purpose.VOICE_CLONING) == set()


# --- training ---------------------------------------------------------------------------------


def test_a_training_reads_its_members_on_record_and_registers_what_it_put(
    storage: Storage, training: ArtefactRun, segment: str
) -> None:
    with storage.door.open(segment, _training(training)) as reader:
        assert reader.read() == SEGMENT
    weights = storage.door.put(training, "model_weights", [WEIGHTS])
    artefact = storage.artefacts.finish_training(training, {"loss": 0.25})
    assert artefact.state is ArtefactState.REGISTERED
    assert artefact.metrics == {"loss": 0.25}
    row = _row(storage, weights)
    assert row.artefact_id == artefact.id
    assert row.upload_id is None
    assert row.subject_id == artefact.subject_id
    granted = _row(storage, segment).basis[Purpose.VOICE_CLONING]
    assert row.basis == {Purpose.VOICE_CLONING: granted}
    accesses = storage.consents.accesses_to(artefact.subject_id or "")
    assert [a.reference for a in accesses if a.object_id == segment] == [training.id]


def test_what_a_model_rests_on_is_the_oldest_consent_of_its_members(
    storage: Storage,
    avatar: Avatar,
    segment: str,
    admitted: AdmittedFactory,
    trained: TrainedFactory,
) -> None:
    later = admitted().features["voice_segment"]
    made = trained(avatar, later, segment)
    oldest = min(_row(storage, each).basis[Purpose.VOICE_CLONING] for each in (segment, later))
    assert _row(storage, made.objects["model_weights"]).basis == {Purpose.VOICE_CLONING: oldest}


def test_a_training_that_put_nothing_to_generate_with_is_not_registered(
    storage: Storage, training: ArtefactRun
) -> None:
    storage.door.put(training, "training_plot", [b"png"])
    with pytest.raises(LikenessError, match="nothing that could be generated with"):
        storage.door.commit(training)
    assert storage.artefacts.by_id(training.artefact_id).state is ArtefactState.TRAINING


def test_an_abandoned_training_leaves_no_byte_and_no_key_and_is_marked_as_failed(
    storage: Storage, training: ArtefactRun
) -> None:
    before = _keys(storage)
    weights = storage.door.put(training, "model_weights", [WEIGHTS])
    checkpoint = storage.door.put(training, "model_checkpoint", [WEIGHTS])
    storage.door.keep(training, checkpoint)
    storage.door.abandon(training)
    storage.door.abandon(training)
    assert _keys(storage) == before
    for each in (weights, checkpoint):
        with pytest.raises(KeyDestroyed):
            storage.vault.object_key(each)
    assert storage.artefacts.by_id(training.artefact_id).state is ArtefactState.FAILED
    with pytest.raises(FenceLost):
        storage.door.resume_training(training.artefact_id)


def test_two_workers_do_not_both_train_one_artefact(
    storage: Storage, training: ArtefactRun
) -> None:
    with pytest.raises(FenceLost, match="Another worker"):
        storage.door.resume_training(training.artefact_id)


def test_a_training_writes_no_features_and_ingest_no_models(
    storage: Storage, training: ArtefactRun, received: ReceivedFactory
) -> None:
    with pytest.raises(RoleRefused):
        storage.door.put(training, "voice_segment", [b"x"])
    with pytest.raises(RoleRefused, match="another owner"):
        storage.door.put(training, "base_weights", [b"x"])
    ingest = storage.door.begin(received().id, role=Role.INGEST, purposes=BOTH)
    with pytest.raises(RoleRefused):
        storage.door.put(ingest, "model_weights", [b"x"])


@pytest.mark.parametrize("scope", list(Scope))
def test_a_freeze_of_whatever_it_is_made_of_stops_a_training_which_leaves_nothing(
    storage: Storage,
    planned: PlanFactory,
    received: ReceivedFactory,
    admitted: AdmittedFactory,
    scope: Scope,
) -> None:
    received("s-1", account="a-1")
    upload = admitted("s-1")
    avatar = storage.avatars.create("s-1", "Reader")
    run = storage.door.begin_training(planned(avatar, upload.features["voice_segment"]))
    before = _keys(storage)
    storage.door.put(run, "model_weights", [WEIGHTS])
    ids = {
        Scope.ACCOUNT: upload.upload.account_id,
        Scope.SUBJECT: upload.upload.subject_id,
        Scope.AVATAR: avatar.id,
        Scope.UPLOAD: upload.upload.id,
    }
    storage.door.freeze(scope, ids[scope] or "", purpose=None, cause="closing")
    assert storage.door.is_stopped(run)
    with pytest.raises(STOPPED):
        storage.door.put(run, "model_weights", [WEIGHTS])
    with pytest.raises(STOPPED):
        storage.artefacts.finish_training(run, {})
    storage.reconciler.run()
    assert _keys(storage) <= before
    assert storage.artefacts.by_id(run.artefact_id).state is ArtefactState.FAILED
    assert storage.artefacts.model(storage.artefacts.by_id(run.artefact_id)) == []


def test_a_withdrawal_while_weights_are_written_leaves_nothing_of_them(
    storage: Storage, training: ArtefactRun
) -> None:
    before = _keys(storage)

    def withdrawing() -> Iterator[bytes]:
        yield WEIGHTS
        storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
        yield WEIGHTS

    with pytest.raises(FenceLost):
        storage.door.put(training, "model_weights", withdrawing())
    storage.door.abandon(training)
    assert _keys(storage) == before


def test_a_withdrawal_of_another_purpose_stops_no_training(
    storage: Storage, training: ArtefactRun
) -> None:
    storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN)
    storage.door.put(training, "model_weights", [WEIGHTS])
    assert storage.artefacts.finish_training(training, {}).state is ArtefactState.REGISTERED


def test_what_was_withdrawn_and_granted_again_meanwhile_is_not_registered(
    storage: Storage,
    avatar: Avatar,
    segment: str,
    planned: PlanFactory,
    grant: GrantFactory,
    clock: MovableClock,
) -> None:
    """Even where the run itself was not stopped, each member's own consent is asked for again."""
    run = storage.door.begin_training(planned(avatar, segment))
    storage.door.put(run, "model_weights", [WEIGHTS])
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    clock.advance(timedelta(minutes=1))
    storage.consents.grant("s-1", VOICE, grant(b"agreed again, on another paper"))
    allowed = {each.purpose for each in storage.consents.decisions("s-1") if each.allowed}
    assert Purpose.VOICE_CLONING in allowed
    with pytest.raises(ConsentRefused) as refused:
        storage.door.commit(run)
    assert {reason["code"] for reason in refused.value.reasons} >= {"basis_outdated"}


# --- resuming ---------------------------------------------------------------------------------


def test_a_training_whose_worker_died_goes_on_from_what_was_kept(
    storage: Storage, training: ArtefactRun, clock: MovableClock
) -> None:
    checkpoint = storage.door.put(training, "model_checkpoint", [WEIGHTS])
    storage.door.keep(training, checkpoint)
    storage.door.put(training, "model_checkpoint", [b"not kept"])
    clock.advance(LEASE + timedelta(seconds=1))
    repairs = storage.reconciler.run()
    assert (repairs.runs_reaped, repairs.writes_removed) == (1, 1)
    resumed = storage.door.resume_training(training.artefact_id)
    artefact = storage.artefacts.by_id(training.artefact_id)
    assert [row.id for row in storage.artefacts.checkpoints(artefact)] == [checkpoint]
    with storage.door.open(checkpoint, _training(resumed)) as reader:
        assert reader.read() == WEIGHTS
    storage.door.put(resumed, "model_weights", [WEIGHTS])
    assert storage.artefacts.finish_training(resumed, {}).state is ArtefactState.REGISTERED
    assert storage.artefacts.checkpoints(artefact) == []
    with pytest.raises(KeyDestroyed):
        storage.vault.object_key(checkpoint)


def test_a_training_that_died_without_a_checkpoint_or_waited_too_long_has_failed(
    storage: Storage, avatar: Avatar, segment: str, planned: PlanFactory, clock: MovableClock
) -> None:
    runs = [storage.door.begin_training(planned(avatar, segment)) for _ in range(2)]
    storage.door.keep(runs[0], storage.door.put(runs[0], "model_checkpoint", [WEIGHTS]))
    clock.advance(LEASE + timedelta(seconds=1))
    storage.reconciler.run()
    states = [storage.artefacts.by_id(run.artefact_id).state for run in runs]
    assert states == [ArtefactState.TRAINING, ArtefactState.FAILED]
    clock.advance(timedelta(days=8))
    storage.reconciler.run()
    storage.reconciler.run()
    assert storage.artefacts.by_id(runs[0].artefact_id).state is ArtefactState.FAILED


def test_a_checkpoint_is_read_by_its_own_open_training_alone_and_until_it_is_stopped(
    storage: Storage, training: ArtefactRun, avatar: Avatar, segment: str, planned: PlanFactory
) -> None:
    checkpoint = storage.door.put(training, "model_checkpoint", [b"x" * MEBIBYTE] * 3)
    storage.door.keep(training, checkpoint)
    another = storage.door.begin_training(planned(avatar, segment))
    for posing in (_training(another), Use(Role.TRAINING, Operation.PROCESS, VOICE, "r" * 32)):
        with pytest.raises(FenceLost), storage.door.open(checkpoint, posing):
            pass
    with storage.door.open(checkpoint, _training(training)) as reader:
        pieces = iter(reader)
        next(pieces)
        storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
        with pytest.raises(FenceLost):
            next(pieces)


def test_only_a_training_as_it_stood_is_kept_before_the_end(
    storage: Storage, training: ArtefactRun
) -> None:
    weights = storage.door.put(training, "model_weights", [WEIGHTS])
    with pytest.raises(BadUsage):
        storage.door.keep(training, weights)
    with pytest.raises(NotFound), storage.door.open(weights, _generating()):
        pass


# --- using an artefact ------------------------------------------------------------------------


def test_weights_are_read_for_generation_and_by_the_person_and_by_nobody_else(
    storage: Storage, voice: Trained
) -> None:
    weights = voice.objects["model_weights"]
    with storage.door.open(weights, _generating()) as reader:
        assert reader.read() == WEIGHTS
    with storage.door.open(weights, Use(Role.PERSON, Operation.ACCESS, frozenset(), "e" * 32)) as r:
        assert r.read() == WEIGHTS
    for role in set(Role) - {Role.GENERATION, Role.PERSON, Role.DISCLOSURE}:
        with (
            pytest.raises(RoleRefused),
            storage.door.open(weights, Use(role, Operation.PROCESS, VOICE, "r" * 32)),
        ):
            pass


def test_use_for_another_purpose_than_it_was_trained_for_is_refused(
    storage: Storage, voice: Trained
) -> None:
    assert not _opens(
        storage, voice.objects["model_weights"], _generating(frozenset({Purpose.DIGITAL_HUMAN}))
    )


@pytest.mark.parametrize("scope", list(Scope))
def test_a_freeze_of_whatever_it_is_made_of_stops_every_use_and_leaves_the_persons_own_access(
    storage: Storage,
    received: ReceivedFactory,
    admitted: AdmittedFactory,
    trained: TrainedFactory,
    scope: Scope,
) -> None:
    received("s-1", account="a-1")
    uploads = [admitted("s-1") for _ in range(2)]
    avatar = storage.avatars.create("s-1", "Reader")
    made = trained(avatar, *(each.features["voice_segment"] for each in uploads))
    running = storage.door.begin_generation(made.artefact.id)
    ids = {
        Scope.ACCOUNT: uploads[0].upload.account_id,
        Scope.SUBJECT: uploads[0].upload.subject_id,
        Scope.AVATAR: avatar.id,
        Scope.UPLOAD: uploads[1].upload.id,
    }
    with storage.door.open(made.objects["model_weights"], _generating()) as reader:
        storage.door.freeze(scope, ids[scope] or "", purpose=None, cause="closing")
        with pytest.raises(Frozen):
            reader.read()
    assert storage.door.is_stopped(running)
    assert not storage.artefacts.is_usable(made.artefact)
    assert not _opens(storage, made.objects["model_weights"], _generating())
    with pytest.raises(ConsentRefused):
        storage.door.begin_generation(made.artefact.id)
    own = Use(Role.PERSON, Operation.ACCESS, frozenset(), "e" * 32)
    assert _opens(storage, made.objects["model_weights"], own)


def test_stopping_an_upload_stops_other_avatars_that_were_made_of_it_and_no_others(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    shared, mine = admitted(), admitted()
    first, second, third = (storage.avatars.create("s-1", name) for name in ("a", "b", "c"))
    with_shared = [
        trained(avatar, shared.features["voice_segment"]).artefact for avatar in (first, second)
    ]
    without = trained(third, mine.features["voice_segment"]).artefact
    storage.door.freeze(Scope.UPLOAD, shared.upload.id, purpose=None, cause="closing")
    assert [storage.artefacts.is_usable(each) for each in (*with_shared, without)] == [
        False,
        False,
        True,
    ]


def test_deleting_an_avatar_stops_the_other_avatar_that_was_made_of_the_same_upload(
    storage: Storage, segment: str, avatar: Avatar, trained: TrainedFactory
) -> None:
    made = trained(avatar, segment)
    other = storage.avatars.create("s-1", "another")
    also = trained(other, segment)
    running = storage.door.begin_generation(also.artefact.id)
    storage.door.freeze(Scope.AVATAR, avatar.id, purpose=None, cause="avatar_deleted")
    assert storage.door.is_stopped(running)
    assert not storage.artefacts.is_usable(made.artefact)
    assert not storage.artefacts.is_usable(also.artefact)


def test_a_withdrawn_purpose_stops_its_models_for_good_and_leaves_the_other_purposes(
    storage: Storage,
    avatar: Avatar,
    segment: str,
    trained: TrainedFactory,
    grant: GrantFactory,
    clock: MovableClock,
) -> None:
    for_voice = trained(avatar, segment)
    for_human = trained(avatar, segment, purpose=Purpose.DIGITAL_HUMAN)
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    clock.advance(timedelta(minutes=1))
    storage.consents.grant("s-1", VOICE, grant(b"agreed again, on another paper"))
    assert not storage.artefacts.is_usable(for_voice.artefact)
    assert storage.artefacts.is_usable(for_human.artefact)
    human = frozenset({Purpose.DIGITAL_HUMAN})
    assert _opens(storage, for_human.objects["model_weights"], _generating(human))
    assert storage.artefacts.newest_usable(avatar, Task.VOICE).id == for_human.artefact.id


@pytest.mark.parametrize("state", [ArtefactState.ERASED, ArtefactState.FAILED])
def test_a_model_that_is_not_registered_is_not_used(
    storage: Storage, voice: Trained, state: ArtefactState
) -> None:
    with storage.catalogue.writing() as writing:
        change_artefact(
            writing.connection, voice.artefact.id, expected=frozenset(ArtefactState), state=state
        )
    assert not _opens(storage, voice.objects["model_weights"], _generating())
    with pytest.raises(Frozen):
        storage.door.begin_generation(voice.artefact.id)


def test_a_model_of_which_a_member_is_gone_is_not_used(
    storage: Storage, avatar: Avatar, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    segments = [admitted().features["voice_segment"] for _ in range(2)]
    made = trained(avatar, *segments)
    with storage.catalogue.writing() as writing:
        writing.connection.execute(
            SNAPSHOT_MEMBERS.delete().where(SNAPSHOT_MEMBERS.c.object_id == segments[0])
        )
    assert not storage.artefacts.is_usable(made.artefact)


def test_a_recording_that_expired_or_was_replaced_does_not_stop_what_was_made_of_it(
    storage: Storage, segment: str, voice: Trained
) -> None:
    storage.door.delete([segment])
    assert storage.artefacts.is_usable(voice.artefact)


# --- generating -------------------------------------------------------------------------------


def test_what_is_generated_is_on_record_with_what_it_was_made_of(
    storage: Storage, voice: Trained, avatar: Avatar
) -> None:
    made = _generated(storage, voice)
    (generation,) = storage.artefacts.generations_of_avatar(avatar)
    assert (generation.id, generation.seconds) == (made, 1.5)
    assert storage.artefacts.request(generation) == "say something"
    row = _row(storage, made)
    assert (row.artefact_id, row.subject_id) == (voice.artefact.id, avatar.subject_id)
    with storage.catalogue.reading() as connection:
        parents = objects.parents_of(connection, made)
    assert set(parents) == {each for kind, each in voice.objects.items() if kind in MODEL_KINDS}


def test_a_generation_is_on_record_even_where_nothing_more_is_said_of_it(
    storage: Storage, voice: Trained
) -> None:
    run = storage.door.begin_generation(voice.artefact.id)
    made = storage.door.put(run, "generated_speech", [b"speech"])
    storage.door.commit(run)
    assert storage.artefacts.generation(made).artefact_id == voice.artefact.id


def test_several_may_generate_with_one_artefact_at_the_same_time(
    storage: Storage, voice: Trained
) -> None:
    runs = [storage.door.begin_generation(voice.artefact.id) for _ in range(2)]
    for run in runs:
        storage.door.put(run, "generated_speech", [b"speech"])
        storage.door.commit(run)


def test_a_withdrawal_while_it_generates_leaves_nothing_and_no_generation(
    storage: Storage, voice: Trained, avatar: Avatar
) -> None:
    before = _keys(storage)
    run = storage.door.begin_generation(voice.artefact.id)
    storage.door.put(run, "generated_speech", [b"speech"])
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    with pytest.raises(STOPPED):
        storage.door.commit(run)
    storage.reconciler.run()
    assert _keys(storage) == before
    assert storage.artefacts.generations_of_avatar(avatar) == []
    assert storage.artefacts.by_id(voice.artefact.id).state is ArtefactState.REGISTERED


def test_a_voice_model_makes_no_video(storage: Storage, voice: Trained) -> None:
    run = storage.door.begin_generation(voice.artefact.id)
    with pytest.raises(RoleRefused, match="P28"):
        storage.door.put(run, "generated_video", [b"x"])


def test_a_video_whose_speech_may_not_be_used_any_more_is_not_kept(
    storage: Storage, avatar: Avatar, segment: str, voice: Trained, trained: TrainedFactory
) -> None:
    """Its own purpose stands; the voice in it was cloned under another."""
    speech = _generated(storage, voice)
    human = trained(avatar, segment, purpose=Purpose.DIGITAL_HUMAN)
    run = storage.door.begin_generation(human.artefact.id)
    storage.door.put(run, "generated_video", [b"video"], parents=(speech,))
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    with pytest.raises(ConsentRefused):
        storage.door.commit(run)
    storage.door.abandon(run)


def test_a_video_names_the_speech_that_the_same_run_made_for_it(
    storage: Storage, avatar: Avatar, segment: str, trained: TrainedFactory
) -> None:
    human = trained(avatar, segment, purpose=Purpose.DIGITAL_HUMAN)
    run = storage.door.begin_generation(human.artefact.id)
    speech = storage.door.put(run, "generated_speech", [b"speech"])
    video = storage.door.put(run, "generated_video", [b"video"], parents=(speech,))
    assert set(storage.door.commit(run)) == {speech, video}
    with storage.catalogue.reading() as connection:
        assert speech in objects.parents_of(connection, video)


def test_nothing_is_made_of_somebody_elses_speech(
    storage: Storage, voice: Trained, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    theirs = admitted("s-2").features["voice_segment"]
    speech = _generated(storage, trained(storage.avatars.create("s-2", "Other"), theirs))
    run = storage.door.begin_generation(voice.artefact.id)
    with pytest.raises(BadUsage):
        storage.door.put(run, "generated_speech", [b"x"], parents=(speech,))


# --- shared bases -----------------------------------------------------------------------------


@pytest.fixture
def people(admitted: AdmittedFactory) -> list[str]:
    """A segment of each of three people who agreed that shared bases learn from it."""
    return [
        admitted(f"s-{number}", purposes=IMPROVE | VOICE).features["voice_segment"]
        for number in (1, 2, 3)
    ]


def test_a_base_is_nobodys_alone_and_lies_under_a_key_of_its_own(
    storage: Storage, people: list[str], trained: TrainedFactory
) -> None:
    base = trained(None, *people)
    row = _row(storage, base.objects["base_weights"])
    assert (row.subject_id, row.artefact_id) == (None, base.artefact.id)
    assert KINDS[row.kind].owner is Owner.ARTEFACT
    owners = {_row(storage, each).subject_id for each in people}
    for owner in owners:
        storage.vault.destroy_scope_keys(owner or "")
    assert _opens(storage, row.id, _generating(IMPROVE))
    storage.vault.destroy_scope_keys(base.artefact.id)
    with pytest.raises(KeyDestroyed):
        storage.vault.object_key(row.id)


def test_one_persons_withdrawal_stops_the_training_of_a_base_and_its_key_goes(
    storage: Storage, people: list[str], planned: PlanFactory
) -> None:
    run = storage.door.begin_training(planned(None, *people))
    before = _keys(storage)
    storage.door.put(run, "base_weights", [WEIGHTS])
    storage.consents.withdraw("s-2", Purpose.MODEL_IMPROVEMENT)
    with pytest.raises(STOPPED):
        storage.door.commit(run)
    storage.reconciler.run()
    assert _keys(storage) == before
    assert storage.artefacts.by_id(run.artefact_id).state is ArtefactState.FAILED
    with pytest.raises(KeyDestroyed):
        storage.vault.object_key(run.artefact_id)


def test_a_refused_base_leaves_no_key(
    storage: Storage, people: list[str], planned: PlanFactory
) -> None:
    storage.consents.withdraw("s-2", Purpose.MODEL_IMPROVEMENT)

    def living() -> int:
        with storage.keys.database.reading() as connection:
            return len(
                connection.execute(
                    select(SCOPE_KEYS.c.id).where(SCOPE_KEYS.c.destroyed_at.is_(None))
                ).all()
            )

    before = living()
    with pytest.raises(ConsentRefused):
        storage.door.begin_training(planned(None, *people))
    assert living() == before


def test_a_base_that_somebody_was_taken_out_of_is_used_until_its_day_and_not_after(
    storage: Storage, people: list[str], trained: TrainedFactory, clock: MovableClock
) -> None:
    base = trained(None, *people)
    weights, use = base.objects["base_weights"], _generating(IMPROVE)
    with storage.catalogue.writing() as writing:
        change_artefact(
            writing.connection,
            base.artefact.id,
            expected=frozenset({ArtefactState.REGISTERED}),
            state=ArtefactState.TAINTED,
            tainted_at=clock(),
            retrain_by=clock() + timedelta(days=30),
        )
    assert _opens(storage, weights, use)
    clock.advance(timedelta(days=30))
    assert not _opens(storage, weights, use)


def test_a_voice_starts_from_a_base_in_use_and_nothing_else(
    storage: Storage,
    people: list[str],
    planned: PlanFactory,
    trained: TrainedFactory,
) -> None:
    base = trained(None, *people)
    avatar = storage.avatars.create("s-1", "Reader")
    run = storage.door.begin_training(planned(avatar, people[0], base_id=base.artefact.id))
    use = Use(Role.TRAINING, Operation.PROCESS, IMPROVE, run.id)
    assert _opens(storage, base.objects["base_weights"], use)
    voice = trained(avatar, people[0])
    with pytest.raises(BadUsage, match="not from a model of a person"):
        storage.door.begin_training(planned(avatar, people[0], base_id=voice.artefact.id))
    with pytest.raises(BadUsage, match="from scratch"):
        storage.door.begin_training(planned(None, *people, base_id=base.artefact.id))
    with pytest.raises(Frozen):
        storage.door.begin_training(planned(avatar, people[0], base_id=random_id()))


def test_nothing_is_generated_with_a_base_alone(
    storage: Storage, people: list[str], trained: TrainedFactory
) -> None:
    with pytest.raises(BadUsage, match="nobody's voice"):
        storage.door.begin_generation(trained(None, *people).artefact.id)


def test_runs_on_uploads_and_on_artefacts_are_told_apart(
    storage: Storage, training: ArtefactRun, received: ReceivedFactory
) -> None:
    ingest = storage.door.begin(received().id, role=Role.INGEST, purposes=BOTH)
    assert storage.door.resume_artefact_run(training.id) == training
    assert storage.door.artefact_run(training.id) == training
    with pytest.raises(BadUsage):
        storage.door.resume(training.id)
    with pytest.raises(BadUsage):
        storage.door.artefact_run(ingest.id)
