"""What an engine in our process does wrong ends its own run, and says nothing of what it saw."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.engine import Hum
from models.engines.contract import (
    CannotGoOn,
    Complaint,
    Declaration,
    Engine,
    File,
    FileRole,
    Generated,
    Generation,
    MediaType,
    Progress,
    Trained,
    Training,
    Work,
)
from models.engines.files import read_sound, write_sound, write_tensors
from models.engines.running import declaration_of, generate, train
from models.engines.scratch import Scratch
from models.engines.settings import EngineSettings
from models.schema.errors import (
    BadInput,
    BadUsage,
    EngineFailed,
    FenceLost,
    LikenessError,
    LimitExceeded,
    ServiceUnavailable,
    WeightsMissing,
)
from tests.models.engines.conftest import WEIGHTS

Act = Callable[[Training, Work], object]


class Doing(Hum):
    """Declares as the example does, and trains by doing something else."""

    def __init__(self, act: Act, **declared: object) -> None:
        self._act = act
        self.declaration = Hum.declaration.model_copy(update=declared)

    def train(self, request: Training, work: Work) -> Any:
        return self._act(request, work)


@pytest.fixture
def run(scratch: Scratch, request_of: Training, settings: EngineSettings) -> Callable[..., Trained]:
    def run(
        engine: Engine,
        told: Callable[[Progress], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
        **changed: object,
    ) -> Trained:
        request = request_of.model_copy(update=changed)
        return train(engine, request, scratch, settings, told=told, should_stop=should_stop)

    return run


Run = Callable[..., Trained]


def _gives(*files: File, **more: Any) -> Trained:
    return Trained(files=files, steps=1, **more)


def _voice(work: Work) -> File:
    return write_tensors(work.folder, "voice", FileRole.WEIGHTS, {"a": np.zeros(1)})


def _raises(error: BaseException) -> Act:
    def act(_: Training, __: Work) -> object:
        raise error

    return act


class OutOfMemoryError(RuntimeError):
    """Named as torch's own is."""


@pytest.mark.parametrize(
    ("error", "wanted", "reason"),
    [
        (ValueError("the secret words"), EngineFailed, "engine_failed"),
        (SystemExit("the secret words"), EngineFailed, "engine_failed"),
        (RecursionError("the secret words"), EngineFailed, "engine_failed"),
        (FenceLost("the secret words"), EngineFailed, "engine_failed"),
        (MemoryError("the secret words"), EngineFailed, "out_of_memory"),
        (OutOfMemoryError("the secret words"), EngineFailed, "out_of_memory"),
        (OSError(28, "the secret words"), EngineFailed, "out_of_memory"),
        (WeightsMissing("Not pulled."), WeightsMissing, "weights_missing"),
        (CannotGoOn(Complaint.TOO_LITTLE_VIDEO), LimitExceeded, "too_little_video"),
        (CannotGoOn(Complaint.UNUSABLE_TEXT), BadInput, "unusable_text"),
        (CannotGoOn(Complaint.NOT_FINITE), EngineFailed, "not_finite"),
    ],
)
def test_its_errors_become_ours_without_its_words(
    run: Run, error: BaseException, wanted: type[LikenessError], reason: str
) -> None:
    with pytest.raises(wanted) as failed:
        run(Doing(_raises(error)))
    assert failed.value.reason == reason
    assert "secret" not in f"{failed.value.message} {failed.value.remedy}"
    assert failed.value.__context__ is None
    assert failed.value.__cause__ is None


def test_every_complaint_has_an_error(run: Run) -> None:
    for complaint in Complaint:
        with pytest.raises(LikenessError) as failed:
            run(Doing(_raises(CannotGoOn(complaint))))
        assert failed.value.reason == complaint.value


def test_an_interrupt_passes(run: Run) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Doing(_raises(KeyboardInterrupt())))


def _link(work: Work) -> File:
    (work.folder / "real").write_bytes(_voice(work) and (work.folder / "voice").read_bytes())
    (work.folder / "voice").unlink()
    (work.folder / "voice").symlink_to("real")
    return WEIGHTS


def _hard_link(work: Work) -> File:
    os.link(work.folder / _voice(work).name, work.home / "again")
    return WEIGHTS


def _linked_folder(work: Work) -> File:
    (work.home / "voice").write_bytes(b"x")
    (work.folder / "below").symlink_to(work.home)
    return WEIGHTS.model_copy(update={"name": "below/voice"})


def _folder(work: Work) -> File:
    (work.folder / "voice").mkdir()
    return WEIGHTS


def _pipe(work: Work) -> File:
    os.mkfifo(work.folder / "voice")
    return WEIGHTS


def _containing(content: bytes) -> Callable[[Work], File]:
    def write(work: Work) -> File:
        (work.folder / "voice").write_bytes(content)
        return WEIGHTS

    return write


def _cut(work: Work) -> File:
    path = work.folder / _voice(work).name
    path.write_bytes(path.read_bytes()[:-1])
    return WEIGHTS


def _lengthened(work: Work) -> File:
    path = work.folder / _voice(work).name
    path.write_bytes(path.read_bytes() + b"more")
    return WEIGHTS


def _escaping(_: Work) -> File:
    return File.model_construct(
        name="../home/voice", role=FileRole.WEIGHTS, media_type=MediaType.SAFETENSORS
    )


def _another_form(work: Work) -> File:
    write_sound(work.folder, np.zeros(10), 8_000, name="voice")
    return WEIGHTS


def _undeclared(work: Work) -> File:
    return write_tensors(work.folder, "voice", FileRole.MATERIAL, {"a": np.zeros(1)})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda work: WEIGHTS,
        _link,
        _hard_link,
        _linked_folder,
        _folder,
        _pipe,
        _containing(b""),
        _containing(b"\x80\x04K\x01."),
        _cut,
        _lengthened,
        _escaping,
        _another_form,
        _undeclared,
    ],
    ids=[
        "missing",
        "link",
        "hard link",
        "linked folder",
        "folder",
        "pipe",
        "empty",
        "pickle",
        "cut",
        "lengthened",
        "escaping",
        "another form",
        "undeclared",
    ],
)
def test_a_file_that_is_not_what_it_says_ends_the_run(
    run: Run, wrong: Callable[[Work], File]
) -> None:
    with pytest.raises(EngineFailed):
        run(Doing(lambda _, work: _gives(wrong(work))))


def test_a_folder_that_was_removed_meanwhile_ends_the_run(run: Run, scratch: Scratch) -> None:
    def act(_: Training, work: Work) -> Trained:
        answer = _gives(_voice(work))
        shutil.rmtree(scratch.path)
        return answer

    with pytest.raises(EngineFailed, match="not there"):
        run(Doing(act))


def test_one_file_can_be_no_larger_than_allowed(
    scratch: Scratch, request_of: Training, settings: EngineSettings
) -> None:
    used = settings.model_copy(update={"file_bytes": 16})
    with pytest.raises(EngineFailed, match="too large"):
        train(
            Doing(lambda _, work: _gives(_voice(work))),
            request_of,
            scratch,
            used,
            told=lambda _: None,
            should_stop=lambda: False,
        )


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "trained",
        Trained.model_construct(files=(WEIGHTS,), steps=1, metrics={"loss": float("inf")}),
        Trained.model_construct(files=(), steps=1),
        Trained.model_construct(files=(WEIGHTS, WEIGHTS), steps=1, metrics={}, card=()),
        Trained.model_construct(
            files=(WEIGHTS,), steps=1, metrics={"Name of a person": 1.0}, card=()
        ),
    ],
)
def test_an_answer_that_is_none_ends_the_run(run: Run, answer: object) -> None:
    with pytest.raises(EngineFailed, match="contract forbids"):
        run(Doing(lambda _, work: _voice(work) and answer))


def _steps(work: Work, *numbers: int) -> Trained:
    for number in numbers:
        work.step(Progress(step=number, fraction=0.5))
    return _gives(_voice(work))


def test_a_stopped_run_loses_its_fence(run: Run) -> None:
    told: list[Progress] = []
    with pytest.raises(FenceLost):
        run(
            Doing(lambda _, work: _steps(work, 1, 2, 3)),
            told=told.append,
            should_stop=lambda: len(told) == 2,
        )
    assert len(told) == 2


def test_one_that_does_not_let_the_fence_through_is_stopped_all_the_same(run: Run) -> None:
    def stubborn(_: Training, work: Work) -> Trained:
        for number in (1, 2):
            try:
                work.step(Progress(step=number, fraction=0.5))
            except BaseException:
                continue
        return _gives(_voice(work))

    told: list[Progress] = []
    answers = iter([True])
    with pytest.raises(FenceLost):
        run(Doing(stubborn), told=told.append, should_stop=lambda: next(answers, False))
    assert told == []


def test_a_run_that_was_stopped_after_its_last_step_gives_nothing(run: Run) -> None:
    with pytest.raises(FenceLost):
        run(Doing(lambda _, work: _gives(_voice(work))), should_stop=lambda: True)


def test_what_the_listener_raises_passes_whatever_the_engine_makes_of_it(run: Run) -> None:
    def disguising(_: Training, work: Work) -> Trained:
        try:
            work.step(Progress(step=1, fraction=0.5))
        except LikenessError as error:
            raise RuntimeError("hidden") from error
        return _gives(_voice(work))

    def away(_: Progress) -> None:
        raise ServiceUnavailable("The store does not answer.")

    with pytest.raises(ServiceUnavailable):
        run(Doing(disguising), told=away)


def test_one_that_takes_too_long_is_ended_at_its_next_step(
    run: Run, settings: EngineSettings
) -> None:
    def slow(_: Training, work: Work) -> Trained:
        while True:
            work.step(Progress(step=1, fraction=0.5))

    with pytest.raises(EngineFailed, match="too long"):
        run(Doing(slow), seconds_most=-settings.grace_seconds + 0.1)


def test_a_checkpoint_is_there_while_it_is_told_and_then_gone(run: Run, scratch: Scratch) -> None:
    seen = []

    def told(progress: Progress) -> None:
        assert progress.checkpoint is not None
        seen.append((scratch.folder / progress.checkpoint.name).stat().st_size)

    run(Hum(), told=told)
    assert len(seen) == 4
    assert all(seen)
    assert not list(scratch.folder.glob("step-*"))


def test_a_checkpoint_that_was_not_declared_ends_the_run(run: Run) -> None:
    engine = Hum()
    engine.declaration = Hum.declaration.model_copy(update={"gives": frozenset({FileRole.WEIGHTS})})
    with pytest.raises(EngineFailed, match="checkpoint"):
        run(engine)


def test_a_damaged_checkpoint_is_not_told(run: Run) -> None:
    def damaging(_: Training, work: Work) -> Trained:
        (work.folder / "kept").write_bytes(b"damaged")
        kept = File(name="kept", role=FileRole.CHECKPOINT, media_type=MediaType.SAFETENSORS)
        work.step(Progress(step=1, fraction=0.5, checkpoint=kept))
        return _gives(_voice(work))

    told: list[Progress] = []
    with pytest.raises(EngineFailed):
        run(Doing(damaging), told=told.append)
    assert told == []


def test_what_is_impossible_is_not_begun(run: Run, request_of: Training) -> None:
    def never(_: Training, __: Work) -> object:
        raise AssertionError

    with pytest.raises(LimitExceeded, match="too little speech"):
        run(Doing(never, least_speech_seconds=7.0))
    with pytest.raises(LimitExceeded, match="too little usable video"):
        run(Doing(never, least_video_seconds=1.0))
    with pytest.raises(BadInput, match="language"):
        run(Doing(never, languages=("zh",)), language="en")
    with pytest.raises(BadUsage, match="GPU"):
        needs = Hum.declaration.resources.model_copy(update={"gpu": "needed"})
        run(Doing(never, resources=needs))
    kept = File(name="kept", role=FileRole.CHECKPOINT, media_type=MediaType.SAFETENSORS)
    with pytest.raises(BadUsage, match="resumed"):
        run(Doing(never, gives=frozenset({FileRole.WEIGHTS})), resume_from=kept)


def test_one_that_cannot_say_who_it_is_is_none() -> None:
    class Nameless(Hum):
        @property
        def declaration(self) -> Declaration:  # type: ignore[override]
            raise ValueError("secret")

    with pytest.raises(EngineFailed, match="ValueError") as failed:
        declaration_of(Nameless())
    assert failed.value.__context__ is None


class Speaking(Hum):
    """Generates by doing something else."""

    def __init__(self, act: Callable[[Generation, Work], object]) -> None:
        self._act = act

    def generate(self, request: Generation, work: Work) -> Any:
        return self._act(request, work)


def _spoken(work: Work, length_seconds: float = 1.0, **said: Any) -> Generated:
    file = write_sound(work.folder, np.zeros(int(8_000 * length_seconds)), 8_000)
    values = {"file": file, "seconds": length_seconds, "sample_rate_hz": 8_000} | said
    return Generated(**values)


@pytest.fixture
def speak(run: Run, scratch: Scratch, settings: EngineSettings) -> Callable[..., Generated]:
    trained = run(Hum())

    def speak(engine: Engine, **asked: Any) -> Generated:
        request = Generation(
            **({"text": "Hm.", "trained": trained.files, "seconds_most": 60.0} | asked)
        )
        return generate(
            engine, request, scratch, settings, told=lambda _: None, should_stop=lambda: False
        )

    return speak


def test_what_is_generated_is_as_long_as_it_says(speak: Callable[..., Generated]) -> None:
    assert speak(Speaking(lambda _, work: _spoken(work))).seconds == 1.0
    wrong: list[dict[str, Any]] = [{"seconds": 1.2}, {"sample_rate_hz": 16_000}]
    for said in wrong:
        with pytest.raises(EngineFailed, match="another rate or length"):
            speak(Speaking(lambda _, work, said=said: _spoken(work, **said)))


def test_no_more_is_generated_than_was_asked(speak: Callable[..., Generated]) -> None:
    assert speak(Hum(), text="word " * 100, output_seconds_most=2.0).seconds == 2.0
    with pytest.raises(EngineFailed, match="more than it was asked"):
        speak(Speaking(lambda _, work: _spoken(work, 3.0)), output_seconds_most=2.0)


def test_a_voice_gives_sound(speak: Callable[..., Generated]) -> None:
    def film(_: Generation, work: Work) -> Generated:
        (work.folder / "film").write_bytes(b"x")
        file = File(name="film", role=FileRole.OUTPUT, media_type=MediaType.MP4)
        return Generated(file=file, seconds=1.0, frames_per_second=25.0)

    with pytest.raises(EngineFailed, match="audio/wav"):
        speak(Speaking(film))


def test_a_text_without_letters_is_complained_of(speak: Callable[..., Generated]) -> None:
    with pytest.raises(BadInput, match="text"):
        speak(Hum(), text="...")


def test_the_example_hums_at_the_pitch_that_it_heard(
    run: Run, speak: Callable[..., Generated], scratch: Scratch
) -> None:
    trained = run(Hum())
    assert trained.metrics["f0_hz"] == pytest.approx(120.0, rel=0.02)
    generated = speak(Hum(), text="mmmm")
    sound, rate_hz = read_sound(scratch.folder, generated.file)
    middle = sound[: rate_hz // 10] - sound[: rate_hz // 10].mean()
    repeats = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    period = np.argmax(repeats[rate_hz // 400 : rate_hz // 70]) + rate_hz // 400
    assert rate_hz / period == pytest.approx(120.0, rel=0.04)
    assert Path(scratch.folder / generated.file.name).is_file()
