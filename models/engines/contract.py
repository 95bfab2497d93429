"""The engine contract: what a voice or human engine is given and what it gives back.

An engine knows no consent, no store, no key and no id. It is handed samples in a private scratch
folder, works there, and names the files it made; the core checks them, registers them with their
lineage, labels what is generated, and erases. Files are named relative to the scratch folder.

    Declaration    who the engine is and what it needs        (asked before anything is prepared)
    Training       samples, seed, budget        -> Trained    files by role, metrics, card lines
    Generation     text or sound, trained files -> Generated  one wav or mp4
    Work           the scratch folder, progress, and the fence that stops a run within one step

The same models, as JSON, are what a child process is told and says (messages.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator

from models.schema.errors import FenceLost
from models.schema.tasks import Task

_SEGMENT: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
FileName = Annotated[
    str, StringConstraints(pattern=rf"^{_SEGMENT}(/{_SEGMENT}){{0,3}}$", max_length=200)
]
"""A path relative to the scratch folder, which it cannot leave: no part begins with a dot."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""ISO 639-1, or 639-3 where that has none."""
Device = Annotated[str, StringConstraints(pattern=r"^(cpu|cuda(:[0-9]{1,2})?)$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Metrics = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")], FiniteFloat],
    Field(max_length=200),
]
"""Finite figures by name, the unit in the name where there is one. Never anything personal."""


class _Contract(BaseModel):
    # An error must not repeat what it was given: transcripts, texts.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, revalidate_instances="always"
    )


class FileRole(StrEnum):
    """What a file is for."""

    SOUND = "sound"
    PICTURE = "picture"
    FEATURES = "features"
    """Arrays of a sample, as computed at ingest: log-mel, F0, landmarks, crops."""
    WEIGHTS = "weights"
    MATERIAL = "material"
    """Recorded speech or footage of the person that generation itself needs."""
    CHECKPOINT = "checkpoint"
    """From which a run is resumed exactly."""
    SAMPLE = "sample"
    """A generated example for the training report."""
    PLOT = "plot"
    OUTPUT = "output"


class MediaType(StrEnum):
    """The forms a file may have: none of them runs code when it is opened."""

    SAFETENSORS = "application/vnd.safetensors"
    WAV = "audio/wav"
    """PCM, 16 bit, mono."""
    MP4 = "video/mp4"
    PNG = "image/png"


MEDIA_TYPES: Final[Mapping[FileRole, frozenset[MediaType]]] = {
    FileRole.SOUND: frozenset({MediaType.WAV}),
    FileRole.PICTURE: frozenset({MediaType.MP4}),
    FileRole.FEATURES: frozenset({MediaType.SAFETENSORS}),
    FileRole.WEIGHTS: frozenset({MediaType.SAFETENSORS}),
    FileRole.MATERIAL: frozenset({MediaType.SAFETENSORS, MediaType.WAV, MediaType.MP4}),
    FileRole.CHECKPOINT: frozenset({MediaType.SAFETENSORS}),
    FileRole.SAMPLE: frozenset({MediaType.WAV, MediaType.MP4}),
    FileRole.PLOT: frozenset({MediaType.PNG}),
    FileRole.OUTPUT: frozenset({MediaType.WAV, MediaType.MP4}),
}
SAMPLE_ROLES: Final = frozenset({FileRole.SOUND, FileRole.PICTURE, FileRole.FEATURES})
MODEL_ROLES: Final = frozenset({FileRole.WEIGHTS, FileRole.MATERIAL})
"""What generation is handed again."""
TRAINED_ROLES: Final = MODEL_ROLES | {FileRole.CHECKPOINT, FileRole.SAMPLE, FileRole.PLOT}


class File(_Contract):
    """A file in the scratch folder."""

    name: FileName
    role: FileRole
    media_type: MediaType

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.media_type not in MEDIA_TYPES[self.role]:
            raise ValueError(f"a file of role {self.role} has one of {MEDIA_TYPES[self.role]}")
        return self


def _only(files: Sequence[File], roles: frozenset[FileRole]) -> None:
    """Raises ValueError where a file has another role, or two have one name."""
    names = [file.name for file in files if file.role in roles]
    if len(names) != len(files):
        raise ValueError(f"files here have one of the roles {sorted(roles)}")
    if len(names) != len(set(names)):
        raise ValueError("two files have the same name")


class Resources(_Contract):
    """What an engine needs of a machine."""

    gpu: Literal["none", "useful", "needed"] = "none"
    memory_mebibytes: int = Field(gt=0)
    gpu_memory_mebibytes: int = Field(default=0, ge=0)


class Declaration(_Contract):
    """What an engine says of itself before it is given anything."""

    name: Name
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,39}$")
    licence: str = Field(min_length=1, max_length=200)
    """SPDX expression that holds for its code and for its weights, e.g. `MIT AND Apache-2.0`."""
    task: Task
    languages: tuple[Language, ...] = ()
    """Languages it can speak; empty where the language does not matter to it."""
    least_speech_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Sound that its samples hold together, at least."""
    least_video_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    resources: Resources
    deterministic: bool
    """Whether the same request on the same machine's CPU gives the same bytes."""
    gives: frozenset[FileRole] = frozenset({FileRole.WEIGHTS})
    """Roles of the files that its training may give. With `checkpoint` it can be resumed: to the
    same bytes, where it is deterministic."""

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if not self.gives & MODEL_ROLES:
            raise ValueError("an engine gives weights or material")
        if not self.gives <= TRAINED_ROLES:
            raise ValueError(f"training gives only {sorted(TRAINED_ROLES)}")
        return self


class Sample(_Contract):
    """One utterance, or one stretch of footage with one face."""

    number: int = Field(ge=0)
    """Counts the samples of this run; no id of ours."""
    person: int = Field(default=0, ge=0)
    """Counts the people of this run: 0 alone but for a base of many."""
    seconds: float = Field(gt=0, allow_inf_nan=False)
    language: Language | None = None
    transcript: str | None = None
    sample_rate_hz: int | None = Field(default=None, gt=0)
    """Of its sound."""
    frames_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Of its picture."""
    files: tuple[File, ...] = Field(min_length=1)
    """Of roles `sound`, `picture`, `features`; at most one of each."""

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Self:
        _only(self.files, SAMPLE_ROLES)
        if len({file.role for file in self.files}) != len(self.files):
            raise ValueError("a sample has at most one file of each role")
        if self.has(FileRole.SOUND) and self.sample_rate_hz is None:
            raise ValueError("sound needs its sample rate")
        if self.has(FileRole.PICTURE) and self.frames_per_second is None:
            raise ValueError("a picture needs its frame rate")
        return self

    def has(self, role: FileRole) -> bool:
        """Whether it has a file of that role."""
        return any(file.role is role for file in self.files)


class Phone(_Contract):
    """One phone of a sound, on its own clock."""

    symbol: str = Field(min_length=1, max_length=12)
    """In the International Phonetic Alphabet."""
    start_seconds: float = Field(ge=0, allow_inf_nan=False)
    seconds: float = Field(ge=0, allow_inf_nan=False)


class Training(_Contract):
    """Learn from these samples."""

    language: Language | None = None
    seed: Seed = 0
    device: Device = "cpu"
    samples: tuple[Sample, ...] = Field(min_length=1)
    seconds_most: float = Field(gt=0, allow_inf_nan=False)
    """The engine itself ends in time with what it has; soon after, it is ended with nothing."""
    steps_most: int | None = Field(default=None, gt=0)
    """Counted from the first start, so that a resumed run ends where the whole one would have."""
    resume_from: File | None = None
    """The last checkpoint of a run of the same samples and seed that was interrupted."""
    base: tuple[File, ...] = ()
    """Weights of a base that the run starts from."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _only([file for sample in self.samples for file in sample.files], SAMPLE_ROLES)
        _only(self.base, MODEL_ROLES)
        if self.resume_from is not None:
            _only([self.resume_from], frozenset({FileRole.CHECKPOINT}))
        return self


class Trained(_Contract):
    """What was learned."""

    files: tuple[File, ...] = Field(min_length=1, max_length=64)
    steps: int = Field(ge=1)
    """Counted as `Training.steps_most` is."""
    metrics: Metrics = {}
    card: tuple[Annotated[str, StringConstraints(max_length=500)], ...] = Field(
        default=(), max_length=50
    )
    """Lines for the model card, for people; kept as personal."""

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        _only(self.files, TRAINED_ROLES - {FileRole.CHECKPOINT})
        if not any(file.role in MODEL_ROLES for file in self.files):
            raise ValueError("nothing to generate with was given")
        return self


class Generation(_Contract):
    """Speak with what was learned: a text, or what a driving sound says."""

    text: str | None = Field(default=None, min_length=1)
    driving: File | None = None
    """Sound, read for its content and never for who speaks."""
    phones: tuple[Phone, ...] = ()
    """Of the driving sound, where they are known."""
    language: Language | None = None
    trained: tuple[File, ...] = Field(min_length=1)
    base: tuple[File, ...] = ()
    seed: Seed = 0
    device: Device = "cpu"
    seconds_most: float = Field(gt=0, allow_inf_nan=False)
    """Wall time, as in `Training`."""
    output_seconds_most: float = Field(default=3600.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if (self.text is None) == (self.driving is None):
            raise ValueError("either a text or a driving sound")
        if self.driving is not None and self.driving.role is not FileRole.SOUND:
            raise ValueError("what drives is a sound")
        _only(self.trained, MODEL_ROLES)
        _only(self.base, MODEL_ROLES)
        return self


class Generated(_Contract):
    """One sound (voice) or one picture with its sound (human)."""

    file: File
    seconds: float = Field(gt=0, allow_inf_nan=False)
    sample_rate_hz: int | None = Field(default=None, gt=0)
    frames_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    phones: tuple[Phone, ...] = ()

    @model_validator(mode="after")
    def _says_its_rate(self) -> Self:
        if self.file.role is not FileRole.OUTPUT:
            raise ValueError("what is generated has the role output")
        sound = self.file.media_type is MediaType.WAV
        if (self.sample_rate_hz if sound else self.frames_per_second) is None:
            raise ValueError("a wav needs its sample rate, an mp4 its frame rate")
        return self


class Progress(_Contract):
    """One step is done."""

    step: int = Field(ge=0)
    fraction: float = Field(ge=0, le=1)
    metrics: Metrics = {}
    checkpoint: File | None = None
    """Whole and closed. It belongs to the core from now on, which removes it once it is kept: the
    next one has another name."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.checkpoint is not None:
            _only([self.checkpoint], frozenset({FileRole.CHECKPOINT}))
        return self


class Complaint(StrEnum):
    """Why an engine cannot go on, in words that hold nothing of what it was given."""

    TOO_LITTLE_SPEECH = "too_little_speech"
    TOO_LITTLE_VIDEO = "too_little_video"
    UNUSABLE_SAMPLES = "unusable_samples"
    UNUSABLE_TEXT = "unusable_text"
    UNSUPPORTED_LANGUAGE = "unsupported_language"
    CORRUPT_CHECKPOINT = "corrupt_checkpoint"
    NOT_FINITE = "not_finite"
    OUT_OF_MEMORY = "out_of_memory"


class CannotGoOn(Exception):
    """Raised by an engine in our process; a child says `{"complaint": ...}`."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.value)
        self.complaint = complaint


Told = Callable[[Progress], None]
"""Told each step before the next begins; whoever wants a checkpoint reads it here."""
ShouldStop = Callable[[], bool]
"""Whether the run was stopped; a withdrawn consent answers True from then on."""


class Work:
    """Where a run works, whom it tells, and whether it may go on."""

    def __init__(self, folder: Path, home: Path, *, told: Told, should_stop: ShouldStop) -> None:
        self.folder = folder
        """The scratch folder; all names of files are relative to it."""
        self.home = home
        """For caches and temporary files, in memory too; nothing of it is kept."""
        self.asked = 0
        """How often the fence was asked."""
        self.stopped = False
        """Whether the fence once said so; from then on it always does."""
        self._told = told
        self._should_stop = should_stop

    def go_on(self) -> None:
        """Ask the fence; raises FenceLost when the run was stopped."""
        self.asked += 1
        self.stopped = self.stopped or self._should_stop()
        if self.stopped:
            raise FenceLost("The run was stopped; nothing of it was kept.")

    def step(self, progress: Progress) -> None:
        """To be called after every step of training or generation. Raises FenceLost."""
        self.go_on()
        self._told(progress)


class Engine(Protocol):
    """A voice or human engine. It keeps nothing between two calls."""

    @property
    def declaration(self) -> Declaration:
        """Who it is and what it needs; loads nothing heavy."""

    def train(self, request: Training, work: Work) -> Trained:
        """Learn from samples. Calls `work.step` after each step, lets its FenceLost pass, and
        raises CannotGoOn where it must."""

    def generate(self, request: Generation, work: Work) -> Generated:
        """Speak or show; otherwise as `train`."""
