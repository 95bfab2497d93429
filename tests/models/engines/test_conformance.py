"""The suite is worth passing: an engine that is bad in one way fails the check of that way."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.engine import Hum
from models.engines import conformance
from models.engines.child import ForeignEngine
from models.engines.conformance import Check
from models.engines.contract import (
    CannotGoOn,
    Declaration,
    FileRole,
    Generated,
    Generation,
    Progress,
    Trained,
    Training,
    Work,
)
from models.engines.files import write_tensors
from models.engines.settings import EngineSettings
from models.engines.trial import Trial
from models.schema.errors import CheckFailed, LikenessError

SETTINGS = EngineSettings(silence_seconds=5.0, grace_seconds=2.0)
_COUNTER = count()


class Fickle(Hum):
    @property
    def declaration(self) -> Declaration:  # type: ignore[override]
        return Hum.declaration.model_copy(update={"version": str(next(_COUNTER))})


class Silent(Hum):
    """Tells no step."""

    def train(self, request: Training, work: Work) -> Trained:
        return super().train(request, _Quiet(work))


class _Quiet(Work):
    def __init__(self, work: Work) -> None:
        super().__init__(work.folder, work.home, told=lambda _: None, should_stop=lambda: False)

    def step(self, progress: Progress) -> None:
        assert progress.checkpoint is not None
        (self.folder / progress.checkpoint.name).unlink()


class Backwards(Hum):
    """Counts down."""

    def train(self, request: Training, work: Work) -> Trained:
        return super().train(request, _Reversed(work))


class _Reversed(_Quiet):
    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._work = work

    def step(self, progress: Progress) -> None:
        self._work.step(progress.model_copy(update={"step": 10 - progress.step}))


class Forgetful(Hum):
    """Needs for speaking what it did not give."""

    def train(self, request: Training, work: Work) -> Trained:
        trained = super().train(request, work)
        (work.folder / "needed").touch()
        return trained

    def generate(self, request: Generation, work: Work) -> Generated:
        (work.folder / "needed").read_bytes()
        return super().generate(request, work)


class Random(Hum):
    """Says that it is deterministic and is not."""

    def train(self, request: Training, work: Work) -> Trained:
        trained = super().train(request, work)
        noise = {"voice": np.random.default_rng().normal(size=1_026)}
        write_tensors(work.folder, "voice", FileRole.WEIGHTS, noise)
        return trained


class RandomSpeaker(Hum):
    def generate(self, request: Generation, work: Work) -> Generated:
        seed = int(np.random.default_rng().integers(2**32))
        return super().generate(request.model_copy(update={"seed": seed}), work)


class Remembering(Hum):
    """Keeps between two calls what it should not."""

    def __init__(self) -> None:
        self._trainings = 0

    def train(self, request: Training, work: Work) -> Trained:
        self._trainings += 1
        trained = super().train(request, work)
        return trained.model_copy(update={"metrics": {"trainings": float(self._trainings)}})


class Stubborn(Hum):
    """Goes on when it was stopped."""

    def train(self, request: Training, work: Work) -> Trained:
        return super().train(request, _Deaf(work))


class _Deaf(_Reversed):
    def step(self, progress: Progress) -> None:
        try:
            self._work.step(progress)
        except LikenessError:
            (self.folder / str(progress.step)).touch()


class Slow(Hum):
    """Goes on computing for a while when it was stopped."""

    def train(self, request: Training, work: Work) -> Trained:
        try:
            return super().train(request, work)
        except LikenessError:
            time.sleep(1.5)
            raise


class BeginsAgain(Hum):
    """Ignores the checkpoint that it is to go on from."""

    def train(self, request: Training, work: Work) -> Trained:
        return super().train(request.model_copy(update={"resume_from": None}), work)


class ResumesElsewhere(Hum):
    def train(self, request: Training, work: Work) -> Trained:
        trained = super().train(request, work)
        if request.resume_from is not None:
            write_tensors(work.folder, "voice", FileRole.WEIGHTS, {"voice": np.zeros(1_026)})
        return trained


class Promising(Hum):
    """Declares checkpoints and gives none."""

    def train(self, request: Training, work: Work) -> Trained:
        return super().train(request, _Without(work))


class _Without(_Reversed):
    def step(self, progress: Progress) -> None:
        assert progress.checkpoint is not None
        (self.folder / progress.checkpoint.name).unlink()
        self._work.step(progress.model_copy(update={"checkpoint": None}))


class Trusting(Hum):
    """Crashes at a damaged checkpoint."""

    def train(self, request: Training, work: Work) -> Trained:
        try:
            return super().train(request, work)
        except CannotGoOn as complaint:
            raise ValueError from complaint


class Inventing(Hum):
    """Makes a voice of silence."""

    def train(self, request: Training, work: Work) -> Trained:
        try:
            return super().train(request, work)
        except CannotGoOn:
            file = write_tensors(work.folder, "voice", FileRole.WEIGHTS, {"voice": np.zeros(9)})
            return Trained(files=(file,), steps=1)


class Late(Hum):
    """Does not look at the clock."""

    def train(self, request: Training, work: Work) -> Trained:
        step = 0
        while True:
            step += 1
            work.step(Progress(step=step, fraction=0.0))


class Untidy(Hum):
    """Leaves a file that it does not name."""

    def train(self, request: Training, work: Work) -> Trained:
        (work.folder / ".cache").mkdir()
        (work.folder / ".cache" / "features").touch()
        return super().train(request, work)


class UntidySpeaker(Hum):
    def generate(self, request: Generation, work: Work) -> Generated:
        (work.folder / "link").symlink_to("/nowhere")
        return super().generate(request, work)


class Meddling(Hum):
    """Changes what it was given."""

    def train(self, request: Training, work: Work) -> Trained:
        trained = super().train(request, work)
        (work.folder / request.samples[0].files[0].name).write_bytes(b"")
        return trained


OUTSIDE: list[Path] = []


class Leaking(Hum):
    """Leaves something outside."""

    def train(self, request: Training, work: Work) -> Trained:
        (OUTSIDE[0] / f"features-{next(_COUNTER)}").touch()
        return super().train(request, work)


@dataclass(frozen=True)
class Bad:
    engine: Callable[[], Any]
    check: Check
    said: str


BAD = [
    Bad(Fickle, conformance.it_says_who_it_is, "declares something else"),
    Bad(Silent, conformance.it_trains_and_tells_its_steps, "none of its steps"),
    Bad(Silent, conformance.it_stops_within_one_step, "tells no step"),
    Bad(Backwards, conformance.it_trains_and_tells_its_steps, "otherwise than up"),
    Bad(Forgetful, conformance.it_speaks_with_what_it_gave, "crashed"),
    Bad(Random, conformance.it_repeats_itself_where_it_says_so, "learns something else"),
    Bad(RandomSpeaker, conformance.it_repeats_itself_where_it_says_so, "speaks otherwise"),
    Bad(Remembering, conformance.it_repeats_itself_where_it_says_so, "other figures"),
    Bad(Stubborn, conformance.it_stops_within_one_step, "goes on after"),
    Bad(Slow, conformance.it_stops_within_one_step, "long to stop"),
    Bad(BeginsAgain, conformance.it_resumes_where_it_says_so, "begins again"),
    Bad(BeginsAgain, conformance.it_complains_of_a_damaged_checkpoint, "does not complain"),
    Bad(ResumesElsewhere, conformance.it_resumes_where_it_says_so, "when it is resumed"),
    Bad(Promising, conformance.it_resumes_where_it_says_so, "gives none"),
    Bad(Promising, conformance.it_complains_of_a_damaged_checkpoint, "gives none"),
    Bad(Trusting, conformance.it_complains_of_a_damaged_checkpoint, "but fails"),
    Bad(Trusting, conformance.it_complains_of_hopeless_samples, "but fails"),
    Bad(Inventing, conformance.it_complains_of_hopeless_samples, "does not complain"),
    Bad(Late, conformance.it_ends_in_the_time_it_is_given, "has to be ended"),
    Bad(Untidy, conformance.it_leaves_its_folder_in_order, "does not name"),
    Bad(UntidySpeaker, conformance.it_leaves_its_folder_in_order, "does not name"),
    Bad(Meddling, conformance.it_leaves_its_folder_in_order, "was given"),
    Bad(Leaking, conformance.it_leaves_nothing_outside, "outside"),
]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    OUTSIDE[:] = [tmp_path]
    return Trial(Hum(), SETTINGS, little_seconds=0.2, stop_seconds=1.0, outside=(tmp_path,))


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.engine.__name__}-{bad.check.__name__}")
def test_a_bad_engine_fails_the_check_of_its_fault(trial: Trial, bad: Bad) -> None:
    bad.check(trial)  # the good one passes, so that the fault is what fails
    with pytest.raises(LikenessError, match=bad.said):
        bad.check(replace(trial, engine=bad.engine()))


def test_every_check_has_an_engine_that_fails_it() -> None:
    assert {bad.check for bad in BAD} == set(conformance.CHECKS)


def test_one_that_makes_no_promise_is_not_held_to_it(trial: Trial) -> None:
    class Modest(Random):
        declaration = Hum.declaration.model_copy(update={"deterministic": False})

    conformance.it_repeats_itself_where_it_says_so(replace(trial, engine=Modest()))
    conformance.it_resumes_where_it_says_so(replace(trial, engine=Modest()))


def test_a_child_is_held_to_the_same(trial: Trial, tmp_path: Path) -> None:
    """Bad ones of this file as a child process: what they do wrong is seen from outside."""
    cases: list[tuple[type[Hum], Check, str]] = [
        (Random, conformance.it_repeats_itself_where_it_says_so, "learns something else"),
        (BeginsAgain, conformance.it_resumes_where_it_says_so, "begins again"),
        (Untidy, conformance.it_leaves_its_folder_in_order, "does not name"),
        (Inventing, conformance.it_complains_of_hopeless_samples, "does not complain"),
    ]
    for engine, check, said in cases:
        program = tmp_path / f"engine_{engine.__name__.lower()}.py"
        program.write_text(
            f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[3])!r})\n"
            f"from tests.models.engines.test_conformance import {engine.__name__}\n"
            f"from models.engines.serving import serve\nserve({engine.__name__}())\n"
        )
        child = ForeignEngine("hum", (sys.executable, str(program)), SETTINGS)
        with pytest.raises(CheckFailed, match=said):
            check(replace(trial, engine=child))
