"""One run of an engine: what is asked of it is possible, what it gives back is what it may give."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from models.engines.complaints import complaint_error
from models.engines.contract import (
    CannotGoOn,
    Complaint,
    Declaration,
    Engine,
    FileRole,
    Generated,
    Generation,
    MediaType,
    Progress,
    ShouldStop,
    Told,
    Trained,
    Training,
    Work,
)
from models.engines.given_back import check_file, sound_of
from models.engines.scratch import Scratch
from models.engines.settings import EngineSettings
from models.schema.errors import BadUsage, EngineFailed, FenceLost, LikenessError
from models.schema.tasks import Task

_SIZE_SECONDS: Final = 1.0
"""How often the folder's size is looked at; walking many files takes time."""
_LENGTH_TOLERANCE_SECONDS: Final = 0.05
"""Two frames at 40 frames a second: encoders round up to whole frames."""

_Answer = TypeVar("_Answer", bound=BaseModel)
_Result = TypeVar("_Result")


def train(
    engine: Engine,
    request: Training,
    scratch: Scratch,
    settings: EngineSettings,
    *,
    told: Told,
    should_stop: ShouldStop,
) -> Trained:
    """Let an engine learn from the samples that lie in the scratch folder.

    `told` hears each step, and has to keep a checkpoint before it returns: the file is removed
    then. What it raises ends the run and passes. The files of the answer lie in `scratch.folder`
    and are checked. Raises FenceLost when the run was stopped, BadInput (LimitExceeded) where the
    engine can do nothing with what it was given, EngineFailed for everything it does wrong.
    """
    declared = declaration_of(engine)
    _check_possible(declared, request)
    _check_enough(declared, request)
    run = _Run(declared, request.seconds_most, scratch, settings, told, should_stop)
    trained = run.result(lambda work: engine.train(request, work), Trained)
    if not {file.role for file in trained.files} <= declared.gives:
        raise EngineFailed("The engine gave a file of a role that it had not declared.")
    for file in trained.files:
        check_file(scratch.folder, file, most_bytes=settings.file_bytes)
    return trained


def generate(
    engine: Engine,
    request: Generation,
    scratch: Scratch,
    settings: EngineSettings,
    *,
    told: Told,
    should_stop: ShouldStop,
) -> Generated:
    """Let an engine speak or show with the trained files in the scratch folder; as `train`."""
    declared = declaration_of(engine)
    _check_possible(declared, request)
    run = _Run(declared, request.seconds_most, scratch, settings, told, should_stop)
    generated = run.result(lambda work: engine.generate(request, work), Generated)
    wanted = MediaType.MP4 if declared.task is Task.HUMAN else MediaType.WAV
    if generated.file.media_type is not wanted:
        raise EngineFailed(f"The engine generated no {wanted}.")
    if generated.seconds > request.output_seconds_most + _LENGTH_TOLERANCE_SECONDS:
        raise EngineFailed("The engine generated more than it was asked for.")
    check_file(scratch.folder, generated.file, most_bytes=settings.file_bytes)
    if wanted is MediaType.WAV:
        rate_hz, seconds = sound_of(scratch.folder, generated.file)
        too_far = abs(seconds - generated.seconds) > _LENGTH_TOLERANCE_SECONDS
        if rate_hz != generated.sample_rate_hz or too_far:
            raise EngineFailed("The engine generated another rate or length than it says.")
    return generated


def declaration_of(engine: Engine) -> Declaration:
    """What an engine says of itself. Raises EngineFailed where that is no declaration."""
    try:
        return Declaration.model_validate(engine.declaration)
    except LikenessError:
        raise
    except Exception as error:
        failure = EngineFailed(f"The engine cannot say who it is ({type(error).__name__}).")
    raise failure


def _check_possible(declared: Declaration, request: Training | Generation) -> None:
    if declared.task is Task.BASE and isinstance(request, Generation):
        raise BadUsage("A base speaks for nobody; choose an engine for voices or humans.")
    if declared.languages and request.language not in {None, *declared.languages}:
        raise complaint_error(Complaint.UNSUPPORTED_LANGUAGE)
    if declared.resources.gpu == "needed" and request.device == "cpu":
        raise BadUsage(
            f"The engine {declared.name} needs a GPU.",
            remedy="Run it where there is one, or choose another engine.",
        )


def _check_enough(declared: Declaration, request: Training) -> None:
    speech = sum(sample.seconds for sample in request.samples if sample.sample_rate_hz)
    video = sum(sample.seconds for sample in request.samples if sample.frames_per_second)
    if speech < declared.least_speech_seconds:
        raise complaint_error(Complaint.TOO_LITTLE_SPEECH)
    if video < declared.least_video_seconds:
        raise complaint_error(Complaint.TOO_LITTLE_VIDEO)
    if request.resume_from is not None and FileRole.CHECKPOINT not in declared.gives:
        raise BadUsage(f"The engine {declared.name} cannot be resumed.")


class _Run:
    """Stands between one engine and whoever is told, so that neither harms the other."""

    def __init__(
        self,
        declared: Declaration,
        seconds_most: float,
        scratch: Scratch,
        settings: EngineSettings,
        told: Told,
        should_stop: ShouldStop,
    ) -> None:
        self._declared = declared
        self._scratch = scratch
        self._settings = settings
        self._told = told
        self._should_stop = should_stop
        self._ends_at = time.monotonic() + seconds_most + settings.grace_seconds
        self._size_at = 0.0
        self._ended_by: BaseException | None = None
        """What we ended the run with, whatever the engine made of it."""

    def result(self, call: Callable[[Work], _Answer], kind: type[_Answer]) -> _Answer:
        """The engine's answer, valid by itself."""
        work = Work(
            self._scratch.folder,
            self._scratch.home,
            told=lambda progress: self._ours(lambda: self._tell(progress)),
            should_stop=lambda: self._ours(self._is_over),
        )
        try:
            answer = kind.model_validate(call(work))
            work.go_on()
            self._scratch.check_size(self._settings.scratch_bytes)
            if self._ended_by is None:
                return answer
        except (Exception, SystemExit) as error:
            failure = _as_ours(error, work)
        # Raised out here, so that it does not carry the engine's own error and all it holds.
        raise self._ended_by or failure

    def _ours(self, act: Callable[[], _Result]) -> _Result:
        try:
            return act()
        except BaseException as error:
            self._ended_by = self._ended_by or error
            raise

    def _is_over(self) -> bool:
        now = time.monotonic()
        if now > self._ends_at:
            raise EngineFailed("The engine took too long and was ended.")
        if now >= self._size_at:
            self._scratch.check_size(self._settings.scratch_bytes)
            self._size_at = time.monotonic() + _SIZE_SECONDS
        return self._should_stop()

    def _tell(self, progress: Progress) -> None:
        try:
            progress = Progress.model_validate(progress)
        except ValidationError:
            raise EngineFailed("The engine told a progress that its contract forbids.") from None
        if progress.checkpoint is None:
            self._told(progress)
            return
        if FileRole.CHECKPOINT not in self._declared.gives:
            raise EngineFailed("The engine gave a checkpoint that it had not declared.")
        folder, limit = self._scratch.folder, self._settings.file_bytes
        check_file(folder, progress.checkpoint, most_bytes=limit)
        self._told(progress)
        (folder / progress.checkpoint.name).unlink(missing_ok=True)


def _as_ours(error: BaseException, work: Work) -> LikenessError:
    """An engine's error as one of the house's, with nothing of what the engine wrote into it."""
    if work.stopped:
        return FenceLost("The run was stopped; nothing of it was kept.")
    if isinstance(error, CannotGoOn):
        return complaint_error(error.complaint)
    if isinstance(error, LikenessError) and not isinstance(error, FenceLost):
        return error
    if _is_lack_of_memory(error):
        return complaint_error(Complaint.OUT_OF_MEMORY)
    if isinstance(error, ValidationError):
        return EngineFailed("The engine gave or was given what its contract forbids.")
    return EngineFailed(f"The engine crashed ({type(error).__name__}).")


def _is_lack_of_memory(error: BaseException) -> bool:
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.ENOMEM}
    # torch.cuda.OutOfMemoryError, known by name: torch is not imported here.
    return full or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
