"""One run of an engine that is tried: in a folder of its own, seen from outside."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from models.engines.contract import (
    MODEL_ROLES,
    Declaration,
    Engine,
    File,
    Generated,
    Generation,
    Progress,
    Sample,
    Trained,
    Training,
    Work,
)
from models.engines.running import generate, train
from models.engines.scratch import Scratch, open_scratch
from models.engines.settings import EngineSettings
from models.engines.synthetic import silence, vowels

Prepare = Callable[[Path], Sequence[Sample]]
"""Writes samples into a folder and says which; the same ones each time."""


@dataclass(frozen=True)
class Trial:
    """An engine, and what it is tried with."""

    engine: Engine
    settings: EngineSettings
    samples: Prepare = vowels
    hopeless: Prepare = silence
    text: str = "Good morning."
    driving: Callable[[Path], File] | None = None
    """Writes the sound that an engine speaks after which takes no text."""
    language: str | None = None
    device: str = "cpu"
    steps_most: int | None = None
    seconds_most: float = 600.0
    little_seconds: float = 5.0
    """A time in which it cannot finish, or is well done anyhow."""
    stop_seconds: float = 10.0
    """How long its longest step takes."""
    outside: tuple[Path, ...] = field(
        default_factory=lambda: (Path(tempfile.gettempdir()), Path.cwd(), Path.home())
    )
    """Folders in which nothing new may lie afterwards."""


class Course:
    """What happens in one run, seen from outside."""

    def __init__(
        self, *, stop_after: int | None = None, resume_from: tuple[File, bytes] | None = None
    ) -> None:
        self.resume_from = resume_from
        self.told: list[Progress] = []
        self.checkpoint: tuple[File, bytes] | None = None
        self.contents: dict[str, bytes] = {}
        self.given: dict[str, str] = {}
        self.remains: dict[str, str] = {}
        self.named: set[str] = set()
        self.stopped_at = 0.0
        self._stop_after = stop_after
        self._asked_at_stop = 0
        self._work: Work | None = None
        self._trained: Trained | None = None

    @property
    def trained(self) -> Trained:
        """The answer of a run that ended."""
        assert self._trained is not None
        return self._trained

    def asked_after_stop(self) -> int:
        """How often the engine asked the fence again after it was stopped."""
        assert self._work is not None
        return self._work.asked - self._asked_at_stop

    def watch(self, work: Work) -> Work:
        """See how often the fence is asked."""
        self._work = work
        return work

    def hear(self, folder: Path, progress: Progress) -> None:
        """Take note of a step, and keep its checkpoint."""
        self.told.append(progress)
        if progress.checkpoint is not None:
            content = (folder / progress.checkpoint.name).read_bytes()
            self.checkpoint = (progress.checkpoint, content)
        if len(self.told) == self._stop_after and self._work is not None:
            self.stopped_at = time.monotonic()
            self._asked_at_stop = self._work.asked

    def is_stopped(self) -> bool:
        """The fence."""
        return self.stopped_at > 0

    def end(self, folder: Path, answered: Trained | Generated) -> None:
        """Keep what lies in the folder when a run has answered."""
        self._trained = answered if isinstance(answered, Trained) else None
        files = answered.files if isinstance(answered, Trained) else (answered.file,)
        self.named = {file.name for file in files}
        self.contents = {file.name: (folder / file.name).read_bytes() for file in files}
        self.remains = _digests(folder)


class _Watched:
    """An engine whose work is seen."""

    def __init__(self, engine: Engine, course: Course) -> None:
        self._engine = engine
        self._course = course

    @property
    def declaration(self) -> Declaration:
        return self._engine.declaration

    def train(self, request: Training, work: Work) -> Trained:
        return self._engine.train(request, self._course.watch(work))

    def generate(self, request: Generation, work: Work) -> Generated:
        return self._engine.generate(request, self._course.watch(work))


def run_training(trial: Trial, course: Course | None = None) -> Course:
    """A whole run of training in a folder of its own."""
    course = course or Course()
    with open_scratch(token_hex(16), trial.settings) as scratch:
        samples = tuple(trial.samples(scratch.folder))
        resume_from = None
        if course.resume_from is not None:
            resume_from, content = course.resume_from
            _put(scratch, resume_from.name, content)
        request = Training(
            language=trial.language,
            device=trial.device,
            samples=samples,
            seconds_most=trial.seconds_most,
            steps_most=trial.steps_most,
            resume_from=resume_from,
        )
        course.given = _digests(scratch.folder)
        trained = train(
            _Watched(trial.engine, course),
            request,
            scratch,
            trial.settings,
            told=lambda progress: course.hear(scratch.folder, progress),
            should_stop=course.is_stopped,
        )
        course.end(scratch.folder, trained)
    return course


def run_generation(
    trial: Trial, learned: Course, course: Course | None = None
) -> tuple[Generated, dict[str, bytes]]:
    """What is spoken in a fresh folder that holds only what was learned."""
    course = course or Course()
    with open_scratch(token_hex(16), trial.settings) as scratch:
        files = tuple(file for file in learned.trained.files if file.role in MODEL_ROLES)
        for file in files:
            _put(scratch, file.name, learned.contents[file.name])
        driving = trial.driving(scratch.folder) if trial.driving is not None else None
        request = Generation(
            text=trial.text if driving is None else None,
            driving=driving,
            language=trial.language,
            device=trial.device,
            trained=files,
            seconds_most=trial.seconds_most,
        )
        course.given = _digests(scratch.folder)
        generated = generate(
            _Watched(trial.engine, course),
            request,
            scratch,
            trial.settings,
            told=lambda progress: course.hear(scratch.folder, progress),
            should_stop=course.is_stopped,
        )
        course.end(scratch.folder, generated)
    return generated, course.contents


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by name; what is no file has none."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file() and not path.is_symlink()
            else ""
        )
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def _put(scratch: Scratch, name: str, content: bytes) -> None:
    path = scratch.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
