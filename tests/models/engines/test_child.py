"""A foreign engine can say and do what it likes: the run ends, well or not, and nothing stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from models.engines.child import ForeignEngine
from models.engines.contract import Progress, Trained, Training
from models.engines.running import train
from models.engines.scratch import Scratch, left, remove
from models.engines.settings import EngineSettings
from models.schema.errors import EngineFailed, FenceLost, LikenessError
from tests.models.engines.conftest import WEIGHTS, Program

REPOSITORY = Path(__file__).resolve().parents[3]


class _Runs:
    def __init__(self, scratch: Scratch, request: Training, settings: EngineSettings) -> None:
        self._scratch = scratch
        self._request = request
        self._settings = settings
        self.told: list[Progress] = []
        self.stop = False

    def __call__(self, engine: object, **changed: object) -> Trained:
        return train(
            engine,  # type: ignore[arg-type]
            self._request.model_copy(update=changed),
            self._scratch,
            self._settings,
            told=self.told.append,
            should_stop=lambda: self.stop,
        )

    def stop_after(self, seconds: float) -> None:
        def stop() -> None:
            self.stop = True

        threading.Timer(seconds, stop).start()


@pytest.fixture
def runs(scratch: Scratch, request_of: Training, settings: EngineSettings) -> _Runs:
    return _Runs(scratch, request_of, settings)


def _alive_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_what_it_says_is_heard(runs: _Runs, program: Program) -> None:
    trained = runs(program('step(1); step(2); weights(); trained(card=["line"])'))
    assert [progress.step for progress in runs.told] == [1, 2]
    assert trained.files == (WEIGHTS,)
    assert trained.card == ("line",)


def test_a_step_waits_until_the_one_before_was_told(
    scratch: Scratch, request_of: Training, settings: EngineSettings, program: Program
) -> None:
    script = """
        began = time.monotonic()
        step()
        open("waited", "w").write(str(time.monotonic() - began))
        weights(); trained()
    """
    train(
        program(script),
        request_of,
        scratch,
        settings,
        told=lambda _: time.sleep(0.5),
        should_stop=lambda: False,
    )
    assert float((scratch.folder / "waited").read_text()) >= 0.5


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("sys.exit(3)", "without an answer"),
        ("os.kill(os.getpid(), 11)", "without an answer"),
        ("os.close(1); time.sleep(60)", "without an answer"),
        ("os.close(0); sys.exit()", "without an answer"),
        ('os.write(1, b"Loading model...\\n"); time.sleep(60)', "contract does not know"),
        ('os.write(1, b"\\xff\\xfe\\n"); time.sleep(60)', "contract does not know"),
        ('os.write(1, b"[" * 100_000 + b"\\n"); time.sleep(60)', "contract does not know"),
        ("say(); time.sleep(60)", "contract does not know"),
        ("say(progress={'step': 1, 'fraction': 2}); time.sleep(60)", "contract does not know"),
        ("trained(metrics={'loss': float('nan')})", "contract does not know"),
        ("trained(more=1)", "contract does not know"),
        ("say(complaint='I saw a secret')", "contract does not know"),
        (
            "say(generated={'file': {'name': 'x', 'role': 'output', 'media_type': 'audio/wav'},"
            " 'seconds': 1, 'sample_rate_hz': 1})",
            "another question",
        ),
        ("while True: os.write(1, b'x' * 65536)", "more in one line"),
        ("time.sleep(60)", "too long"),
        ("while True: os.write(1, b'x'); time.sleep(0.05)", "too long"),
        ("while True: step()", "too long"),
        ("trained()", "is not there"),
    ],
)
def test_what_it_may_not_say_or_do_ends_it(
    runs: _Runs, program: Program, scratch: Scratch, script: str, said: str
) -> None:
    began = time.monotonic()
    with pytest.raises(EngineFailed, match=said) as failed:
        runs(program(script), seconds_most=1.0)
    assert time.monotonic() - began < 12.0
    assert "secret" not in str(failed.value)
    assert _alive_in(scratch.path) == []


def test_one_that_falls_silent_is_ended_long_before_its_time_is_over(
    runs: _Runs, program: Program
) -> None:
    engine = program("step(); time.sleep(60)", silence_seconds=0.5)
    began = time.monotonic()
    with pytest.raises(EngineFailed, match="too long"):
        runs(engine, seconds_most=600.0)
    assert time.monotonic() - began < 5.0
    assert len(runs.told) == 1


def test_one_that_does_not_say_who_it_is_in_time_is_ended(
    tmp_path: Path, settings: EngineSettings
) -> None:
    program = tmp_path / "drips.py"
    program.write_text("import os, time\nwhile True: os.write(1, b' '); time.sleep(0.05)")
    used = settings.model_copy(update={"declare_seconds": 0.5, "silence_seconds": 600.0})
    began = time.monotonic()
    with pytest.raises(EngineFailed, match="too long"):
        _ = ForeignEngine("bad", (sys.executable, "-S", str(program)), used).declaration
    assert time.monotonic() - began < 5.0


def test_its_complaint_is_the_error(runs: _Runs, program: Program) -> None:
    with pytest.raises(LikenessError, match="too little speech") as refused:
        runs(program("say(complaint='too_little_speech')"))
    assert refused.value.reason == "too_little_speech"
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "script",
    [
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nstep(); time.sleep(60)",
        "while True: step()",
        "while True: os.write(1, b' ' * 100); time.sleep(0.01)",
    ],
    ids=["silent", "talking", "rambling"],
)
def test_a_stopped_run_is_killed_within_a_second(
    runs: _Runs, program: Program, scratch: Scratch, script: str
) -> None:
    engine = program(script)
    assert engine.declaration.name == "bad"
    runs.stop_after(0.5)
    began = time.monotonic()
    with pytest.raises(FenceLost):
        runs(engine)
    assert time.monotonic() - began < 1.5
    assert _alive_in(scratch.path) == []


def test_nothing_that_it_started_outlives_it(
    runs: _Runs, program: Program, scratch: Scratch
) -> None:
    script = """
        subprocess.Popen(["sh", "-c", "sleep 300 & setsid sleep 300"], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        open("voice-writer", "w").write("")
        weights(); trained()
    """
    runs(program(script))
    assert _alive_in(scratch.path) == []


def test_it_gets_nothing_of_ours(
    runs: _Runs, program: Program, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_MASTER_KEY", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    script = """
        open("seen", "w").write(json.dumps([sorted(os.environ), sorted(os.listdir("/proc/self/fd")),
            os.getcwd(), os.environ["HOME"], os.environ["TMPDIR"]]))
        weights(); trained()
    """
    with Path("/etc/hostname").open("rb"):
        runs(program(script))
    names, descriptors, folder, home, temporary = json.loads((scratch.folder / "seen").read_text())
    ours = {"PATH", "LC_ALL", "HOME", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "CUDA_VISIBLE_DEVICES"}
    assert set(names) <= ours | {"LC_CTYPE"}
    # Three streams, the file that it writes, and the folder that it lists.
    assert {int(number) for number in descriptors} == {0, 1, 2, 3, 4}
    assert folder == str(scratch.folder)
    assert home == temporary == str(scratch.home)


def test_a_long_request_reaches_one_that_reads_late(
    runs: _Runs, program: Program, request_of: Training
) -> None:
    text = "word " * 100_000
    samples = (request_of.samples[0].model_copy(update={"transcript": text}),)
    script = f"""
        assert len(asked["train"]["samples"][0]["transcript"]) == {len(text)}
        weights(); trained()
    """
    assert runs(program("time.sleep(0.5)\n" + script.replace("        ", "")), samples=samples)


def test_a_chatty_one_neither_hangs_nor_fills_memory(runs: _Runs, program: Program) -> None:
    script = "for _ in range(300): os.write(2, b'x' * 100_000)\nweights(); trained()"
    assert runs(program(script))


def test_what_its_libraries_print_does_not_get_among_its_answers(
    runs: _Runs, settings: EngineSettings, tmp_path: Path
) -> None:
    program = tmp_path / "printing.py"
    program.write_text(
        f"import os, sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from examples.engine import Hum\n"
        "from models.engines.serving import serve\n"
        "class Printing(Hum):\n"
        "    def train(self, request, work):\n"
        "        print('Loading', flush=True); os.system('echo shell'); os.write(1, b'raw')\n"
        "        return super().train(request, work)\n"
        "serve(Printing())\n"
    )
    engine = ForeignEngine("hum", (sys.executable, str(program)), settings)
    assert runs(engine).steps == 4


def test_one_file_can_be_no_larger_than_allowed(runs: _Runs, program: Program) -> None:
    script = "open('voice', 'wb').truncate(2 << 20)\nweights(); trained()"
    with pytest.raises(EngineFailed, match="without an answer"):
        runs(program(script, file_bytes=1 << 20))


def test_all_it_writes_can_be_no_larger_than_allowed(
    scratch: Scratch, request_of: Training, settings: EngineSettings, program: Program
) -> None:
    used = settings.model_copy(update={"scratch_bytes": 8 << 20})
    script = """
        for number in range(1000):
            open(f"part-{number}", "wb").write(b"x" * 1_000_000); time.sleep(0.02)
        time.sleep(60)
    """
    with pytest.raises(EngineFailed, match="wrote more than"):
        train(
            program(script),
            request_of,
            scratch,
            used,
            told=lambda _: None,
            should_stop=lambda: False,
        )
    written = sum(file.stat().st_size for file in scratch.folder.glob("part-*"))
    assert written < 200_000_000


def test_a_program_that_is_not_there_says_so(runs: _Runs, settings: EngineSettings) -> None:
    with pytest.raises(EngineFailed, match="not there"):
        runs(ForeignEngine("gone", ("/nowhere/engine",), settings))


def test_it_is_asked_who_it_is_once(program: Program, tmp_path: Path) -> None:
    engine = program("")
    first = engine.declaration
    (tmp_path / "program.py").unlink()
    assert engine.declaration == first


def test_it_dies_when_we_are_killed(tmp_path: Path, program: Program) -> None:
    program("step(); time.sleep(300)")
    script = f"""
import sys
from secrets import token_hex
from models.engines.child import ForeignEngine
from models.engines.synthetic import vowels
from models.engines.contract import Training
from models.engines.running import train
from models.engines.scratch import open_scratch
from models.engines.settings import EngineSettings
settings = EngineSettings()
engine = ForeignEngine("bad", (sys.executable, {str(tmp_path / "program.py")!r}), settings)
with open_scratch("{"ab" * 16}", settings) as scratch:
    request = Training(samples=tuple(vowels(scratch.folder)), seconds_most=60)
    train(engine, request, scratch, settings,
        told=lambda _: print(scratch.path, flush=True), should_stop=lambda: False)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as ours:
        assert ours.stdout is not None
        folder = Path(ours.stdout.readline().strip())
        assert _alive_in(folder)
        ours.send_signal(signal.SIGKILL)
        ours.wait()
    for _ in range(100):
        if not _alive_in(folder):
            break
        time.sleep(0.05)
    assert _alive_in(folder) == []
    assert folder.exists()
    settings = EngineSettings()
    assert left(["ab" * 16], settings) == ["ab" * 16]
    assert remove(["ab" * 16], settings) == 1
    assert left(["ab" * 16], settings) == []
