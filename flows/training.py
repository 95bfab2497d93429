"""Training an avatar's voice with an engine: from what may be learned from to a registered model.

    the list    what the person's consent allows now is frozen as a snapshot, and the run begins
    samples     each member passes the door into the run's scratch folder, as sound and features
    the engine  learns; the fence stands before each step, and checkpoints are kept as it tells them
    the model   what it gave back is sealed by kind; once the scratch folder is gone, one
                transaction registers all of it

Whatever else happens, nothing of the run stays and its artefact has failed. Only a worker that dies
leaves its last checkpoint, from which `resume` goes on (Policy P28); the seed follows from the
snapshot and the samples come in one order, so that an engine which can be resumed exactly is.

Knows nothing of Prefect: the command and the flow are two ways to call it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from pydantic import ValidationError

from flows.fence import Fence
from flows.model_card import KeptFile, ModelCard
from flows.scratch_files import fetch, pieces_of
from models.engines import running
from models.engines.contract import (
    MODEL_ROLES,
    Device,
    Engine,
    File,
    FileRole,
    MediaType,
    Progress,
    Sample,
    Trained,
    Training,
)
from models.engines.files import write_sound, write_tensors
from models.engines.scratch import Scratch, open_scratch
from models.engines.settings import EngineSettings
from models.schema.errors import BadUsage, NotFound, Tampered
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from models.schema.tensors import unpacked
from models.voice.log_mel import RATE_HZ
from storage.assembly import Storage
from storage.catalogue.artefacts import Artefact
from storage.catalogue.snapshots import Snapshot
from storage.handles import ArtefactRun, Operation, Use
from storage.trainings import PlannedTraining
from storage.worker import this_worker

READS: Final[Mapping[Task, frozenset[str]]] = MappingProxyType(
    {Task.VOICE: frozenset({"voice_segment"})}
)
"""The kinds that a training for a task learns from."""
KEPT_AS: Final[Mapping[FileRole, str]] = MappingProxyType(
    {
        FileRole.WEIGHTS: "model_weights",
        FileRole.MATERIAL: "model_material",
        FileRole.CHECKPOINT: "model_checkpoint",
        FileRole.SAMPLE: "model_sample",
        FileRole.PLOT: "training_plot",
    }
)
"""The kind that a file of each role becomes."""
CARD: Final = "model_card"
_SOUND: Final = "samples"
_FULL_SCALE: Final = np.float32(32_768)

Watcher = Callable[[Progress], None]
"""Told each step, once its checkpoint is kept."""


def _nothing(_: Progress) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Budget:
    """What a training may take; a resumed one is given what it was begun with."""

    seconds_most: float = 3600.0
    """Wall time of this attempt."""
    steps_most: int | None = None
    """Counted from the first start."""
    device: Device = "cpu"


def train(
    house: Storage,
    avatar_id: str,
    *,
    engine: Engine,
    purpose: Purpose,
    settings: EngineSettings,
    budget: Budget = Budget(),
    told: Watcher = _nothing,
) -> Artefact:
    """Train an avatar's voice on all that its person's consent allows now; returns the artefact.

    Raises NotFound for an unknown avatar and where nothing may be learned from, BadUsage for an
    engine of another task; ConsentRefused, Frozen or FenceLost where use is stopped meanwhile;
    BadInput or EngineFailed where the engine cannot go on. Then nothing of it stays.
    """
    avatar = house.avatars.by_id(avatar_id)
    declared = running.declaration_of(engine)
    if declared.task not in READS:
        raise BadUsage(
            f"The engine {declared.name} makes a {declared.task}, which is not trained here yet.",
            remedy="Name an engine for voices.",
        )
    members = house.artefacts.usable(
        purpose, subject_id=avatar.subject_id or "", kinds=READS[declared.task]
    )
    if not members:
        raise NotFound(
            f"There is nothing of this person that may be trained on for {purpose.value} now.",
            remedy="Ingest recordings; `likeness consent show` says what is allowed and why.",
        )
    run = house.artefacts.begin_training(
        PlannedTraining(
            task=declared.task,
            purpose=purpose,
            members=members,
            engine=declared.name,
            engine_version=declared.version,
            avatar_id=avatar.id,
        )
    )
    return _Attempt(house, run, engine, settings, budget, told).result()


def resume(
    house: Storage,
    artefact_id: str,
    *,
    engine: Engine,
    settings: EngineSettings,
    budget: Budget = Budget(),
    told: Watcher = _nothing,
) -> Artefact:
    """Go on with a training whose worker died, from its last checkpoint, on the same snapshot.

    Raises BadUsage for another engine or another version of it, FenceLost where the training has
    ended, is under way, or was not freed by `reconcile`; otherwise as `train`.
    """
    artefact = house.artefacts.by_id(artefact_id)
    declared = running.declaration_of(engine)
    if (declared.name, declared.version) != (artefact.engine, artefact.engine_version):
        raise BadUsage(
            f"This training was begun with {artefact.engine} {artefact.engine_version}.",
            remedy="Go on with that engine, or train anew.",
        )
    run = house.door.resume_training(artefact.id)
    return _Attempt(house, run, engine, settings, budget, told).result()


class _Attempt:
    """One run of one engine, from the frozen list to the registered artefact."""

    def __init__(
        self,
        house: Storage,
        run: ArtefactRun,
        engine: Engine,
        settings: EngineSettings,
        budget: Budget,
        told: Watcher,
    ) -> None:
        self._house = house
        self._run = run
        self._engine = engine
        self._settings = settings
        self._budget = budget
        self._told = told
        self._fence = Fence(house.door, run)
        self._use = Use(Role.TRAINING, Operation.PROCESS, run.purposes, run.id)
        self._kept: list[str] = []
        """Checkpoints that exist, oldest first."""

    def result(self) -> Artefact:
        try:
            with open_scratch(self._run.id, self._settings, worker=this_worker()) as scratch:
                request = self._prepared(scratch)
                trained = running.train(
                    self._engine,
                    request,
                    scratch,
                    self._settings,
                    told=lambda progress: self._tell(scratch, progress),
                    should_stop=self._fence.is_stopped,
                )
                self._put(scratch.folder, request, trained)
            # Only now: what could not be cleared away was not finished.
            return self._house.artefacts.finish_training(self._run, trained.metrics)
        except BaseException:
            self._house.door.abandon(self._run)
            raise

    # --- what it learns from ------------------------------------------------------------------

    def _prepared(self, scratch: Scratch) -> Training:
        artefact = self._house.artefacts.by_id(self._run.artefact_id)
        snapshot, members = self._house.artefacts.snapshot(artefact)
        samples = []
        for number, member in enumerate(members):
            self._fence.require_open()
            with self._house.door.open(member.object_id, self._use) as reader:
                samples.append(written_sample(scratch.folder, number, reader.read()))
        try:
            return Training(
                language=spoken_most(samples),
                seed=seed_of(snapshot),
                device=self._budget.device,
                samples=tuple(samples),
                seconds_most=self._budget.seconds_most,
                steps_most=self._budget.steps_most,
                resume_from=self._last_checkpoint(scratch.folder, artefact),
            )
        except ValidationError:
            raise BadUsage(
                "No training has such a budget.",
                remedy="Give a time and steps above zero, and `cpu` or `cuda` for a device.",
            ) from None

    def _last_checkpoint(self, folder: Path, artefact: Artefact) -> File | None:
        self._kept = [row.id for row in self._house.artefacts.checkpoints(artefact)]
        if not self._kept:
            return None
        file = File(name="resumed", role=FileRole.CHECKPOINT, media_type=MediaType.SAFETENSORS)
        fetch(self._house.door, self._kept[-1], self._use, folder / file.name)
        return file

    # --- what it tells and gives --------------------------------------------------------------

    def _tell(self, scratch: Scratch, progress: Progress) -> None:
        if progress.checkpoint is not None:
            self._keep(scratch.folder / progress.checkpoint.name)
        self._told(progress)

    def _keep(self, file: Path) -> None:
        """Keep a checkpoint, and none from before: there is one to go on from at any time."""
        door = self._house.door
        made = door.put(self._run, KEPT_AS[FileRole.CHECKPOINT], pieces_of(file))
        door.keep(self._run, made)
        door.delete(self._kept)
        self._kept = [made]

    def _put(self, folder: Path, request: Training, trained: Trained) -> None:
        kept: list[KeptFile] = []
        # What generates comes first, since examples are made with it.
        for file in sorted(trained.files, key=lambda file: file.role not in MODEL_ROLES):
            self._fence.require_open()
            made_of = tuple(each.object for each in kept if each.file.role in MODEL_ROLES)
            object_id = self._house.door.put(
                self._run,
                KEPT_AS[file.role],
                pieces_of(folder / file.name),
                parents=made_of if file.role is FileRole.SAMPLE else (),
            )
            kept.append(KeptFile(object=object_id, file=file))
        declared = running.declaration_of(self._engine)
        card = ModelCard(
            engine=declared.name,
            engine_version=declared.version,
            language=request.language,
            samples=len(request.samples),
            seconds=sum(sample.seconds for sample in request.samples),
            steps=trained.steps,
            seed=request.seed,
            metrics=trained.metrics,
            remarks=trained.card,
            files=tuple(kept),
        )
        self._house.door.put(self._run, CARD, [card.model_dump_json().encode()])


def written_sample(folder: Path, number: int, segment: bytes) -> Sample:
    """Write a voice segment into the scratch folder as sound and features, and say what it is.

    Raises Tampered where it is no voice segment.
    """
    tensors, record = unpacked(segment)
    try:
        samples, said = np.asarray(tensors.pop("samples")), record["utterance"]
        seconds = len(samples) / RATE_HZ
        (folder / _SOUND).mkdir(mode=0o700, exist_ok=True)
        name = f"{_SOUND}/{number:06}"
        files = [
            write_sound(
                folder,
                samples.astype(np.float32) / _FULL_SCALE,
                RATE_HZ,
                name=f"{name}.wav",
                role=FileRole.SOUND,
            )
        ]
        if tensors:
            features = write_tensors(folder, f"{name}.safetensors", FileRole.FEATURES, tensors)
            files.append(features)
        return Sample(
            number=number,
            seconds=seconds,
            language=said["language"],
            transcript=said["transcript"],
            sample_rate_hz=RATE_HZ,
            files=tuple(files),
        )
    except (KeyError, TypeError, ValueError):
        raise Tampered("A voice segment holds no sound or no utterance.") from None


def spoken_most(samples: Sequence[Sample]) -> str | None:
    """The language that most of the sound is in; None where no sample says."""
    seconds: Counter[str] = Counter()
    for sample in samples:
        if sample.language is not None:
            seconds[sample.language] += round(sample.seconds * 1000)
    return max(sorted(seconds), key=lambda each: seconds[each], default=None)


def seed_of(snapshot: Snapshot) -> int:
    """The seed of every training on a snapshot: a resumed one has that of its first start."""
    return int(snapshot.digest[:8], 16)
