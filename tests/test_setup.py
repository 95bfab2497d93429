from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = ("bash", "dirname", "id", "sed", "grep", "cat", "sha256sum", "cut", "flock", "touch", "rm")
PROGRAMS = ("ffmpeg", "ffprobe", "espeak-ng", "flite", "g++", "make", "apt-get")


def pins() -> dict[str, str]:
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What set-up reads of the repository, without an environment."""
    folder = tmp_path / "a copy"
    folder.mkdir()
    shutil.copytree(REPOSITORY / "install", folder / "install")
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, folder)
    return folder


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH of a machine that has every program and grants nobody root."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in TOOLS:
        (programs / name).symlink_to(str(shutil.which(name)))
    for name in PROGRAMS:
        script(programs / name, "exit 0")
    for name, does in (("sudo", "exit 1"), ("id", "echo 1000")):
        (programs / name).unlink(missing_ok=True)
        script(programs / name, does)
    (programs / "python3").symlink_to(sys.executable)
    return programs


def script(path: Path, does: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{does}\n")
    path.chmod(0o755)


def set_up(copy: Path, machine: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(copy / "install" / "set-up")],
        env={"PATH": str(machine), "HOME": str(copy)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(copy: Path) -> Path:
    """A stand-in for .venv that writes down what it is asked to do; gives that record."""
    record = copy / "record"
    script(copy / ".venv/bin/python", f'echo "python $*" >> {str(record)!r}')
    script(copy / ".venv/bin/likeness", f'echo "likeness $*" >> {str(record)!r}')
    return record


def test_the_lock_pins_everything_exactly_and_from_no_ones_disk() -> None:
    for line in (REPOSITORY / "requirements.lock").read_text().splitlines():
        assert not line or line.startswith("#") or re.fullmatch(r"[a-z0-9.-]+==[0-9a-z.]+", line)
    assert pins()["torch"] == "2.13.0"
    assert "https://download.pytorch.org/whl/cpu" in (REPOSITORY / "requirements.lock").read_text()


def test_the_lock_holds_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for line in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        asked = Requirement(line)
        assert asked.specifier.contains(pins()[canonicalize_name(asked.name)]), line


def test_what_is_installed_is_what_is_locked() -> None:
    installed = {name: version(name).partition("+")[0] for name in pins()}
    assert installed == pins()


def test_set_up_installs_once_and_again_when_the_lock_changes(copy: Path, machine: Path) -> None:
    record = environment(copy)
    assert set_up(copy, machine).returncode == 0
    first = record.read_text()
    assert "pip install --requirement requirements.lock" in first
    assert "pip install --no-deps --no-build-isolation --editable ." in first
    record.unlink()
    assert set_up(copy, machine).returncode == 0
    assert "pip" not in record.read_text()
    with (copy / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert set_up(copy, machine).returncode == 0
    assert "pip install" in record.read_text()


def test_without_root_it_says_exactly_which_packages_to_install(copy: Path, machine: Path) -> None:
    environment(copy)
    for name in ("ffmpeg", "espeak-ng"):
        (machine / name).unlink()
    done = set_up(copy, machine)
    assert done.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends ffmpeg espeak-ng" in done.stderr


def test_a_missing_flite_alone_stops_nobody(copy: Path, machine: Path) -> None:
    environment(copy)
    (machine / "flite").unlink()
    assert set_up(copy, machine).returncode == 0


def test_a_python_without_venv_or_headers_is_told_apart(copy: Path, machine: Path) -> None:
    (machine / "python3").unlink()
    lacks = f'[[ "$*" == *ensurepip* || "$*" == *Python.h* ]] && exit 1; exec {sys.executable} "$@"'
    script(machine / "python3", lacks)
    done = set_up(copy, machine)
    assert done.returncode == 1
    assert re.search(
        r"apt-get install .* python3[0-9.]*-venv python3[0-9.]*-dev$", done.stderr, re.M
    )


def test_an_old_python_is_refused_with_what_to_do(copy: Path, machine: Path) -> None:
    (machine / "python3").unlink()
    script(machine / "python3", "exit 1")
    done = set_up(copy, machine)
    assert done.returncode == 1
    assert "python3-venv" in done.stderr


@pytest.mark.parametrize(
    "name",
    ["plain.mp4", "with space.mp4", "it's \"quoted\".mp4", "$HOME $(id) `id`.mp4", "a\\b;c&d|e.mp4",
     "#1 50%.mp4", "-dash.mp4", "视频 é.mp4", "*.mp4", "a=b:c.mp4", ""],
)  # fmt: skip
def test_make_demo_hands_on_any_file_name_unharmed(copy: Path, name: str) -> None:
    script(copy / "install" / "set-up", "exit 0")
    script(copy / ".venv/bin/python", 'printf "%s\\0" "$@" > arguments')
    subprocess.run(
        ["make", "--silent", "demo", f"MEDIA={name}"],
        cwd=copy,
        env={"PATH": os.environ["PATH"], "HOME": str(copy)},
        check=True,
        timeout=60,
    )
    assert (copy / "arguments").read_bytes().decode().split("\0")[:-1] == [
        "-m",
        "flows.demo",
        ".demo",
        name,
    ]
