"""What is installed, what answers, what is missing and how to get it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from flows.settings import Settings
from models import weights
from models.schema.errors import LikenessError

_PACKAGES: Final = ("torch", "prefect", "onnxruntime", "faster-whisper", "opencv-python-headless")
_PROGRAMS: Final = {
    "ffmpeg": "apt-get install ffmpeg",
    "ffprobe": "apt-get install ffmpeg",
    "prlimit": "apt-get install util-linux",
    "setpriv": "apt-get install util-linux",
    "espeak-ng": "apt-get install espeak-ng",
}
_SECONDS: Final = 5


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    needed: bool
    """False where the house works without it."""
    found: str
    remedy: str


def inspect(
    settings: Settings, open_storage: Callable[[], object], *, for_deployment: bool = False
) -> Iterator[Check]:
    """Look at everything; never raises for what it finds.

    A deployment needs a Prefect server of its own; one machine does without.
    """
    yield from _programs()
    yield from _packages()
    yield _device()
    yield from _weights()
    yield _scratch(settings)
    yield _storage(settings, open_storage)
    yield _prefect(needed=for_deployment)


def _programs() -> Iterator[Check]:
    for program, remedy in _PROGRAMS.items():
        path = shutil.which(program)
        found = _first_line([program, "-version" if program.startswith("ff") else "--version"])
        yield Check(program, path is not None, program != "espeak-ng", found, remedy)


def _packages() -> Iterator[Check]:
    for package in _PACKAGES:
        try:
            yield Check(package, True, True, version(package), "")
        except PackageNotFoundError:
            yield Check(package, False, True, "not installed", "make setup")


def _device() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("device", False, False, "torch is not installed", "make setup")
    import torch

    if torch.cuda.is_available():
        return Check("device", True, False, f"CUDA: {torch.cuda.get_device_name(0)}", "")
    return Check("device", True, False, f"CPU, {os.cpu_count()} cores", "")


def _weights() -> Iterator[Check]:
    for entry in weights.listing().values():
        here = all(file.path.is_file() for file in entry.files)
        needed = entry.set == "default"
        remedy = f"likeness weights pull --set {entry.name}"
        yield Check(f"weights:{entry.name}", here, needed, entry.use, "" if here else remedy)


def _scratch(settings: Settings) -> Check:
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(settings.home).free
    except OSError as error:
        return Check("home", False, True, error.strerror or "", "set LIKENESS_HOME")
    enough = free > settings.media_limits.size_bytes * 2
    return Check("home", enough, True, f"{free / 1024**3:.1f} GiB free", "make space")


def _storage(settings: Settings, open_storage: Callable[[], object]) -> Check:
    addresses = settings.storage
    where = ", ".join(
        url.split("://")[0] for url in (addresses.catalogue_url, addresses.keys_url)
    ) + (", s3" if addresses.objects_url.startswith("s3:") else ", folder")
    try:
        open_storage()
    except LikenessError as error:
        return Check("storage", False, True, error.message, error.remedy)
    return Check("storage", True, True, where, "")


def _prefect(*, needed: bool) -> Check:
    url = os.environ.get("PREFECT_API_URL")
    if not url and needed:
        return Check("prefect server", False, True, "none named", "set PREFECT_API_URL")
    if not url:
        return Check("prefect server", True, False, "none named; an ephemeral one is used", "")
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=_SECONDS):  # noqa: S310
            return Check("prefect server", True, True, "answers", "")
    except (OSError, URLError):
        return Check("prefect server", False, True, "does not answer", "prefect server start")


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"
    return next(iter(done.stdout.splitlines()), "")[:80]


def fix(settings: Settings) -> None:
    """Put right what needs no administrator: the home's folder and the default weights."""
    Path(settings.home).mkdir(mode=0o700, parents=True, exist_ok=True)
    weights.pull(["default"])
