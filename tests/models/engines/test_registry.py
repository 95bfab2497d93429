"""Engines are found by name or by task, and only those that may be used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.engine import Hum
from models.engines.child import ForeignEngine
from models.engines.contract import Declaration
from models.engines.registry import choose_engine, declared_engines, engine_names, find_engine
from models.engines.settings import EngineSettings
from models.schema.errors import BadUsage, EngineFailed, LikenessError, Refused
from models.schema.tasks import Task

Install = Callable[..., None]
REPOSITORY = Path(__file__).resolve().parents[3]
EXAMPLE = (sys.executable, str(REPOSITORY / "examples" / "engine.py"))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package on the path that offers engines, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package: str = "their_package", **engines: str) -> None:
        about = tmp_path / f"{package}-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        lines = [f"{name} = {target}" for name, target in engines.items()]
        (about / "entry_points.txt").write_text("\n".join(["[likeness.engines]", *lines]))

    return install


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "their_engines.py").write_text(
        "from examples.engine import Hum\n"
        "class Other(Hum):\n"
        "    declaration = Hum.declaration.model_copy(update={'name': 'other'})\n"
        "class Closed(Hum):\n"
        "    declaration = Hum.declaration.model_copy(\n"
        "        update={'name': 'closed', 'licence': 'CC-BY-NC-4.0'})\n"
        "class Human(Hum):\n"
        "    declaration = Hum.declaration.model_copy(update={'name': 'human', 'task': 'human'})\n"
        "ready = Other()\n"
        "def made(): return Other()\n"
        "def broken(): raise ValueError('secret')\n"
        "def nothing(): return object()\n"
    )
    return tmp_path


def test_there_is_none_by_default() -> None:
    assert engine_names(EngineSettings()) == []
    with pytest.raises(BadUsage, match="no engine for the task voice"):
        choose_engine(Task.VOICE, EngineSettings())
    with pytest.raises(BadUsage, match="none at all"):
        find_engine("hum", EngineSettings())


def test_one_of_an_installed_package_is_found(install: Install, modules: Path) -> None:
    install(hum="examples.engine:Hum", other="their_engines:made")
    assert engine_names(EngineSettings()) == ["hum", "other"]
    assert isinstance(find_engine("hum", EngineSettings()), Hum)
    assert find_engine("other", EngineSettings()).declaration.name == "other"


def test_it_may_be_a_class_a_function_or_an_engine(install: Install, modules: Path) -> None:
    for number, target in enumerate(("Other", "made", "ready")):
        install(f"package_{number}", other=f"their_engines:{target}")
        assert find_engine("other", EngineSettings()).declaration.name == "other"
        for file in (modules / f"package_{number}-1.dist-info").iterdir():
            file.unlink()
        (modules / f"package_{number}-1.dist-info").rmdir()


def test_a_foreign_program_is_found_by_its_setting() -> None:
    settings = EngineSettings(commands={"hum": EXAMPLE})
    engine = find_engine("hum", settings, task=Task.VOICE)
    assert isinstance(engine, ForeignEngine)
    assert engine.declaration == Hum.declaration


def test_a_name_that_two_have_is_refused(install: Install) -> None:
    install(hum="examples.engine:Hum")
    with pytest.raises(BadUsage, match="Two engines are called hum"):
        engine_names(EngineSettings(commands={"hum": EXAMPLE}))


def test_one_that_calls_itself_otherwise_is_refused(install: Install, modules: Path) -> None:
    install(mine="their_engines:Other")
    with pytest.raises(EngineFailed, match="calls itself other"):
        find_engine("mine", EngineSettings())


def test_one_for_another_task_is_refused(install: Install, modules: Path) -> None:
    install(hum="examples.engine:Hum")
    with pytest.raises(BadUsage, match="makes a voice, not a human"):
        find_engine("hum", EngineSettings(), task=Task.HUMAN)


@pytest.mark.parametrize(
    "target", ["their_engines:broken", "their_engines:gone", "not_there:Engine"]
)
def test_one_that_cannot_be_loaded_says_so_and_no_more(
    install: Install, modules: Path, target: str
) -> None:
    install(hum=target)
    with pytest.raises(EngineFailed, match="cannot be loaded") as failed:
        find_engine("hum", EngineSettings())
    assert "secret" not in str(failed.value)
    assert failed.value.__context__ is None


def test_what_is_no_engine_is_refused(install: Install, modules: Path) -> None:
    install(hum="their_engines:nothing")
    with pytest.raises(EngineFailed, match="no engine"):
        find_engine("hum", EngineSettings())


def test_a_licence_that_bars_the_use_is_refused_unless_allowed(
    install: Install, modules: Path
) -> None:
    install(closed="their_engines:Closed")
    with pytest.raises(Refused) as refused:
        find_engine("closed", EngineSettings())
    assert refused.value.exit_code == 3
    assert find_engine("closed", EngineSettings(other_licences=True))
    assert find_engine("closed", EngineSettings(licences=frozenset({"CC-BY-NC-4.0"})))


def test_a_task_gets_the_only_one_or_the_preferred(install: Install, modules: Path) -> None:
    install(hum="examples.engine:Hum", human="their_engines:Human", bad="their_engines:broken")
    assert choose_engine(Task.VOICE, EngineSettings()).declaration.name == "hum"
    assert choose_engine(Task.HUMAN, EngineSettings()).declaration.name == "human"
    install("more", other="their_engines:Other")
    with pytest.raises(BadUsage, match=r"are hum, other"):
        choose_engine(Task.VOICE, EngineSettings())
    preferring = EngineSettings(preferred={Task.VOICE: "other"})
    assert choose_engine(Task.VOICE, preferring).declaration.name == "other"


def test_all_can_be_listed_the_broken_too(install: Install, modules: Path) -> None:
    install(hum="examples.engine:Hum", bad="their_engines:broken")
    found = declared_engines(EngineSettings(commands={"gone": ("/nowhere/engine",)}))
    assert isinstance(found["hum"], Declaration)
    assert isinstance(found["bad"], LikenessError)
    assert isinstance(found["gone"], EngineFailed)


def test_nothing_is_loaded_until_one_is_chosen(install: Install, modules: Path) -> None:
    (modules / "loud.py").write_text("raise SystemExit('loaded')")
    install(loud="loud:Engine")
    program = (
        "import sys; from models.engines.registry import engine_names\n"
        "from models.engines.settings import EngineSettings\n"
        "assert engine_names(EngineSettings()) == ['loud']\n"
        "heavy = {'torch', 'numpy', 'scipy', 'safetensors', 'sqlalchemy', 'prefect'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(modules)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_settings_name_programs_by_their_whole_path_and_pass_no_secret_on() -> None:
    for wrong in ({"hum": ("python", "engine.py")}, {"hum": ()}, {"Hum 2": EXAMPLE}):
        with pytest.raises(ValueError, match=r"absolute path|pattern"):
            EngineSettings(commands=wrong)
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "LIKENESS_KEYS_URL", "PGPASSWORD"):
        with pytest.raises(ValueError, match="secret"):
            EngineSettings(passed_on=(name,))
