"""Which engines there are: entry points of installed packages, and foreign programs by setting.

A package offers a built-in engine, which runs in our process, in its pyproject.toml:

    [project.entry-points."likeness.engines"]
    my-voice = "my_package.engine:MyVoice"

The object behind it is an engine, or a class or function without parameters that makes one. Nothing
is imported until an engine is chosen or asked what it is.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from models.engines.child import ForeignEngine
from models.engines.contract import Declaration, Engine
from models.engines.licences import licence_allowed
from models.engines.running import declaration_of
from models.engines.settings import EngineSettings
from models.schema.errors import BadUsage, EngineFailed, LikenessError, Refused
from models.schema.tasks import Task

GROUP: Final = "likeness.engines"


def engine_names(settings: EngineSettings) -> list[str]:
    """The names of all engines, sorted; nothing of them is loaded.

    Raises BadUsage when two have the same name.
    """
    names = [point.name for point in entry_points(group=GROUP)]
    names += settings.commands
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadUsage(
            f"Two engines are called {twice[0]}.",
            remedy="Remove one of the packages, or rename the one in LIKENESS_ENGINES__COMMANDS.",
        )
    return sorted(names)


def find_engine(name: str, settings: EngineSettings, *, task: Task | None = None) -> Engine:
    """The engine of this name, loaded, for a task where one is given.

    Raises BadUsage where there is none or it does another task, Refused where its licence is not
    allowed, EngineFailed where it cannot be loaded or does not say who it is.
    """
    if name not in engine_names(settings):
        raise BadUsage(
            f"There is no engine of that name; there {_listed(engine_names(settings))}.",
            remedy="Install its package, or name its program in LIKENESS_ENGINES__COMMANDS.",
        )
    engine = _loaded(name, settings)
    declared = declaration_of(engine)
    if declared.name != name:
        raise EngineFailed(f"The engine {name} calls itself {declared.name}.")
    if task is not None and declared.task is not task:
        raise BadUsage(
            f"The engine {name} makes a {declared.task}, not a {task}.",
            remedy="Name an engine of that task, or none.",
        )
    if not settings.other_licences and not licence_allowed(declared.licence, settings.licences):
        raise Refused(
            f"The licence of the engine {name} does not allow this use.",
            remedy="Choose another engine, or allow its licence in LIKENESS_ENGINES__LICENCES.",
            code="licence_refused",
        )
    return engine


def choose_engine(task: Task, settings: EngineSettings) -> Engine:
    """The engine that a task gets when nobody names one: the preferred, else the only one.

    Raises as `find_engine`, and BadUsage when there is none or nothing decides between several.
    """
    if (preferred := settings.preferred.get(task)) is not None:
        return find_engine(preferred, settings, task=task)
    able = [
        name
        for name, declared in declared_engines(settings).items()
        if isinstance(declared, Declaration) and declared.task is task
    ]
    if len(able) != 1:
        raise BadUsage(
            f"There is no engine for the task {task}."
            if not able
            else f"For the task {task} there {_listed(able)}.",
            remedy="Name one with --engine, or prefer one in LIKENESS_ENGINES__PREFERRED."
            if able
            else "Install one, or name its program in LIKENESS_ENGINES__COMMANDS.",
        )
    return find_engine(able[0], settings, task=task)


def declared_engines(settings: EngineSettings) -> dict[str, Declaration | LikenessError]:
    """What every engine says of itself, or why it cannot be used; loads all of them."""
    found: dict[str, Declaration | LikenessError] = {}
    for name in engine_names(settings):
        try:
            found[name] = declaration_of(find_engine(name, settings))
        except LikenessError as error:
            found[name] = error
    return found


def _listed(names: list[str]) -> str:
    if not names:
        return "is none at all"
    return f"{'is' if len(names) == 1 else 'are'} {', '.join(names)}"


def _loaded(name: str, settings: EngineSettings) -> Engine:
    if name in settings.commands:
        return ForeignEngine(name, settings.commands[name], settings)
    (point,) = entry_points(group=GROUP, name=name)
    engine: Engine = _imported(point)
    if not all(callable(getattr(engine, method, None)) for method in ("train", "generate")):
        raise EngineFailed(f"What is installed as the engine {name} is no engine.")
    return engine


def _imported(point: EntryPoint) -> Any:
    try:
        found = point.load()
        is_engine = not isinstance(found, type) and hasattr(found, "train")
        return found if is_engine else found()
    except LikenessError:
        raise
    except Exception as error:
        failure = EngineFailed(
            f"The engine {point.name} cannot be loaded ({type(error).__name__}).",
            remedy="Install its package again with all it needs, or choose another engine.",
        )
    raise failure
