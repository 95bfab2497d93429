"""The rooms and the one way between them (docs: flows -> storage -> models)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = {"flows", "storage", "models"}
MAY_IMPORT = {
    "models": {"models"},
    "storage": {"storage", "models"},
    "flows": {"flows", "storage", "models"},
}
OUTSIDE = {"likeness", "tests", "benchmarks"}
HEAVY = {"torch", "prefect", "cv2", "dlib", "onnxruntime", "av", "librosa", "faster_whisper"}


def _sources(*rooms: str) -> list[Path]:
    return sorted(file for room in rooms for file in (REPOSITORY / room).rglob("*.py"))


@cache
def _imported(file: Path) -> frozenset[str]:
    """Every module that a file names in an import, wherever it stands; relative ones resolved."""
    return frozenset(_imports(file))


def _imports(file: Path) -> Iterator[str]:
    package = file.relative_to(REPOSITORY).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            for alias in node.names:  # `from storage import vault` names a module too
                yield f"{module}.{alias.name}"
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def _names(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imported(file)}


def _modules(*folders: str) -> list[str]:
    return [
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for file in _sources(*folders)
        if "versions" not in file.parts and file.name != "env.py"
    ]


def _loaded_by(*modules: str) -> set[str]:
    """Heavy packages that are loaded once a fresh interpreter has imported some modules."""
    program = (
        f"import importlib, sys\nfor name in {list(modules)!r}: importlib.import_module(name)\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_run_one_way(room: str) -> None:
    wrong = {
        str(file.relative_to(REPOSITORY)): sorted(reached)
        for file in _sources(room)
        if (reached := _names(file) & (ROOMS | OUTSIDE) - MAY_IMPORT[room])
    }
    assert wrong == {}


def test_the_python_door_imports_only_flows_and_storage_and_exports_one_class() -> None:
    file = REPOSITORY / "likeness.py"
    assert _names(file) & ROOMS <= {"flows", "storage"}
    exported = [
        ast.literal_eval(node.value)
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert exported == [["Likeness"]]


def test_only_flows_know_prefect() -> None:
    knowing = [file for file in _sources("models", "storage") if "prefect" in _names(file)]
    assert knowing == []


def test_no_file_in_models_mentions_prefect() -> None:
    mentioning = [
        str(file.relative_to(REPOSITORY))
        for file in sorted((REPOSITORY / "models").rglob("*"))
        if file.suffix in {".py", ".toml", ".md"} and "prefect" in file.read_text("utf-8").lower()
    ]
    assert mentioning == []


@pytest.mark.parametrize(
    "folders",
    [("models/schema", "models/consent"), ("storage",)],
    ids=["contracts", "storage"],
)
def test_contracts_and_storage_load_no_heavy_library(folders: tuple[str, ...]) -> None:
    assert _loaded_by(*_modules(*folders)) == set()


def test_the_command_line_starts_without_a_heavy_library() -> None:
    assert _loaded_by(*_modules("flows/cli")) == set()


def test_contracts_need_only_pydantic_numpy_safetensors_and_a_calendar() -> None:
    named = {"models", "pydantic", "numpy", "safetensors", "chinese_calendar"}
    allowed = named | set(sys.stdlib_module_names)
    for file in _sources("models/schema", "models/consent"):
        assert _names(file) <= allowed, file.name


def test_nothing_is_ever_pickled() -> None:
    """Tensors are safetensors; records are JSON."""
    picklers = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert [file for file in _sources(*ROOMS) if _names(file) & picklers] == []


def test_flows_hold_no_store_no_key_and_no_cipher() -> None:
    """What they read and write goes through the door (invariant 3)."""
    behind = ("storage.objects", "storage.vault", "storage.key_store", "storage.sealing", "minio")
    reaching = {
        str(file.relative_to(REPOSITORY)): name
        for file in [*_sources("flows"), REPOSITORY / "likeness.py"]
        for name in _imported(file)
        if name.startswith(behind)
    }
    assert reaching == {}


def test_outside_the_storage_room_nobody_reaches_through_it_to_bytes_keys_or_tables() -> None:
    """Whoever holds the room could: these parts of it are asked whether they answer, no more."""
    behind = {"vault", "store", "keys", "catalogue"}
    reaching = {
        f"{file.relative_to(REPOSITORY)}: {ast.unparse(node)}"
        for file in [*_sources("flows", "models"), REPOSITORY / "likeness.py"]
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute | ast.Name | ast.Call)
        and (getattr(node.value, "attr", getattr(node.value, "id", "")) in behind)
        and ast.unparse(node.value).split(".")[0] in {"house", "storage()", "storage", "self"}
        and node.attr not in {"check", "database"}
    }
    assert reaching == set()


def test_only_the_settings_know_where_objects_lie() -> None:
    """Nobody else can open a file among them, whatever it imports."""
    knowing = {
        str(file.relative_to(REPOSITORY))
        for file in [*_sources("flows", "models"), REPOSITORY / "likeness.py"]
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in {"objects_url", "store_key"})
        or (isinstance(node, ast.BinOp) and ast.unparse(node).endswith("/ 'objects'"))
    }
    # The inspection tells a folder from S3; the export refuses to write among the objects.
    assert knowing == {"flows/settings.py", "flows/inspection.py", "flows/exporting.py"}


def _in_storage(*modules: str) -> set[str]:
    return {
        str(file.relative_to(REPOSITORY))
        for file in _sources("storage")
        if {*modules} & set(_imported(file)) and "objects" not in file.parts
    }


def test_in_the_storage_room_only_the_door_decrypts() -> None:
    assert _in_storage("storage.sealing") == {"storage/door.py", "storage/vault.py"}


def test_beside_the_door_only_those_who_erase_and_verify_hold_the_store() -> None:
    assert _in_storage("storage.objects.interface") == {
        "storage/assembly.py",
        "storage/door.py",
        "storage/erasure/auditor.py",
        "storage/erasure/carrying_out.py",
        "storage/erasure/receipts.py",
        "storage/erasure/verification.py",
        "storage/reconcile.py",
    }
