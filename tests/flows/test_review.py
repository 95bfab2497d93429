"""Whose voice, whose face: what a reviewer is told, sees, hears and decides, on real recordings."""

from __future__ import annotations

import subprocess
import wave
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from flows.report.serving import report_bytes
from flows.review.looking import look, write_portraits
from flows.review.page import render
from flows.settings import Settings
from models.consent.facts import EvidenceLevel, Source, Uploader
from models.media.limits import MediaLimits
from models.media.probe import probe
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.access_log import accesses_to
from storage.assembly import Storage
from storage.catalogue.uploads import UploadState
from storage.clock import utc_now
from storage.registers.consents import Grant
from storage.registers.evidence import Evidence
from storage.registers.uploads import Conclusion, Declaration
from tests.flows.conftest import House

VOICE = ("--purpose", "voice_cloning")
SELF = ("--evidence", "agreed at the desk", "--self")
DECIDED = ("--by", "Maria Li of data protection", "--reason", "compared with the passport", "--yes")
QUICK = {"LIKENESS_VOICE__TRANSCRIBE": "false"}


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "options", "code"),
    [
        ("approve", DECIDED, "not_found"),
        ("approve", DECIDED[:-1], "bad_usage"),
        ("reject", ("--by", " ", *DECIDED[2:]), "bad_usage"),
    ],
    ids=["unknown upload", "nobody to ask", "nobody decides"],
)
def test_a_decision_that_can_not_be_taken_exits_2_with_a_remedy(
    house: House, verb: str, options: tuple[str, ...], code: str
) -> None:
    said = house.run("review", verb, "--upload", "0" * 32, *options)
    assert said.code == 2
    assert said.fields["error"]["code"] == code
    assert said.fields["error"]["remedy"]


# --- voices, through the command line -----------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """A house with one admitted voice; another voice, and a talk of two, that wait."""

    house: House
    stranger: str
    talk: str


@pytest.fixture(scope="module")
def waiting(
    media: Path, house_in: Callable[..., House], tmp_path_factory: pytest.TempPathFactory
) -> Waiting:
    folder = tmp_path_factory.mktemp("waiting")
    voices = media / "voices"
    own = [voices / "ls1688" / f"1688-142285-{number}.flac" for number in ("0007", "0003")]
    stranger = voices / "ls2609" / "2609-156975-0007.flac"
    talk = folder / "talk.wav"
    _joined([own[0], stranger, own[1]], [9, 6, 9], talk)
    house = house_in(folder / "home", **QUICK)
    files = (str(own[0]), str(stranger), str(talk))
    said = house.run("ingest", *files, "--subject", "s-1", *VOICE, *SELF)
    assert said.code == 0, said.err
    admitted, second, third = said.fields["uploads"]
    assert admitted["state"] == "admitted"
    return Waiting(house, second["upload"], third["upload"])


def _joined(files: list[Path], seconds: list[int], out: Path) -> None:
    """The beginnings of some recordings, with 1.5 s of silence behind each."""
    inputs = [part for file in files for part in ("-i", str(file))]
    cut = "".join(
        f"[{at}]atrim=0:{most},apad=pad_dur=1.5[p{at}];" for at, most in enumerate(seconds)
    )
    parts = "".join(f"[p{at}]" for at in range(len(files)))
    graph = f"{cut}{parts}concat=n={len(files)}:v=0:a=1"
    subprocess.run(
        ["ffmpeg", "-v", "error", *inputs, "-filter_complex", graph, str(out)], check=True
    )


@pytest.mark.services
@pytest.mark.media
@pytest.mark.weights
def test_what_waits_is_decided_by_a_reviewer(waiting: Waiting, tmp_path: Path) -> None:
    house = waiting.house
    storage = Storage.open(Settings(home=house.home).storage)
    items = {item["upload"]: item for item in house.run("review", "list").fields["items"]}
    assert list(items) == [waiting.stranger, waiting.talk]
    (mismatch,) = items[waiting.stranger]["reasons"]
    assert mismatch["code"] == "voice_mismatch"
    assert mismatch["measured"] < mismatch["limit"]
    assert [reason["code"] for reason in items[waiting.talk]["reasons"]] == ["several_speakers"]
    assert items[waiting.talk]["voices"] == 2

    # By default nothing is opened, and nothing played or written.
    assert house.run("review", "show", "--upload", waiting.talk).code == 0
    assert _looks(storage) == []
    clips = tmp_path / "clips"
    shown = house.run("review", "show", "--upload", waiting.talk, "--voices", str(clips))
    assert len(shown.fields["written"]) == 3
    assert sorted(file.name for file in clips.iterdir()) == [
        "earlier-upload.wav",
        "voice-1.wav",
        "voice-2.wav",
    ]
    for file in clips.iterdir():
        assert file.stat().st_mode & 0o077 == 0
        with wave.open(str(file)) as clip:
            assert 3 < clip.getnframes() / clip.getframerate() < 10
    assert _looks(storage) == [("identify", "original")] * 2

    # Approved: only what the main voice says becomes features, and the report says who decided.
    said = house.run("review", "approve", "--upload", waiting.talk, *DECIDED)
    assert (said.code, said.fields["state"]) == (0, "admitted"), said.err
    assert ("several_speakers", "settled") in {
        (verdict["code"], verdict["level"]) for verdict in said.fields["verdicts"]
    }
    kinds = Counter(row.kind for row in storage.uploads.objects_of(waiting.talk))
    assert kinds == {
        "measurements": 1,
        "original": 1,
        "report": 1,
        "voice_profile": 1,
        "voice_segment": 2,
    }
    assert said.fields["voice"]["utterances"] == 2
    (original,) = storage.uploads.objects_of(waiting.talk, kind="original")
    assert original.expires_at is not None
    assert original.expires_at - original.created_at > timedelta(days=29)
    page = report_bytes(storage, waiting.talk).decode()
    assert "A reviewer decided, on record" in page
    assert "Maria" not in page

    # Rejected: nothing is left.
    said = house.run("review", "reject", "--upload", waiting.stranger, *DECIDED)
    assert (said.code, said.fields["state"]) == (0, "rejected")
    assert storage.uploads.objects_of(waiting.stranger) == []
    assert storage.reviews.waiting() == []
    assert house.run("review", "approve", "--upload", waiting.talk, *DECIDED).code == 2
    assert list(storage.verification.findings()) == []
    assert storage.reconciler.run().strays_removed == 0
    for file in house.home.rglob("*"):
        assert not file.is_file() or b"Maria" not in file.read_bytes()


def _looks(storage: Storage) -> list[tuple[str, str]]:
    with storage.catalogue.reading() as connection:
        rows = accesses_to(connection, storage.subjects.known("s-1").id)
    return [(row.operation, row.kind) for row in rows if row.role == "review"]


# --- faces --------------------------------------------------------------------------------------


@pytest.fixture
def two_people(media: Path, tmp_path: Path) -> tuple[Storage, Settings, str]:
    """A house in which a recording of several people waits."""
    settings = Settings(home=tmp_path / "home")
    storage = Storage.open(settings.storage)
    recording = tmp_path / "two.mp4"
    source = media / "videos" / "hamilton_multi_shot.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(source), "-r", "12", "-an", str(recording)],
        check=True,
    )
    purposes = frozenset({Purpose.DIGITAL_HUMAN})
    grant = Grant(
        evidence=Evidence(b"agreed", EvidenceLevel.DECLARED),
        uploader=Uploader.SELF,
        authorisation=None,
        source=Source.UPLOAD,
        acted_at=utc_now(),
    )
    upload = storage.uploads.declare(Declaration("s-1", None, purposes, grant))
    upload = storage.uploads.receive(upload, [recording.read_bytes()])
    with recording.open("rb") as file:
        facts = probe(file, MediaLimits())
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=purposes)
    storage.door.put(run, "original", [recording.read_bytes()])
    doubt = {"code": "several_faces", "level": "identify", "english": "<Two>.", "chinese": "两人。"}
    conclusion = Conclusion(
        UploadState.NEEDS_IDENTIFICATION,
        [doubt],
        {"media": facts.model_dump(mode="json"), "verdicts": [doubt]},
    )
    storage.door.commit(
        run, also=lambda writing: storage.uploads.conclude(writing, upload.id, conclusion)
    )
    storage.uploads.release_quarantine(upload.id)
    return storage, settings, upload.id


@pytest.mark.media
@pytest.mark.weights
def test_portraits_of_everybody_are_made_when_asked_for_and_kept_nowhere(
    two_people: tuple[Storage, Settings, str], tmp_path: Path
) -> None:
    from flows.review.deciding import item

    storage, settings, upload = two_people
    seen = look(storage, upload, settings, portraits=True, voices=False)
    assert sum(bool(person.pictures) for person in seen.people) >= 2
    assert seen.voices == ()
    files = write_portraits(seen, tmp_path / "faces")
    assert all(file.read_bytes().startswith(b"\xff\xd8") for file in files)
    page = render(seen, item(storage.uploads.by_id(upload)), "en")
    assert page.count("<img") == sum(len(person.pictures) for person in seen.people)
    assert "&lt;Two&gt;." in page
    assert "<script" not in page
    assert "autoplay" not in page
    assert [row.kind for row in storage.uploads.objects_of(upload)] == ["original"]
    assert not list(settings.scratch.iterdir())
