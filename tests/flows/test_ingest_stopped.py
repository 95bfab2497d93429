"""Ingest that does not go straight through: other people, withdrawals, interrupts, crashes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.conftest import House

pytestmark = [pytest.mark.media, pytest.mark.weights]

SUBJECT = "subject-anna-kowalska"
VOICE = ("--purpose", "voice_cloning")
BOTH = (*VOICE, "--purpose", "digital_human")
SELF = ("--evidence", "agreed at the desk", "--self")


@pytest.mark.services
def test_two_people_in_one_recording_wait_and_no_features_are_kept(
    media: Path, house: House
) -> None:
    file = media / "videos" / "hamilton_multi_shot.mp4"
    said = house.run("ingest", str(file), "--subject", SUBJECT, *BOTH, *SELF)
    (upload,) = said.fields["uploads"]
    assert (said.code, upload["state"]) == (0, "needs_identification")
    assert "several_faces" in {reason["code"] for reason in upload["reasons"]}
    shown = house.run("upload", "show", "--upload", upload["upload"]).fields
    assert {row["kind"] for row in shown["objects"]} == {"original", "report"}
    assert all(row["expires_at"] for row in shown["objects"])


def test_a_withdrawal_while_it_runs_ends_the_run_and_leaves_nothing(
    media: Path, house: House
) -> None:
    with _running(house, media / "videos" / "talk_latentsync2.mp4") as child:
        for purpose in ("voice_cloning", "digital_human"):
            house.run("consent", "withdraw", "--subject", SUBJECT, "--purpose", purpose, "--yes")
        child.wait(timeout=120)
        assert child.returncode == 3
    assert not [path for path in (house.home / "objects").rglob("*") if path.is_file()]
    (upload,) = house.run("upload", "list").fields["uploads"]
    assert upload["state"] == "refused"


def test_an_interrupt_ends_cleanly_with_130(media: Path, house: House) -> None:
    file = media / "videos" / "talk_latentsync2.mp4"
    with _running(house, file) as child:
        child.send_signal(signal.SIGINT)
        child.wait(timeout=120)
        assert child.returncode == 130, _told(house)
    _assert_whole(house, file.read_bytes())


@contextmanager
def _running(house: House, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An ingest whose run has begun and is at work."""
    command = [str(Path(sys.executable).with_name("likeness")), "ingest", str(file), "--subject"]
    with (house.home.parent / "told").open("wb") as told:
        child = subprocess.Popen(
            [*command, SUBJECT, *BOTH, *SELF],
            env={**house.environment, "PYTHONFAULTHANDLER": "1"},
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
            # Whoever runs the tests in the background may have had it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
    try:
        end = time.monotonic() + 120
        while not _open_runs(house):
            assert time.monotonic() < end, "no run began"
            time.sleep(0.2)
        time.sleep(1.0)
        yield child
    finally:
        child.kill()
        child.wait()


def _told(house: House) -> str:
    """The end of what the command wrote to standard error, for a failure's message."""
    return (house.home.parent / "told").read_text(errors="replace")[-2000:]


def _open_runs(house: House) -> int:
    if not (house.home / "catalogue.db").is_file():
        return 0
    with sqlite3.connect(house.home / "catalogue.db", timeout=30) as connection:
        try:
            query = "SELECT count(*) FROM runs WHERE state = 'open' AND role = 'ingest'"
            return int(connection.execute(query).fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def test_after_kill_9_at_any_moment_reconcile_leaves_neither_stray_nor_plain_byte(
    media: Path, house: House
) -> None:
    file = media / "videos" / "talk_wda_aoc.mp4"
    command = [str(Path(sys.executable).with_name("likeness")), "ingest", str(file), "--subject"]
    command += [SUBJECT, *BOTH, *SELF]
    recording = file.read_bytes()
    for seconds in (1.5, 9.0, 14.0):
        child = subprocess.Popen(
            command,
            env=house.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        time.sleep(0.5)
        assert house.run("reconcile").code == 0
        _assert_whole(house, recording)
    assert house.run("reconcile").fields["total"] == 0


def _assert_whole(house: House, recording: bytes) -> None:
    with sqlite3.connect(house.home / "catalogue.db") as connection:
        stored = {
            key
            for (key,) in connection.execute("SELECT store_key FROM objects WHERE state='stored'")
        }
        open_intents = connection.execute(
            "SELECT count(*) FROM intents WHERE state IN ('open', 'written')"
        ).fetchone()
    assert open_intents == (0,)
    files = [path for path in (house.home / "objects").rglob("*") if path.is_file()]
    assert {path.name for path in files} == stored
    for path in house.home.rglob("*"):
        if path.is_file():
            assert recording[200_000:200_064] not in path.read_bytes()
            assert SUBJECT.encode() not in path.read_bytes()
    for folder in ("prefect", "scratch"):
        place = house.home / folder
        assert not place.exists() or not list(place.iterdir()), list(place.iterdir())
