"""The main job on real recordings, end to end, through the command line.

One house is filled once; the tests look at it from different sides and change nothing in it, but
for the last ones, which use houses of their own.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flows.conftest import House, Said

pytestmark = [pytest.mark.media, pytest.mark.weights]

SUBJECT = "subject-anna-kowalska"
EVIDENCE = "Anna signed the form at the desk on the third floor"
FILE_NAME = "Anna Kowalska holiday.mp4"
BOTH = ("--purpose", "voice_cloning", "--purpose", "digital_human")
SELF = ("--evidence", EVIDENCE, "--self")


@dataclass(frozen=True)
class Filled:
    """A house with one video and one voice recording of two people."""

    house: House
    video: Path
    voice: Path
    said: Said
    heard: Said


@pytest.fixture(scope="module")
def filled(
    media: Path, house_in: Callable[..., House], tmp_path_factory: pytest.TempPathFactory
) -> Filled:
    folder = tmp_path_factory.mktemp("filled")
    video = folder / FILE_NAME
    shutil.copyfile(media / "videos" / "talk_wda_aoc.mp4", video)
    voice = folder / "Anna.flac"
    shutil.copyfile(media / "voices" / "ls2609" / "2609-156975-0007.flac", voice)
    house = house_in(folder / "home")
    said = house.run("ingest", str(video), "--subject", SUBJECT, *BOTH, *SELF)
    heard = house.run("ingest", str(voice), "--subject", "other", *BOTH[:2], *SELF)
    return Filled(house, video, voice, said, heard)


def test_a_talking_video_becomes_voice_and_face_features_and_a_report(filled: Filled) -> None:
    assert filled.said.code == 0, filled.said.err
    assert "leaked" not in filled.said.err
    (upload,) = filled.said.fields["uploads"]
    assert upload["state"] == "admitted"
    assert upload["voice"]["speech_seconds"] > 5
    assert upload["voice"]["speakers"] == 1
    assert upload["face"]["faces"] == 1
    assert upload["face"]["frames_with_face"] > 190
    assert {v["code"] for v in upload["verdicts"]} >= {"speech_too_short"}
    shown = filled.house.run("upload", "show", "--upload", upload["upload"]).fields
    kinds = {row["kind"] for row in shown["objects"]}
    assert kinds == {
        "original",
        "voice_segment",
        "voice_profile",
        "face_segment",
        "face_profile",
        "measurements",
        "report",
    }
    assert all(row["bytes"] <= 16 * 1024**2 for row in shown["objects"])


def test_a_voice_purpose_alone_computes_nothing_of_the_face(filled: Filled) -> None:
    (upload,) = filled.heard.fields["uploads"]
    assert upload["state"] == "admitted"
    assert upload["face"] is None
    shown = filled.house.run("upload", "show", "--upload", upload["upload"]).fields
    assert not {row["kind"] for row in shown["objects"]} & {"face_segment", "face_profile"}


def test_the_report_is_one_page_with_the_words_that_were_said(
    filled: Filled, tmp_path: Path
) -> None:
    (upload,) = filled.said.fields["uploads"]
    out = tmp_path / "report.html"
    said = filled.house.run("upload", "report", "--upload", upload["upload"], "--out", str(out))
    assert said.code == 0
    page = out.read_text()
    assert "future for our country" in page
    assert "Anna" not in page
    assert "<script src" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_nothing_on_disk_tells_who_it_is_or_holds_plain_media_or_features(filled: Filled) -> None:
    recording = filled.video.read_bytes()
    sound = filled.voice.read_bytes()
    plain = {
        "the subject's id": SUBJECT.encode(),
        "the file's name": b"Anna",
        "the evidence": b"third floor",
        "the transcript": b"our country",
        "a piece of the video": recording[200_000:200_064],
        "a piece of the sound": sound[90_000:90_064],
        "a tensor file": b"log_mel",
        "a page": b"<html",
    }
    looked_at = 0
    for file in filled.house.home.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            looked_at += 1
            for what, bytes_ in plain.items():
                assert bytes_ not in content, f"{what} lies in {file.name}"
    assert looked_at > 10


def test_a_finished_command_leaves_no_prefect_home_and_no_scratch(filled: Filled) -> None:
    for folder in ("prefect", "scratch"):
        place = filled.house.home / folder
        assert not place.exists() or not list(place.iterdir())


def test_every_reading_of_the_recording_is_on_record(filled: Filled) -> None:
    shown = filled.house.run("subject", "show", "--subject", SUBJECT).fields
    reads = {(row["role"], row["kind"]) for row in shown["accesses"]}
    assert ("ingest", "quarantined_upload") in reads
    assert {fact["event"] for fact in shown["consents"]} == {"grant"}
    assert len(shown["consents"]) == 2


def test_quarantine_is_empty_and_the_original_decrypts_to_the_uploaded_bytes(
    filled: Filled, tmp_path: Path
) -> None:
    (upload,) = filled.said.fields["uploads"]
    code = (
        "import sys\n"
        "from flows.opening import storage\n"
        "from storage.handles import Use, Operation\n"
        "from models.schema.kinds import Role\n"
        "house = storage()\n"
        f"rows = house.uploads.objects_of('{upload['upload']}')\n"
        "assert 'quarantined_upload' not in {row.kind for row in rows}\n"
        "(row,) = [row for row in rows if row.kind == 'original']\n"
        "use = Use(Role.TRAINING, Operation.PROCESS, frozenset(row.basis), 't')\n"
        "with house.door.open(row.id, use) as reader:\n"
        "    for piece in reader: sys.stdout.buffer.write(piece)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        env=filled.house.environment,
    )
    assert done.stdout == filled.video.read_bytes()


def test_the_same_file_again_is_a_duplicate_for_the_same_person_only(filled: Filled) -> None:
    again = filled.house.run("ingest", str(filled.voice), "--subject", "other", *BOTH[:2], *SELF)
    (upload,) = again.fields["uploads"]
    assert (again.code, upload["state"]) == (0, "duplicate")
    assert upload["duplicate_of"] == filled.heard.fields["uploads"][0]["upload"]


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


def test_another_voice_than_in_the_persons_earlier_upload_waits(media: Path, house: House) -> None:
    voices = media / "voices"
    one = voices / "ls1688" / "1688-142285-0007.flac"
    other = voices / "ls2609" / "2609-156975-0007.flac"
    said = house.run("ingest", str(one), str(other), "--subject", SUBJECT, *BOTH[:2], *SELF)
    first, second = said.fields["uploads"]
    assert (first["state"], second["state"]) == ("admitted", "needs_identification")
    assert [reason["code"] for reason in second["reasons"]] == ["voice_mismatch"]


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
        assert child.returncode == 130
    _assert_whole(house, file.read_bytes())


@contextmanager
def _running(house: House, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An ingest whose run has begun and is at work."""
    command = [str(Path(sys.executable).with_name("likeness")), "ingest", str(file), "--subject"]
    child = subprocess.Popen(
        [*command, SUBJECT, *BOTH, *SELF],
        env=house.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
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
