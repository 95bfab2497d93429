from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models import weights
from models.schema.errors import BadUsage, ServiceUnavailable, WeightsMissing

SMALL = "silero-vad"


@pytest.fixture
def pulled() -> Path:
    """The default weights of this environment."""
    return weights.folder()


@pytest.fixture
def empty(pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, on a machine that reaches neither addresses nor a registry."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("LIKENESS_WEIGHTS", str(folder))
    monkeypatch.delenv("LIKENESS_WEIGHTS_SOURCE", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def unreachable(*_: object, **__: object) -> None:
    raise OSError("no route to host")


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_every_file_is_pinned_with_digest_size_licence_use_and_sources() -> None:
    packages = weights._pinned()["packages"]
    for entry in weights.listing().values():
        assert entry.use
        assert entry.licence
        assert entry.set in {"default", "optional"}
        assert entry.set == "default" or entry.without
        for file in entry.files:
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert file.bytes > 0
            assert "url" in file.sources[0], "the official address comes first"
            for source in file.sources[1:]:
                names = source["package"]
                for name in [names] if isinstance(names, str) else names:
                    assert re.fullmatch(r"[0-9a-f]{64}", packages[name]["sha256"])


def test_all_that_the_default_set_needs_can_be_had_from_published_packages() -> None:
    for entry in weights.listing().values():
        if entry.set == "default":
            assert all(any("package" in s for s in file.sources) for file in entry.files)


def test_an_unknown_name_is_bad_usage_and_names_the_known_ones() -> None:
    with pytest.raises(BadUsage) as refused:
        weights.locate("nothing")
    assert "whisper-base" in refused.value.remedy


@pytest.mark.usefixtures("empty")
def test_what_is_not_pulled_is_missing_and_the_remedy_says_how_to_pull() -> None:
    with pytest.raises(WeightsMissing) as missing:
        weights.locate(SMALL)
    assert "likeness weights pull" in missing.value.remedy
    assert {state for _, state in weights.verify()} == {"missing"}


@pytest.mark.weights
def test_a_folder_of_ones_own_is_asked_first_and_once(
    pulled: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_WEIGHTS_SOURCE", str(pulled))
    told: list[str] = []
    assert [file.weights for file in weights.pull([SMALL], told=told.append)] == [SMALL]
    assert len(told) == 1
    assert weights.locate(SMALL).parent == empty / SMALL
    assert weights.locate(SMALL).stat().st_mode & 0o777 == 0o644
    assert weights.pull([SMALL]) == []


@pytest.mark.weights
def test_an_address_of_ones_own_serves_as_well(
    pulled: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(pulled))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with served(Files) as address:
        monkeypatch.setenv("LIKENESS_WEIGHTS_SOURCE", address)
        weights.pull([SMALL])
    assert ("ok", SMALL) in {(state, file.weights) for file, state in weights.verify()}
    assert len(files_under(empty)) == 1


@pytest.mark.weights
def test_a_file_that_was_damaged_on_disk_is_pulled_again(
    pulled: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(pulled / SMALL, empty / SMALL)
    damaged = weights.locate(SMALL)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    assert "wrong_digest" in {state for _, state in weights.verify()}
    monkeypatch.setenv("LIKENESS_WEIGHTS_SOURCE", str(pulled))
    assert len(weights.pull([SMALL])) == 1
    assert "wrong_digest" not in {state for _, state in weights.verify()}


def test_a_wrong_digest_never_gets_the_name_and_every_source_is_named_in_the_message(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own" / SMALL
    own.mkdir(parents=True)
    (file,) = weights.named(SMALL).files
    (own / file.name).write_bytes(b"something else")
    monkeypatch.setenv("LIKENESS_WEIGHTS_SOURCE", str(own.parent))
    with pytest.raises(ServiceUnavailable) as failed:
        weights.pull([SMALL])
    for source in ("the folder gave another digest", "githubusercontent", "silero-vad 6.2.3"):
        assert source in failed.value.message
    assert files_under(empty) == []


def test_when_no_address_answers_the_file_comes_out_of_its_published_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("LIKENESS_WEIGHTS_SOURCE", str(tmp_path / "absent"))
    monkeypatch.setattr(weights, "urlopen", unreachable)
    try:
        weights.pull(["face-mesh"])
    except ServiceUnavailable as failed:
        if "pip could not download" in failed.message:
            pytest.skip("pip reaches no package registry from here")
        raise
    assert weights.locate("face-mesh").read_bytes()[4:8] == b"TFL3"


@pytest.mark.usefixtures("empty")
def test_what_is_optional_and_cannot_be_had_says_what_is_done_without_it() -> None:
    with pytest.raises(ServiceUnavailable) as failed:
        weights.pull(["yunet"])
    assert "HOG" in failed.value.remedy


def test_a_source_that_never_ends_is_left_at_the_pinned_size(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal sent
            self.send_response(200)
            self.end_headers()
            try:
                while sent < 200_000_000:
                    sent += self.wfile.write(bytes(1024 * 1024))
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    with served(Endless) as address:
        monkeypatch.setenv("LIKENESS_WEIGHTS_SOURCE", address)
        with pytest.raises(ServiceUnavailable):
            weights.pull([SMALL])
    assert sent < 50_000_000
    assert files_under(empty) == []


@pytest.mark.weights
def test_an_entry_of_several_files_is_a_folder_named_by_the_digest_of_its_network() -> None:
    folder = weights.locate("whisper-base")
    assert {"model.bin", "config.json"} <= {path.name for path in folder.iterdir()}
    (network,) = (f for f in weights.named("whisper-base").files if f.name == "model.bin")
    assert weights.digest("whisper-base") == network.sha256
    assert weights.digest(SMALL) == weights.named(SMALL).files[0].sha256


@pytest.mark.weights
def test_the_default_set_is_here_and_whole() -> None:
    states = {file.weights: state for file, state in weights.verify()}
    assert {
        states[entry.name] for entry in weights.listing().values() if entry.set == "default"
    } == {"ok"}
