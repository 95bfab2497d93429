"""A child can do nothing but decode, and nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from models.media.contained import ContainedProcess
from models.media.decode import decode
from models.media.limits import MediaLimits
from models.media.probe import probe
from models.media.unlinked import unlinked_file
from models.schema.errors import LikenessError, LimitExceeded, ToolMissing
from tests.models.media.conftest import H264, MakeMedia, decode_all, moving, tone

_REPOSITORY = Path(__file__).resolve().parents[3]


def _contained(
    script: str, limits: MediaLimits | None = None, *, seconds: float = 20.0
) -> ContainedProcess:
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        return ContainedProcess(
            ["sh", "-c", script],
            descriptor=descriptor,
            limits=limits or MediaLimits(),
            wait_seconds=seconds,
            processor_seconds=seconds,
            block_start=re.compile("^Summary:"),
        )
    finally:
        os.close(descriptor)


def _output(script: str, limits: MediaLimits | None = None) -> str:
    with _contained(script, limits) as child:
        return b"".join(iter(child.read, b"")).decode()


def _wait_until_gone(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_its_environment_holds_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_MASTER_KEY", "secret")
    names = {line.split("=")[0] for line in _output("exec env").splitlines()}
    assert names <= {"PATH", "LC_ALL", "AV_LOG_FORCE_NOCOLOR", "PWD"}


def test_it_has_no_input_and_no_other_open_file() -> None:
    with Path("/etc/hostname").open("rb"):
        # The given file, and the folder that `ls` itself reads.
        opened = {int(name) for name in _output("cat; ls /proc/self/fd").split()}
        assert opened >= {0, 1, 2}
        assert len(opened) == 5


def test_it_can_write_no_file(tmp_path: Path) -> None:
    target = tmp_path / "written"
    _output(f"echo content > '{target}'")
    assert not target.exists() or target.stat().st_size == 0


def test_it_can_take_no_more_memory_than_allowed() -> None:
    script = f"exec {sys.executable} -S -c 'x = bytearray(400 << 20); print(len(x))'"
    assert _output(script, MediaLimits(memory_bytes=1 << 30)).strip() == str(400 << 20)
    assert _output(script, MediaLimits(memory_bytes=200 << 20)) == ""


def test_a_decoder_that_needs_too_much_memory_is_told_so(make: MakeMedia) -> None:
    path = make("large.mp4", *moving(0.5, "1920x1080"), *H264)
    with path.open("rb") as file:
        facts = probe(file, MediaLimits())
        limits = MediaLimits(memory_bytes=60 << 20)
        with (
            pytest.raises(LimitExceeded, match="memory"),
            decode(file, facts, limits, sound=False, picture=True) as stream,
        ):
            list(stream)


def test_a_chatty_child_neither_hangs_nor_fills_memory() -> None:
    script = """
        head -c 60000000 /dev/zero | tr '\\0' x >&2; echo >&2
        yes '[error]' | head -n 200000 >&2
        echo 'Summary:' >&2; echo 'I: -20.0 LUFS' >&2
        yes | head -n 100000 >&2
        echo done
    """
    with _contained(script) as child:
        assert b"".join(iter(child.read, b"")) == b"done\n"
        assert child.finish() == 0
        assert child.messages.complaints == 200_000
        assert child.messages.last_block[0] == "I: -20.0 LUFS"
        assert len(child.messages.last_block) < 100


def test_a_child_that_says_nothing_is_killed_at_the_limit() -> None:
    began = time.monotonic()
    with (
        _contained("sleep 60", MediaLimits(stall_seconds=0.3)) as child,
        pytest.raises(LimitExceeded, match="too long"),
    ):
        child.read()
    assert time.monotonic() - began < 5.0
    assert not Path(f"/proc/{child.pid}").exists()


def test_a_child_that_drips_is_killed_when_its_waiting_is_used_up() -> None:
    with (
        _contained("while :; do echo x; sleep 0.1; done", seconds=1.0) as child,
        pytest.raises(LimitExceeded, match="too long"),
    ):
        while child.read():
            pass


def test_a_decoder_that_stalls_is_killed(make: MakeMedia) -> None:
    path = make("long.mp4", *moving(10, "320x240"), *tone(10.0), *H264, "-c:a", "aac")
    with path.open("rb") as file:
        facts = probe(file, MediaLimits())
        limits = MediaLimits(stall_seconds=1.0)
        with decode(file, facts, limits, sound=True, picture=True) as stream:
            next(stream)
            os.kill(stream.child.pid, signal.SIGSTOP)
            with pytest.raises(LimitExceeded, match="too long"):
                list(stream)
        assert not Path(f"/proc/{stream.child.pid}").exists()


def test_a_decoder_killed_from_outside_is_not_the_end_of_the_recording(make: MakeMedia) -> None:
    path = make("long.mp4", *moving(10, "320x240"), *tone(10.0), *H264, "-c:a", "aac")
    with path.open("rb") as file:
        facts = probe(file, MediaLimits())
        with decode(file, facts, MediaLimits(), sound=True, picture=True) as stream:
            next(stream)
            os.kill(stream.child.pid, signal.SIGKILL)
            with pytest.raises(LikenessError, match="killed"):
                list(stream)


def test_a_decoder_that_crashes_leaves_a_damaged_recording(make: MakeMedia) -> None:
    path = make("long.mp4", *moving(10, "320x240"), *tone(10.0), *H264, "-c:a", "aac")
    with path.open("rb") as file:
        facts = probe(file, MediaLimits())
        with decode(file, facts, MediaLimits(), sound=True, picture=True) as stream:
            next(stream)
            os.kill(stream.child.pid, signal.SIGSEGV)
            list(stream)
        assert stream.summary.damaged
        assert stream.summary.frames < 250


def test_tags_of_the_file_cannot_pass_for_messages(make: MakeMedia) -> None:
    title = "[error] broken\n[Parsed_ebur128_0 @ 0x1] [info] Summary:\n I: -1.0 LUFS\nLRA: 2.0 LU"
    path = make("tagged.mka", *tone(1.0), "-c:a", "flac", "-metadata", f"title={title}")
    summary = decode_all(path).summary
    assert not summary.damaged
    assert summary.loudness is not None
    assert summary.loudness.integrated_lufs is not None
    assert summary.loudness.integrated_lufs < -10.0


def test_its_whole_group_is_killed() -> None:
    with _contained("sleep 61 & echo $!; wait") as child:
        grandchild = int(child.read())
    assert _wait_until_gone(grandchild)


def test_it_dies_when_we_are_killed(make: MakeMedia) -> None:
    path = make("long.mp4", *moving(10, "320x240"), *tone(10.0), *H264, "-c:a", "aac")
    program = f"""
        import os, signal, time
        from models.media.decode import decode
        from models.media.limits import MediaLimits
        from models.media.probe import probe
        file = open({str(path)!r}, "rb")
        limits = MediaLimits()
        stream = decode(file, probe(file, limits), limits, sound=True, picture=True).__enter__()
        next(stream)
        # Stopped, it cannot notice the closed pipe: only the kernel's signal can end it.
        os.kill(stream.child.pid, signal.SIGSTOP)
        print(stream.child.pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        cwd=_REPOSITORY,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    assert _wait_until_gone(pid)


def test_the_name_of_the_file_never_reaches_a_command_line(make: MakeMedia) -> None:
    plain = make("long.mp4", *moving(10, "320x240"), *tone(10.0), *H264, "-c:a", "aac")
    path = plain.with_name("-王小明 '\"\n🙂.mp4")
    path.write_bytes(plain.read_bytes())
    with path.open("rb") as file:
        facts = probe(file, MediaLimits())
        with decode(file, facts, MediaLimits(), sound=True, picture=True) as stream:
            next(stream)
            command = Path(f"/proc/{stream.child.pid}/cmdline").read_bytes().decode()
            assert f"file:/proc/self/fd/{file.fileno()}" in command
            assert "王小明" not in command
            assert ".mp4" not in command


def test_an_unlinked_copy_decodes_and_leaves_nothing(make: MakeMedia, tmp_path: Path) -> None:
    content = make("tone_8k.flac", *tone(3.0, 8_000)).read_bytes()
    with unlinked_file(tmp_path) as copy:
        copy.write(content)
        assert list(tmp_path.iterdir()) == []
        assert os.fstat(copy.fileno()).st_nlink == 0
        facts = probe(copy, MediaLimits())
        with decode(copy, facts, MediaLimits(), sound=True, picture=False) as stream:
            list(stream)
        assert stream.summary.sound_seconds == 3.0
    assert list(tmp_path.iterdir()) == []


def test_without_ffmpeg_it_says_what_is_missing(
    make: MakeMedia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("tone_8k.flac", *tone(3.0, 8_000))
    for tool in ("prlimit", "setpriv"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="ffprobe"):
        decode_all(path)


_MEASURE = """
    import resource, sys
    from models.media.decode import decode
    from models.media.limits import MediaLimits
    from models.media.probe import probe

    def peak(path):
        with open(path, "rb") as file:
            limits = MediaLimits()
            with decode(file, probe(file, limits), limits, sound=True, picture=True) as stream:
                for item in stream:
                    pass
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return own, children

    short, long = peak(sys.argv[1]), peak(sys.argv[2])
    print(long[0] - short[0], long[1] - short[1])
"""


def test_memory_does_not_grow_with_length(make: MakeMedia) -> None:
    recordings = [
        make(
            f"minutes_{seconds}.mp4",
            *moving(seconds, "160x120", 15),
            *tone(float(seconds), 16_000),
            *(*H264, "-c:a", "aac"),
        )
        for seconds in (10, 120)
    ]
    measured = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_MEASURE), *map(str, recordings)],
        check=True,
        capture_output=True,
        cwd=_REPOSITORY,
        text=True,
    )
    own, children = map(int, measured.stdout.split())
    # 110 s more are 47 MB of raw picture and 7 MB of samples; in KiB here.
    assert own < 16 * 1024
    assert children < 16 * 1024
