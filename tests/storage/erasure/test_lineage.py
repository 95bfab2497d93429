"""What came of what: an avatar takes its uploads, models, generations; bases are marked (P15)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.schema.erasure import ErasureGround
from models.schema.errors import LikenessError, NotFound
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.receipt import KeptThing
from models.schema.retention import Retention
from storage.assembly import Storage
from storage.catalogue import artefacts, snapshots
from storage.catalogue.artefacts import Artefact, ArtefactState
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import OrderState
from storage.catalogue.uploads import UploadState
from storage.erasure.orders import Request
from storage.handles import Operation, Use
from tests.storage.conftest import (
    SEGMENT,
    WEIGHTS,
    AdmittedFactory,
    MovableClock,
    TrainedFactory,
)

VOICE = frozenset({Purpose.VOICE_CLONING})
IMPROVING = frozenset({Purpose.VOICE_CLONING, Purpose.MODEL_IMPROVEMENT})


def _erase(storage: Storage, request: Request) -> str:
    order = storage.orders.place(request)
    assert storage.carrying_out.run(order.id).state is OrderState.DONE
    assert storage.receipts.findings(storage.receipts.of(order.id)) == []
    return order.id


def _speaks(storage: Storage, artefact: Artefact) -> str:
    """Generate with an artefact; the generation's id."""
    run = storage.artefacts.begin_generation(artefact.id)
    made = storage.door.put(run, "generated_speech", [SEGMENT])
    storage.artefacts.finish_generation(run, made, seconds=1.0, request="hello")
    return made


def _opens(storage: Storage, object_id: str, purposes: frozenset[Purpose] = VOICE) -> bool:
    use = Use(Role.GENERATION, Operation.PROCESS, purposes, "test")
    try:
        with storage.door.open(object_id, use) as reader:
            reader.read()
    except LikenessError:
        return False
    return True


def test_a_deleted_avatar_takes_its_models_generations_and_the_uploads_it_was_made_of(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    used, other = admitted("s-1", VOICE), admitted("s-1", VOICE, content=[b"another"])
    avatar = storage.avatars.create("s-1", "Reader")
    model = trained(avatar, used.features["voice_segment"])
    generation = _speaks(storage, model.artefact)
    request = Request(Scope.AVATAR, avatar.id, ground=ErasureGround.AVATAR_DELETED)
    plan = storage.orders.plan(request)
    assert plan.uploads == {used.upload.id}
    assert plan.generations == {generation}
    order = _erase(storage, request)
    receipt = storage.receipts.of(order).receipt
    assert {each.object for each in receipt.removed} == {
        generation,
        *model.objects.values(),
        *used.features.values(),
    }
    assert storage.uploads.by_id(used.upload.id).state is UploadState.ERASED
    assert len(storage.uploads.objects_of(other.upload.id)) == len(other.features)
    with storage.catalogue.reading() as connection:
        left = artefacts.artefact_by_id(connection, model.artefact.id)
    assert left is not None
    assert (left.state, left.subject_id, left.avatar_id) == (ArtefactState.ERASED, None, None)
    with pytest.raises(NotFound):
        storage.avatars.by_id(avatar.id)
    assert storage.orders.place(request).id == order


def test_another_avatar_of_the_same_uploads_stops_at_once_and_its_models_go_too(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    shared = admitted("s-1", VOICE).features["voice_segment"]
    deleted, other = (storage.avatars.create("s-1", name) for name in ("Reader", "Guide"))
    trained(deleted, shared)
    model = trained(other, shared)
    request = Request(Scope.AVATAR, deleted.id)
    assert storage.orders.plan(request).other_avatars == {other.id}
    order = storage.orders.place(request)
    assert not _opens(storage, model.objects["model_weights"])
    storage.carrying_out.run(order.id)
    assert storage.artefacts.of_avatar(storage.avatars.by_id(other.id)) == []


def test_a_shared_upload_stays_where_the_person_chose_so(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    shared, alone = admitted("s-1", VOICE), admitted("s-1", VOICE, content=[b"another"])
    deleted, other = (storage.avatars.create("s-1", name) for name in ("Reader", "Guide"))
    trained(deleted, shared.features["voice_segment"], alone.features["voice_segment"])
    model = trained(other, shared.features["voice_segment"])
    order = _erase(storage, Request(Scope.AVATAR, deleted.id, keep_shared=True))
    receipt = storage.receipts.of(order).receipt
    assert KeptThing.SHARED_UPLOADS in {each.what for each in receipt.kept}
    assert storage.uploads.by_id(alone.upload.id).state is UploadState.ERASED
    assert storage.uploads.by_id(shared.upload.id).state is UploadState.ADMITTED
    assert _opens(storage, model.objects["model_weights"])


def test_an_upload_takes_every_model_that_learned_from_it(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    used, other = admitted("s-1", VOICE), admitted("s-1", VOICE, content=[b"another"])
    avatar = storage.avatars.create("s-1", "Reader")
    both = trained(avatar, used.features["voice_segment"], other.features["voice_segment"])
    without = trained(avatar, other.features["voice_segment"])
    _erase(storage, Request(Scope.UPLOAD, used.upload.id))
    assert [each.id for each in storage.artefacts.of_avatar(avatar)] == [without.artefact.id]
    assert _opens(storage, without.objects["model_weights"])
    assert not _opens(storage, both.objects["model_weights"])


def test_a_shared_base_is_marked_forgets_the_person_and_is_not_used_after_its_deadline(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory, clock: MovableClock
) -> None:
    members = [admitted(subject, IMPROVING).features["voice_segment"] for subject in ("s-1", "s-2")]
    base = trained(None, *members)
    order = _erase(storage, Request(Scope.SUBJECT, "s-1"))
    with storage.catalogue.reading() as connection:
        marked = artefacts.artefact_by_id(connection, base.artefact.id)
        assert marked is not None
        left = snapshots.members_of(connection, marked.snapshot_id or "")
    assert marked.state is ArtefactState.TAINTED
    assert marked.retrain_by == clock() + timedelta(days=Retention().base_retraining_days)
    assert [each.object_id for each in left] == [members[1]]
    receipt = storage.receipts.of(order).receipt
    assert KeptThing.TAINTED_BASE in {each.what for each in receipt.kept}
    assert base.objects["base_weights"] not in {each.object for each in receipt.removed}


def test_a_base_with_nobody_left_in_it_is_erased(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    members = [admitted(subject, IMPROVING).features["voice_segment"] for subject in ("s-1", "s-2")]
    base = trained(None, *members)
    _erase(storage, Request(Scope.SUBJECT, "s-1"))
    order = _erase(storage, Request(Scope.SUBJECT, "s-2"))
    removed = {each.object for each in storage.receipts.of(order).receipt.removed}
    assert {*base.objects.values()} <= removed
    assert storage.vault.living_keys(owners=[base.artefact.id]) == 0


def test_withdrawing_improvement_marks_the_base_and_keeps_the_voice(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    members = [admitted(subject, IMPROVING).features["voice_segment"] for subject in ("s-1", "s-2")]
    trained(None, *members)
    model = trained(storage.avatars.create("s-1", "Reader"), members[0])
    order = _erase(storage, Request(Scope.SUBJECT, "s-1", Purpose.MODEL_IMPROVEMENT))
    assert storage.receipts.of(order).receipt.removed == ()
    assert _opens(storage, model.objects["model_weights"])
    with storage.door.open(
        model.objects["model_weights"], Use(Role.GENERATION, Operation.PROCESS, VOICE, "t")
    ) as reader:
        assert reader.read() == WEIGHTS


def test_withdrawing_a_voice_takes_its_models_and_leaves_the_avatar(
    storage: Storage, admitted: AdmittedFactory, trained: TrainedFactory
) -> None:
    both = admitted("s-1")
    avatar = storage.avatars.create("s-1", "Reader")
    model = trained(avatar, both.features["voice_segment"])
    _speaks(storage, model.artefact)
    _erase(storage, Request(Scope.SUBJECT, "s-1", Purpose.VOICE_CLONING))
    assert storage.avatars.by_id(avatar.id)
    assert storage.artefacts.of_avatar(avatar) == []
    assert storage.uploads.by_id(both.upload.id).purposes == {Purpose.DIGITAL_HUMAN}


def test_a_training_under_way_is_stopped_and_nothing_of_it_is_left(
    storage: Storage, admitted: AdmittedFactory, planned: object
) -> None:
    used = admitted("s-1", VOICE)
    avatar = storage.avatars.create("s-1", "Reader")
    run = storage.door.begin_training(planned(avatar, used.features["voice_segment"]))  # type: ignore[operator]
    put = storage.door.put(run, "model_weights", [WEIGHTS])
    request = Request(Scope.SUBJECT, "s-1")
    assert run.id in storage.orders.plan(request).runs
    _erase(storage, request)
    with pytest.raises(LikenessError):
        storage.artefacts.finish_training(run, {})
    assert storage.vault.living_keys(objects=[put]) == 0
    assert [entry.key for entry in storage.store.list_keys()] == []
