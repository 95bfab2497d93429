"""Training and generating by the engine contract, from features to an erasure with its receipt."""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import compress, crc32

import numpy as np
import pytest

import flows.opening
import flows.settings
from examples.engine import Hum
from flows.erasing import places
from flows.generating import Wanted, generate
from flows.model_card import card_from
from flows.opening import storage as room_of_process
from flows.settings import Settings
from flows.steward.reconcile import reconcile_all
from flows.training import Budget, resume, train
from models.engines import contract, running
from models.engines.child import ForeignEngine
from models.engines.contract import Engine, File, FileRole, MediaType, Progress, Sample, Work
from models.engines.files import read_sound, read_tensors, write_sound
from models.engines.scratch import folders, open_scratch
from models.engines.settings import EngineSettings
from models.engines.synthetic import vowels
from models.schema.errors import (
    BadUsage,
    ConsentRefused,
    EngineFailed,
    FenceLost,
    Frozen,
    KeyDestroyed,
    LikenessError,
    NotFound,
)
from models.schema.kinds import KINDS, Role
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from models.schema.tensors import packed
from models.schema.voice import Tensors
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.artefacts import Artefact, ArtefactState
from storage.catalogue.avatars import Avatar
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import objects_of_artefact, parents_of
from storage.catalogue.uploads import UploadState
from storage.erasure.orders import Request
from storage.handles import Operation, Use
from storage.registers.uploads import Conclusion
from storage.runs import LEASE
from tests.flows.conftest import House

# The rooms' own fixtures, by their names.
from tests.storage.conftest import (  # noqa: F401
    VOICE,
    MovableClock,
    ReceivedFactory,
    addresses,
    addresses_in,
    clock,
    declare,
    grant,
    home,
    new_home,
    received,
    storage,
)

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "engine.py"
TEXT = "words that only Zhang Wei would ask for"
SAID = "words that only Zhang Wei would say"
VOICE_CLONING = Purpose.VOICE_CLONING
STOPPED = (ConsentRefused, FenceLost, Frozen)
SAMPLES = 4
BUDGET = Budget()
GIVEN = (FileRole.MATERIAL, FileRole.SAMPLE, FileRole.PLOT)
PERSON = Use(Role.PERSON, Operation.ACCESS, frozenset(), "e" * 32)


@pytest.fixture
def settings(
    home: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    """The settings of a process that works on `home`, with a place in memory of its own."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        monkeypatch.setenv("LIKENESS_HOME", str(home))
        monkeypatch.setenv("LIKENESS_ENGINES__SCRATCH", memory)
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
        flows.settings.settings.cache_clear()
        flows.opening.storage.cache_clear()
        yield flows.settings.settings()
        flows.settings.settings.cache_clear()
        flows.opening.storage.cache_clear()


@pytest.fixture(params=["in our process", "as a child"])
def engine(request: pytest.FixtureRequest, settings: Settings) -> Engine:
    """The example engine."""
    return example(settings, child=request.param == "as a child")


def example(settings: Settings, *, child: bool) -> Engine:
    if child:
        return ForeignEngine("hum", (sys.executable, str(EXAMPLE)), settings.engines)
    return Hum()


def a_segment(number: int = 0) -> bytes:
    """A made-up voice segment, as an ingest stores it."""
    with tempfile.TemporaryDirectory() as folder:
        sample = vowels(Path(folder))[number]
        sound, _ = read_sound(Path(folder), sample.files[0])
    samples = np.rint(sound * 32_768).astype(np.int16)
    hops = len(samples) // 300
    tensors: Tensors = {
        "log_mel": np.zeros((80, hops), np.float32),
        "f0_hz": np.full(hops, 120, np.float32),
        "samples": samples,
    }
    utterance = {"transcript": SAID, "language": "en"}
    return packed(tensors, {"utterance": utterance, "backends": {}})


@pytest.fixture
def avatar(storage: Storage, received: ReceivedFactory) -> Avatar:  # noqa: F811
    """An avatar of somebody of whom there are four made-up utterances to learn from."""
    upload = received("s-1", VOICE)
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=VOICE)
    for number in range(SAMPLES):
        storage.door.put(run, "voice_segment", [a_segment(number)])
    admitted = Conclusion(UploadState.ADMITTED, [], {})
    storage.door.commit(
        run, also=lambda writing: storage.uploads.conclude(writing, upload.id, admitted)
    )
    storage.uploads.release_quarantine(upload.id)
    return storage.avatars.create("s-1", "Reader")


@dataclass
class Trainer:
    """Trains the avatar in the house of the test."""

    house: Storage
    avatar: Avatar
    settings: Settings

    def train(
        self,
        engine: Engine,
        *,
        house: Storage | None = None,
        budget: Budget = BUDGET,
        told: Callable[[Progress], None] = lambda _: None,
    ) -> Artefact:
        return train(
            house or self.house,
            self.avatar.id,
            engine=engine,
            purpose=VOICE_CLONING,
            settings=self.settings.engines,
            budget=budget,
            told=told,
        )

    def resume(
        self, engine: Engine, artefact: Artefact, told: Callable[[Progress], None] = lambda _: None
    ) -> Artefact:
        settings = self.settings.engines
        return resume(self.house, artefact.id, engine=engine, settings=settings, told=told)

    def killed_at(self, step: int, engine: Engine, addresses: StorageAddresses) -> Artefact:  # noqa: F811
        """What a training leaves whose worker is killed right after it has told a step."""

        def kill(progress: Progress) -> None:
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGKILL)

        worker = multiprocessing.get_context("fork").Process(
            target=lambda: self.train(engine, house=Storage.open(addresses), told=kill)
        )
        worker.start()
        worker.join(60)
        assert worker.exitcode == -signal.SIGKILL
        (artefact,) = self.house.artefacts.of_avatar(self.avatar)
        return artefact

    def keys(self) -> set[str]:
        return {entry.key for entry in self.house.store.list_keys()}

    def scratch(self) -> list[str]:
        return [each.run_id for each in folders(self.settings.engines)]

    def read(self, artefact: Artefact, kind: str) -> bytes:
        (row,) = (row for row in self.house.artefacts.model(artefact) if row.kind == kind)
        with self.house.door.open(row.id, PERSON) as reader:
            return reader.read()

    def erase(self, request: Request) -> None:
        """Order it, carry it out, and see that nothing is found against the receipt."""
        order = self.house.orders.place(request)
        self.house.carrying_out.run(order.id, elsewhere=places(self.settings))
        assert self.house.receipts.findings(self.house.receipts.of(order.id)) == []


@pytest.fixture
def trainer(storage: Storage, avatar: Avatar, settings: Settings) -> Trainer:  # noqa: F811
    return Trainer(storage, avatar, settings)


class Listening(Hum):
    """The example, which remembers what it was given."""

    def __init__(self) -> None:
        self.heard: list[tuple[Sample, bytes, list[str]]] = []
        self.asked: contract.Training | None = None

    def train(self, request: contract.Training, work: Work) -> contract.Trained:
        self.asked = request
        for sample in request.samples:
            files = {file.role: file for file in sample.files}
            sound, _ = read_sound(work.folder, files[FileRole.SOUND])
            names = sorted(read_tensors(work.folder, files[FileRole.FEATURES]))
            samples = np.rint(sound * 32_768).astype(np.int16)
            self.heard.append((sample, samples.tobytes(), names))
        return super().train(request, work)


class Breaking(Hum):
    """The example, which breaks down once it has learned."""

    def train(self, request: contract.Training, work: Work) -> contract.Trained:
        super().train(request, work)
        raise RuntimeError(SAID)


class Forgetful(Hum):
    """The example, which gives no checkpoint, so that nothing but the fence stops it."""

    declaration = Hum.declaration.model_copy(update={"gives": frozenset({FileRole.WEIGHTS})})

    def train(self, request: contract.Training, work: Work) -> contract.Trained:
        def step(progress: Progress) -> None:
            work.step(progress.model_copy(update={"checkpoint": None}))

        return super().train(
            request, Work(work.folder, work.home, told=step, should_stop=lambda: False)
        )


class Generous(Hum):
    """The example, which gives a file of every role, and remembers what it was handed again."""

    declaration = Hum.declaration.model_copy(
        update={"gives": frozenset({*Hum.declaration.gives, *GIVEN})}
    )

    def __init__(self) -> None:
        self.handed: dict[str, FileRole] = {}

    def train(self, request: contract.Training, work: Work) -> contract.Trained:
        trained = super().train(request, work)
        sound, rate_hz = read_sound(work.folder, request.samples[0].files[0])
        (work.folder / "made").mkdir()
        (work.folder / "made" / "loss.png").write_bytes(a_picture())
        plot = File(name="made/loss.png", role=FileRole.PLOT, media_type=MediaType.PNG)
        spoken = [
            write_sound(work.folder, sound, rate_hz, name=f"made/{role}.wav", role=role)
            for role in (FileRole.SAMPLE, FileRole.MATERIAL)
        ]
        files = (plot, *spoken, *trained.files)
        return trained.model_copy(update={"files": files, "card": ("It went well.",)})

    def generate(self, request: contract.Generation, work: Work) -> contract.Generated:
        self.handed = {file.name: file.role for file in request.trained}
        assert all((work.folder / name).is_file() for name in self.handed)
        weights = tuple(file for file in request.trained if file.role is FileRole.WEIGHTS)
        return super().generate(request.model_copy(update={"trained": weights}), work)


def a_picture() -> bytes:
    """A PNG of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = chunk(b"IHDR", header) + chunk(b"IDAT", compress(b"\0\x7f")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + pixels


# --- training ---------------------------------------------------------------------------------


def test_a_voice_is_trained_registered_and_described_by_its_card(
    trainer: Trainer, engine: Engine
) -> None:
    before, steps = trainer.keys(), list[int]()
    artefact = trainer.train(engine, told=lambda progress: steps.append(progress.step))
    assert (artefact.state, artefact.avatar_id) == (ArtefactState.REGISTERED, trainer.avatar.id)
    assert artefact.metrics["f0_hz"] == pytest.approx(120, rel=0.05)
    assert steps == [1, 2, 3, 4]
    card = card_from(trainer.read(artefact, "model_card"))
    assert (card.engine, card.samples, card.steps, card.language) == ("hum", SAMPLES, 4, "en")
    kept = {row.kind: row.id for row in trainer.house.artefacts.model(artefact)}
    assert [(each.object, each.file.name) for each in card.files] == [
        (kept["model_weights"], "voice")
    ]
    # The model and its card, and no checkpoint any more.
    assert len(trainer.keys() - before) == 2
    assert trainer.house.artefacts.checkpoints(artefact) == []
    assert trainer.scratch() == []


def test_the_engine_hears_each_utterance_as_it_was_stored_and_learns_no_id_of_ours(
    trainer: Trainer,
) -> None:
    engine = Listening()
    artefact = trainer.train(engine)
    assert [sample.number for sample, _, _ in engine.heard] == list(range(SAMPLES))
    stored = set()
    for number in range(SAMPLES):
        with tempfile.TemporaryDirectory() as folder:
            sound, _ = read_sound(Path(folder), vowels(Path(folder))[number].files[0])
        stored.add(np.rint(sound * 32_768).astype(np.int16).tobytes())
    assert {sound for _, sound, _ in engine.heard} == stored
    for sample, _, names in engine.heard:
        assert (sample.transcript, sample.language, sample.sample_rate_hz) == (SAID, "en", 24_000)
        assert names == ["f0_hz", "log_mel"]
    assert engine.asked is not None
    said = engine.asked.model_dump_json()
    _, members = trainer.house.artefacts.snapshot(artefact)
    for ours in (artefact.id, *(member.object_id for member in members)):
        assert ours not in said


def test_what_is_read_stands_in_the_access_log_with_the_run_and_the_list_it_was_frozen_in(
    trainer: Trainer,
) -> None:
    house = trainer.house
    artefact = trainer.train(Hum())
    _, members = house.artefacts.snapshot(artefact)
    log = house.consents.accesses_to(trainer.avatar.subject_id or "")
    read = [access for access in log if access.role == Role.TRAINING.value]
    assert sorted(access.object_id for access in read) == [member.object_id for member in members]
    assert {(access.kind, access.purposes) for access in read} == {
        ("voice_segment", (VOICE_CLONING.value,))
    }
    (run,) = {access.reference for access in read}
    assert house.door.artefact_run(run).artefact_id == artefact.id


def test_each_file_is_kept_as_what_it_is_for_and_generation_is_handed_the_model_again(
    trainer: Trainer,
) -> None:
    engine, house = Generous(), trainer.house
    voice = trainer.train(engine)
    kinds = {"model_weights", "model_material", "model_sample", "training_plot", "model_card"}
    with house.catalogue.reading() as connection:
        rows = {
            row.kind: row for row in objects_of_artefact(connection, voice.id, kinds=KINDS.keys())
        }
        made_of = parents_of(connection, rows["model_sample"].id)
    assert rows.keys() == kinds
    assert set(made_of) == {rows["model_weights"].id, rows["model_material"].id}
    card = card_from(trainer.read(voice, "model_card"))
    assert card.remarks == ("It went well.",)
    assert {each.object for each in card.files} == {
        row.id for kind, row in rows.items() if kind != "model_card"
    }
    generate(house, voice, Wanted(TEXT), engine=engine, settings=trainer.settings.engines)
    assert engine.handed == {"voice": FileRole.WEIGHTS, "made/material.wav": FileRole.MATERIAL}


def test_a_training_that_takes_longer_than_a_lease_keeps_it(
    trainer: Trainer,
    clock: MovableClock,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flows.fence.RENEWAL_SECONDS", 0.0)

    def time_passes(_: Progress) -> None:
        clock.advance(LEASE * 0.7)
        reconcile_all(trainer.house, trainer.settings)

    assert trainer.train(Hum(), told=time_passes).state is ArtefactState.REGISTERED


def test_the_same_list_gives_the_same_model(trainer: Trainer) -> None:
    first, second = trainer.train(Hum()), trainer.train(Hum())
    assert first.id != second.id
    assert trainer.read(first, "model_weights") == trainer.read(second, "model_weights")


def test_without_consent_nothing_begins(trainer: Trainer) -> None:
    trainer.house.consents.withdraw("s-1", VOICE_CLONING)
    with pytest.raises(NotFound, match="voice_cloning"):
        trainer.train(Hum())
    assert trainer.house.artefacts.of_avatar(trainer.avatar) == []


@pytest.mark.parametrize("at", [1, 2, SAMPLES])
def test_a_withdrawal_stops_a_training_within_a_step_and_leaves_nothing(
    trainer: Trainer, engine: Engine, at: int
) -> None:
    before, steps = trainer.keys(), list[int]()

    def withdraw(progress: Progress) -> None:
        steps.append(progress.step)
        if progress.step == at:
            trainer.house.consents.withdraw("s-1", VOICE_CLONING)

    with pytest.raises(STOPPED):
        trainer.train(engine, told=withdraw)
    assert steps == list(range(1, at + 1))
    _assert_nothing_left(trainer, before)


def test_a_withdrawal_stops_an_engine_that_writes_nothing_before_its_end(trainer: Trainer) -> None:
    before, steps = trainer.keys(), list[int]()

    def withdraw(progress: Progress) -> None:
        steps.append(progress.step)
        trainer.house.consents.withdraw("s-1", VOICE_CLONING)

    with pytest.raises(FenceLost):
        trainer.train(Forgetful(), told=withdraw)
    assert steps == [1]
    _assert_nothing_left(trainer, before)


def test_an_engine_that_fails_leaves_nothing_and_tells_nothing_of_what_it_heard(
    trainer: Trainer,
) -> None:
    before = trainer.keys()
    with pytest.raises(EngineFailed) as failed:
        trainer.train(Breaking())
    assert SAID not in str(failed.value)
    _assert_nothing_left(trainer, before)


@pytest.mark.parametrize(
    "budget", [Budget(seconds_most=0.0), Budget(steps_most=0), Budget(device="a printer")]
)
def test_an_impossible_budget_is_refused_and_leaves_nothing(
    trainer: Trainer, budget: Budget
) -> None:
    before = trainer.keys()
    with pytest.raises(BadUsage, match="budget"):
        trainer.train(Hum(), budget=budget)
    _assert_nothing_left(trainer, before)


def _assert_nothing_left(trainer: Trainer, before: set[str]) -> None:
    assert trainer.keys() == before
    (artefact,) = trainer.house.artefacts.of_avatar(trainer.avatar)
    assert artefact.state is ArtefactState.FAILED
    assert trainer.house.artefacts.checkpoints(artefact) == []
    assert trainer.scratch() == []


@pytest.mark.parametrize("scope", [Scope.AVATAR, Scope.SUBJECT])
def test_an_erasure_that_is_carried_out_in_the_middle_of_a_training_leaves_nothing_of_it(
    trainer: Trainer, engine: Engine, scope: Scope
) -> None:
    named = "s-1" if scope is Scope.SUBJECT else trainer.avatar.id

    def erase(progress: Progress) -> None:
        if progress.step == 2:
            trainer.erase(Request(scope, named))
            assert trainer.scratch() == []

    with pytest.raises(LikenessError):
        trainer.train(engine, told=erase)
    assert trainer.keys() == set()
    assert trainer.scratch() == []
    for standing in trainer.house.orders.all():
        receipt = trainer.house.receipts.of(standing.order.id)
        assert trainer.house.receipts.findings(receipt) == []


# --- a worker that dies -----------------------------------------------------------------------


def test_a_killed_training_goes_on_from_its_last_checkpoint_to_the_same_model(
    trainer: Trainer,
    engine: Engine,
    addresses: StorageAddresses,  # noqa: F811
) -> None:
    died = trainer.killed_at(2, engine, addresses)
    assert len(trainer.scratch()) == 1
    with pytest.raises(FenceLost, match="Another worker"):
        trainer.resume(engine, died)
    reconcile_all(trainer.house, trainer.settings)
    assert trainer.scratch() == []
    assert len(trainer.house.artefacts.checkpoints(died)) == 1
    steps: list[int] = []
    resumed = trainer.resume(engine, died, told=lambda progress: steps.append(progress.step))
    assert steps == [3, 4]
    assert (resumed.id, resumed.state) == (died.id, ArtefactState.REGISTERED)
    assert trainer.house.artefacts.checkpoints(resumed) == []
    whole = trainer.train(engine)
    assert trainer.read(resumed, "model_weights") == trainer.read(whole, "model_weights")


def test_a_training_goes_on_with_the_engine_that_began_it_alone(
    trainer: Trainer,
    settings: Settings,
    addresses: StorageAddresses,  # noqa: F811
) -> None:
    class Newer(Hum):
        declaration = Hum.declaration.model_copy(update={"version": "2"})

    died = trainer.killed_at(1, Hum(), addresses)
    reconcile_all(trainer.house, settings)
    with pytest.raises(BadUsage, match="hum 1"):
        trainer.resume(Newer(), died)
    assert trainer.resume(Hum(), died).state is ArtefactState.REGISTERED


@pytest.mark.parametrize("reconciled", [False, True])
@pytest.mark.parametrize("scope", [Scope.AVATAR, Scope.SUBJECT])
def test_what_a_killed_training_left_is_erased_with_its_avatar_and_never_goes_on(
    trainer: Trainer,
    engine: Engine,
    addresses: StorageAddresses,  # noqa: F811
    scope: Scope,
    reconciled: bool,
) -> None:
    died = trainer.killed_at(3, engine, addresses)
    (checkpoint,) = trainer.house.artefacts.checkpoints(died)
    if reconciled:
        reconcile_all(trainer.house, trainer.settings)
    named = "s-1" if scope is Scope.SUBJECT else trainer.avatar.id
    trainer.erase(Request(scope, named))
    assert trainer.keys() == set()
    assert trainer.scratch() == []
    with pytest.raises(KeyDestroyed):
        trainer.house.vault.object_key(checkpoint.id)
    with pytest.raises(LikenessError):
        trainer.resume(engine, died)
    assert trainer.house.artefacts.by_id(died.id).state is ArtefactState.ERASED


# --- generating -------------------------------------------------------------------------------


def test_a_voice_says_a_text_and_the_words_are_kept_sealed(
    trainer: Trainer, engine: Engine, plain: Callable[[str], list[str]]
) -> None:
    artefact = trainer.train(engine)
    voice = trainer.house.artefacts.newest_usable(trainer.avatar, Task.VOICE)
    assert voice.id == artefact.id
    said = generate(
        trainer.house, voice, Wanted(TEXT), engine=engine, settings=trainer.settings.engines
    )
    assert said.seconds == pytest.approx(len(TEXT) / 10)
    assert trainer.house.artefacts.request(said) == TEXT
    assert [each.id for each in trainer.house.artefacts.generations_of_avatar(trainer.avatar)] == [
        said.id
    ]
    with trainer.house.door.open(said.id, PERSON) as reader:
        content = reader.read()
    with wave.open(io.BytesIO(content)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(said.seconds)
    assert trainer.scratch() == []
    assert plain(TEXT) + plain(SAID) == []


@pytest.fixture
def plain(home: Path) -> Callable[[str], list[str]]:  # noqa: F811
    """The files of the home in which some words stand."""

    def found(words: str) -> list[str]:
        files = (file for file in home.rglob("*") if file.is_file())
        return [file.name for file in files if words.encode() in file.read_bytes()]

    return found


def test_a_withdrawal_while_it_speaks_leaves_nothing_said(trainer: Trainer, engine: Engine) -> None:
    voice = trainer.train(engine)
    before = trainer.keys()

    def withdraw(_: Progress) -> None:
        trainer.house.consents.withdraw("s-1", VOICE_CLONING)

    with pytest.raises(STOPPED):
        generate(
            trainer.house,
            voice,
            Wanted(TEXT),
            engine=engine,
            settings=trainer.settings.engines,
            told=withdraw,
        )
    assert trainer.keys() == before
    assert trainer.house.artefacts.generations_of_avatar(trainer.avatar) == []
    assert trainer.scratch() == []


def test_without_a_text_or_with_another_engine_nothing_is_said(trainer: Trainer) -> None:
    class Other(Hum):
        declaration = Hum.declaration.model_copy(update={"name": "other"})

    voice, settings = trainer.train(Hum()), trainer.settings.engines
    with pytest.raises(BadUsage, match="trained with hum"):
        generate(trainer.house, voice, Wanted(TEXT), engine=Other(), settings=settings)
    with pytest.raises(BadUsage, match="no text"):
        generate(trainer.house, voice, Wanted(""), engine=Hum(), settings=settings)
    assert trainer.house.artefacts.generations_of_avatar(trainer.avatar) == []
    assert trainer.scratch() == []


def test_an_erased_avatar_takes_its_model_and_everything_that_it_said(
    trainer: Trainer, engine: Engine
) -> None:
    voice = trainer.train(engine)
    settings = trainer.settings.engines
    said = generate(trainer.house, voice, Wanted(TEXT), engine=engine, settings=settings)
    trainer.erase(Request(Scope.AVATAR, trainer.avatar.id))
    _assert_all_gone(trainer, voice, said.id)
    with pytest.raises(LikenessError):
        generate(trainer.house, voice, Wanted(TEXT), engine=engine, settings=settings)


def _assert_all_gone(trainer: Trainer, voice: Artefact, said: str) -> None:
    assert trainer.keys() == set()
    assert trainer.scratch() == []
    house = trainer.house
    assert house.artefacts.by_id(voice.id).state is ArtefactState.ERASED
    assert house.artefacts.generations_of_avatar(trainer.avatar) == []
    with pytest.raises(NotFound):
        house.avatars.by_id(trainer.avatar.id)
    with pytest.raises(NotFound), house.door.open(said, PERSON):
        pass
    with pytest.raises(KeyDestroyed):
        house.vault.object_key(said)


# --- a real recording -------------------------------------------------------------------------


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize(
    "child",
    [False, pytest.param(True, marks=pytest.mark.long)],
    ids=["in our process", "as a child"],
)
def test_a_real_recording_becomes_a_voice_that_speaks_and_is_erased_with_a_receipt(
    media: Path,
    tmp_path: Path,
    home: Path,  # noqa: F811
    settings: Settings,
    child: bool,
) -> None:
    recording = tmp_path / "Zhang Wei.flac"
    shutil.copyfile(media / "voices" / "ls2609" / "2609-156975-0007.flac", recording)
    command = House(home, LIKENESS_VOICE__TRANSCRIBE="false")
    agreed = ("--evidence", "agreed at the desk", "--self")
    ingested = command.run(
        "ingest", str(recording), "--subject", "s-1", "--purpose", "voice_cloning", *agreed
    )
    assert ingested.code == 0, ingested.err
    (upload,) = ingested.fields["uploads"]
    house, engine = room_of_process(), example(settings, child=child)
    trainer = Trainer(house, house.avatars.create("s-1", "Reader"), settings)
    voice = trainer.train(engine)
    # The pauses, which the house cuts off, are all that it was not handed.
    heard = pitch_heard_in(recording, settings.engines)
    assert voice.metrics["f0_hz"] == pytest.approx(heard, rel=0.1)
    said = generate(house, voice, Wanted(TEXT), engine=engine, settings=settings.engines)
    assert said.seconds == pytest.approx(len(TEXT) / 10)
    trainer.erase(Request(Scope.AVATAR, trainer.avatar.id))
    _assert_all_gone(trainer, voice, said.id)
    assert house.uploads.by_id(upload["upload"]).state is UploadState.ERASED


def pitch_heard_in(recording: Path, settings: EngineSettings) -> float:
    """The pitch that the engine hears in a recording that it is handed past the house."""
    with open_scratch("e" * 32, settings) as scratch:
        sound = scratch.folder / "whole.wav"
        to_wav = ["-ac", "1", "-ar", "24000", "-c:a", "pcm_s16le", str(sound)]
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(recording), *to_wav], check=True)
        with wave.open(str(sound)) as opened:
            seconds = opened.getnframes() / opened.getframerate()
        file = File(name=sound.name, role=FileRole.SOUND, media_type=MediaType.WAV)
        whole = Sample(number=0, seconds=seconds, sample_rate_hz=24_000, files=(file,))
        request = contract.Training(samples=(whole,), seconds_most=60.0)
        trained = running.train(
            Hum(), request, scratch, settings, told=lambda _: None, should_stop=lambda: False
        )
    return trained.metrics["f0_hz"]
