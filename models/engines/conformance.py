"""One suite that every engine has to pass, built-in or foreign, whoever made it.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_engine(check: Check) -> None:
        check(Trial(MyEngine(), EngineSettings()))

Each check raises CheckFailed, or what the run itself raises. Engines that need footage, or more
than six seconds of a synthetic voice, are given samples of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from models.engines.contract import Complaint, Declaration, FileRole
from models.engines.scratch import folders
from models.engines.trial import Course, Trial, run_generation, run_training
from models.schema.errors import CheckFailed, FenceLost, LikenessError

_OUTSIDE_TRIES: Final = 3
"""Others write to the same places meanwhile; an engine that does so does it every time."""
_OWN_FAULTS: Final = frozenset({Complaint.OUT_OF_MEMORY, Complaint.CORRUPT_CHECKPOINT})


Check = Callable[[Trial], None]


def it_says_who_it_is(trial: Trial) -> None:
    """The declaration is the same each time."""
    first, second = trial.engine.declaration, trial.engine.declaration
    _require(Declaration.model_validate(first) == second, "declares something else each time")


def it_trains_and_tells_its_steps(trial: Trial) -> None:
    """Steps count up to the last one, fractions do not fall, the files are what was declared."""
    course = run_training(trial)
    steps = [progress.step for progress in course.told]
    fractions = [progress.fraction for progress in course.told]
    _require(bool(steps), "tells none of its steps")
    _require(steps == sorted(set(steps)), "counts its steps otherwise than up")
    _require(fractions == sorted(fractions), "goes back in what is done")
    _require(course.trained.steps == steps[-1], "tells other steps than it gives back")


def it_speaks_with_what_it_gave(trial: Trial) -> None:
    """Generation needs nothing but the weights and material that training gave."""
    generated, _ = run_generation(trial, run_training(trial))
    _require(generated.seconds > 0, "generates nothing")


def it_repeats_itself_where_it_says_so(trial: Trial) -> None:
    """The same request gives the same bytes, if the engine says that it is deterministic."""
    if not trial.engine.declaration.deterministic or trial.device != "cpu":
        return
    first, second = run_training(trial), run_training(trial)
    _require(first.contents == second.contents, "learns something else the second time")
    _require(first.trained == second.trained, "gives other figures the second time")
    spoken, again = run_generation(trial, first), run_generation(trial, second)
    _require(spoken == again, "speaks otherwise the second time")


def it_stops_within_one_step(trial: Trial) -> None:
    """Once the fence has said so there is no further step, and no answer."""
    course = Course(stop_after=1)
    try:
        run_training(trial, course)
    except FenceLost:
        seconds = time.monotonic() - course.stopped_at
    else:
        raise CheckFailed("The engine goes on when its run was stopped, or tells no step.")
    _require(len(course.told) == 1, "tells a step after its run was stopped")
    _require(course.asked_after_stop() == 1, "goes on after the fence has stopped it")
    _require(seconds <= trial.stop_seconds, "takes long to stop")


def it_resumes_where_it_says_so(trial: Trial) -> None:
    """From a checkpoint it goes on with the next step and comes to where the whole run came."""
    if FileRole.CHECKPOINT not in trial.engine.declaration.gives:
        return
    whole = run_training(trial)
    interrupted = Course(stop_after=_first_checkpoint(whole))
    try:
        run_training(trial, interrupted)
    except FenceLost:
        resumed = run_training(trial, Course(resume_from=interrupted.checkpoint))
    else:
        raise CheckFailed("The engine goes on when its run was stopped.")
    after = interrupted.told[-1].step
    _require(all(told.step > after for told in resumed.told), "begins again when it is resumed")
    _require(resumed.trained.steps == whole.trained.steps, "ends elsewhere when it is resumed")
    if trial.engine.declaration.deterministic and trial.device == "cpu":
        _require(resumed.contents == whole.contents, "learns something else when it is resumed")


def it_complains_of_a_damaged_checkpoint(trial: Trial) -> None:
    """It neither crashes nor goes on from what it cannot read."""
    if FileRole.CHECKPOINT not in trial.engine.declaration.gives:
        return
    whole = run_training(trial)
    if whole.checkpoint is None:
        raise CheckFailed("The engine declares checkpoints and gives none.")
    file, content = whole.checkpoint
    damaged = Course(resume_from=(file, content[: len(content) // 2]))
    _complains(trial, damaged, {Complaint.CORRUPT_CHECKPOINT}, "a damaged checkpoint")


def it_complains_of_hopeless_samples(trial: Trial) -> None:
    """It says that it cannot learn from them; it neither crashes nor makes something up."""
    wanted = set(Complaint) - _OWN_FAULTS
    _complains(replace(trial, samples=trial.hopeless), Course(), wanted, "hopeless samples")


def it_ends_in_the_time_it_is_given(trial: Trial) -> None:
    """It gives what it has by then, or says why that is nothing; nobody needs to end it."""
    course = Course()
    try:
        run_training(replace(trial, seconds_most=trial.little_seconds), course)
    except LikenessError as error:
        _require(error.reason in set(Complaint), "has to be ended when its time is over")


def it_leaves_its_folder_in_order(trial: Trial) -> None:
    """What it was given is as it was, and there is nothing that it did not name."""
    course = run_training(trial)
    _in_order(course)
    speaking = Course()
    run_generation(trial, course, speaking)
    _in_order(speaking)


def it_leaves_nothing_outside(trial: Trial) -> None:
    """Nothing new lies where temporary files, caches or results could have got to."""
    for left_tries in reversed(range(_OUTSIDE_TRIES)):
        before = _outside(trial)
        run_generation(trial, run_training(trial))
        if _outside(trial) <= before:
            return
        _require(left_tries > 0, "leaves something outside its scratch folder")


CHECKS: Final[tuple[Check, ...]] = (
    it_says_who_it_is,
    it_trains_and_tells_its_steps,
    it_speaks_with_what_it_gave,
    it_repeats_itself_where_it_says_so,
    it_stops_within_one_step,
    it_resumes_where_it_says_so,
    it_complains_of_a_damaged_checkpoint,
    it_complains_of_hopeless_samples,
    it_ends_in_the_time_it_is_given,
    it_leaves_its_folder_in_order,
    it_leaves_nothing_outside,
)


def _complains(trial: Trial, course: Course, wanted: set[Complaint], of: str) -> None:
    try:
        run_training(trial, course)
    except LikenessError as error:
        _require(error.reason in wanted, f"does not complain of {of}, but fails")
    else:
        raise CheckFailed(f"The engine does not complain of {of}.")


def _first_checkpoint(course: Course) -> int:
    """After how many steps the first checkpoint came."""
    for count, progress in enumerate(course.told, 1):
        if progress.checkpoint is not None:
            return count
    raise CheckFailed("The engine declares checkpoints and gives none.")


def _in_order(course: Course) -> None:
    changed = any(course.remains.get(name) != digest for name, digest in course.given.items())
    _require(not changed, "changes or removes what it was given")
    unnamed = set(course.remains) - set(course.given) - course.named
    _require(not unnamed, "leaves files that it does not name")


def _outside(trial: Trial) -> set[str]:
    """What lies directly in the watched folders, and in memory but for scratch folders."""
    scratch = {str(open_.path) for open_ in folders(trial.settings)}
    places = {*trial.outside, trial.settings.scratch}
    return {str(entry) for place in places for entry in place.iterdir()} - scratch


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise CheckFailed(
            f"The engine {what}.", remedy="Correct the engine; its contract is models/engines."
        )
