"""Avatars from the command line: created, listed, shown with what was trained for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import flows.opening
import flows.settings
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.assembly import Storage
from storage.catalogue.uploads import UploadState
from storage.registers.uploads import Conclusion, Declaration
from storage.trainings import PlannedTraining
from tests.flows.conftest import House

WHO = ("--subject", "s-1")
NAME = "News reader 小美"
VOICE = frozenset({Purpose.VOICE_CLONING})


@pytest.fixture
def known(house: House) -> House:
    """A house in which s-1 agreed to voice cloning."""
    said = house.run(
        "consent", "grant", *WHO, "--purpose", "voice_cloning", "--evidence", "yes", "--self"
    )
    assert said.code == 0
    return house


@pytest.fixture
def opened(known: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """The same house's storage, in this process."""
    monkeypatch.setenv("LIKENESS_HOME", str(known.home))
    caches = (flows.settings.settings, flows.opening.storage)
    for cached in caches:
        cached.cache_clear()
    yield flows.opening.storage()
    for cached in caches:
        cached.cache_clear()


def _trained(storage: Storage, avatar: str) -> str:
    """A voice that was trained for an avatar, and one thing that it said."""
    from flows.declaring import grant_from

    grant = grant_from("said so again", himself=True, authorised_by=None, explicit=False)
    upload = storage.uploads.declare(Declaration("s-1", None, VOICE, grant))
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    segment = storage.door.put(run, "voice_segment", [b"features"])
    ended = Conclusion(UploadState.ADMITTED, [], {})
    storage.door.commit(run, also=lambda w: storage.uploads.conclude(w, upload.id, ended))
    plan = PlannedTraining(
        Task.VOICE, Purpose.VOICE_CLONING, (segment,), "example", "1.0", avatar_id=avatar
    )
    training = storage.artefacts.begin_training(plan)
    storage.door.put(training, "model_weights", [b"weights"])
    storage.artefacts.finish_training(training, {"loss": 0.5})
    speaking = storage.artefacts.begin_generation(training.artefact_id)
    said = storage.door.put(speaking, "generated_speech", [b"speech"])
    storage.artefacts.finish_generation(speaking, said, seconds=2.0, request="secret words")
    return training.artefact_id


def test_an_avatar_is_created_listed_and_shown(known: House) -> None:
    made = known.run("avatar", "create", *WHO, "--name", NAME)
    assert made.code == 0
    assert (made.fields["name"], made.fields["artefacts"]) == (NAME, [])
    avatar = made.fields["avatar"]
    for listing in (("avatar", "list"), ("avatar", "list", *WHO)):
        (listed,) = known.run(*listing).fields["avatars"]
        assert (listed["avatar"], listed["name"]) == (avatar, NAME)
    shown = known.run("avatar", "show", "--avatar", avatar)
    assert shown.fields["avatar"] == avatar
    assert shown.fields["artefacts"] == shown.fields["generations"] == []
    assert NAME in known.plain("avatar", "show", "--avatar", avatar).stdout


def test_what_was_trained_is_shown_and_whether_it_may_be_used_now(
    known: House, opened: Storage
) -> None:
    avatar = known.run("avatar", "create", *WHO, "--name", NAME).fields["avatar"]
    artefact = _trained(opened, avatar)
    shown = known.run("avatar", "show", "--avatar", avatar)
    (told,) = shown.fields["artefacts"]
    assert (told["artefact"], told["state"], told["usable"]) == (artefact, "registered", True)
    assert (told["task"], told["metrics"]) == ("voice", {"loss": 0.5})
    assert [each["artefact"] for each in shown.fields["generations"]] == [artefact]
    assert "secret words" not in shown.out
    opened.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    (told,) = known.run("avatar", "show", "--avatar", avatar).fields["artefacts"]
    assert not told["usable"]


def test_nobody_unknown_has_an_avatar_and_no_id_is_repeated(house: House) -> None:
    for arguments in (
        ("create", "--subject", "s-unknown", "--name", NAME),
        ("list", "--subject", "s-unknown"),
        ("show", "--avatar", "0" * 32),
        ("show", "--avatar", "s-unknown"),
    ):
        said = house.run("avatar", *arguments)
        assert said.code == 2
        assert "s-unknown" not in said.out + said.err


def test_a_nameless_avatar_is_refused(known: House) -> None:
    assert known.run("avatar", "create", *WHO, "--name", " ").code == 2
    assert known.run("avatar", "list").fields["avatars"] == []
