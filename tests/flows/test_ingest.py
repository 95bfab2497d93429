"""The main job on real recordings, end to end, through the command line.

One house is filled once; the tests look at it from different sides.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors import safe_open

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


def test_the_person_gets_everything_back_and_can_read_it_without_our_software(
    filled: Filled, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = filled.house.run(
        *("export", "--subject", SUBJECT, "--authenticated-by", "card", "--out", str(out))
    )
    assert (said.code, said.fields["not_given"]) == (0, [])
    of_kind = {file["kind"]: out / file["file"] for file in said.fields["files"]}
    assert of_kind["original"].suffix == ".mp4"
    assert of_kind["original"].read_bytes() == filled.video.read_bytes()
    with safe_open(of_kind["voice_segment"], framework="numpy") as file:
        assert file.get_tensor("log_mel").shape[0] == 80
        assert "transcript" in json.loads(file.metadata()["record"])["utterance"]
    with safe_open(of_kind["face_segment"], framework="numpy") as file:
        assert file.get_tensor("aligned").shape[1:] == (256, 256, 3)
    assert "future for our country" in of_kind["report"].read_text("utf-8")
    assert FILE_NAME in (out / "index.html").read_text("utf-8")
    assert EVIDENCE in {file.read_text("utf-8") for file in (out / "documents").iterdir()}
    assert "Anna" not in " ".join(file["file"] for file in said.fields["files"])
