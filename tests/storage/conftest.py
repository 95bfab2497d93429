"""A whole storage room in a temporary home, a clock that tests move, and ways to fill it."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from models.consent.facts import EvidenceLevel, Source, Uploader
from models.schema.kinds import Role
from models.schema.purposes import NEEDS_FACE, Purpose
from models.schema.retention import Retention
from models.schema.tasks import Task
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.artefacts import Artefact
from storage.catalogue.avatars import Avatar
from storage.catalogue.uploads import Upload, UploadState
from storage.clock import utc_now
from storage.registers.consents import Grant
from storage.registers.evidence import Evidence
from storage.registers.uploads import Conclusion, Declaration
from storage.trainings import PlannedTraining

VOICE = frozenset({Purpose.VOICE_CLONING})
BOTH = frozenset({Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN})
FILE_NAME = "Zhang-Wei-speaks.wav"
TRANSCRIPT = "a transcript only Zhang Wei would write"
AGREED = b"Zhang Wei agreed in writing to have this voice cloned"
RECORDING = b"plain bytes of a recording " * 4000
WEIGHTS = b"plain bytes of what was learned " * 400
SEGMENT = b"plain bytes of a feature " * 400


class MovableClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@dataclass(frozen=True)
class Admitted:
    """An admitted upload, and the features that its run committed, by kind."""

    upload: Upload
    features: dict[str, str]


@dataclass(frozen=True)
class Trained:
    """A registered artefact, and the objects of its model, by kind."""

    artefact: Artefact
    objects: dict[str, str]


class GrantFactory(Protocol):
    """Makes an act of agreeing, dated now by the test's clock."""

    def __call__(
        self,
        evidence: bytes = AGREED,
        *,
        level: EvidenceLevel = EvidenceLevel.DECLARED,
        uploader: Uploader = Uploader.SELF,
        authorisation: bytes | None = None,
        source: Source = Source.EXPLICIT,
        acted_at: datetime | None = None,
    ) -> Grant: ...


class DeclareFactory(Protocol):
    """Declares an upload."""

    def __call__(
        self,
        subject: str = "s-1",
        purposes: frozenset[Purpose] = BOTH,
        *,
        account: str | None = None,
        given: Grant | None = None,
        file_name: str | None = FILE_NAME,
        transcript: str | None = TRANSCRIPT,
    ) -> Upload: ...


class ReceivedFactory(Protocol):
    """Declares an upload and receives its file."""

    def __call__(
        self,
        subject: str = "s-1",
        purposes: frozenset[Purpose] = BOTH,
        *,
        content: Iterable[bytes] = (RECORDING,),
        account: str | None = None,
    ) -> Upload: ...


class AdmittedFactory(Protocol):
    """Takes an upload all the way: received, features put and committed, quarantine emptied."""

    def __call__(
        self,
        subject: str = "s-1",
        purposes: frozenset[Purpose] = BOTH,
        *,
        content: Iterable[bytes] = (RECORDING,),
    ) -> Admitted: ...


class PlanFactory(Protocol):
    """Plans the training of an avatar's voice or human, or (None) of a shared base."""

    def __call__(
        self,
        avatar: Avatar | None,
        *members: str,
        task: Task | None = None,
        purpose: Purpose | None = None,
        base_id: str | None = None,
    ) -> PlannedTraining: ...


class TrainedFactory(Protocol):
    """Takes a training all the way: begun, weights put, registered."""

    def __call__(
        self, avatar: Avatar | None, *members: str, purpose: Purpose | None = None
    ) -> Trained: ...


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def addresses_in() -> Callable[[Path], StorageAddresses]:
    """The one place where addresses are made: databases and objects of a home folder."""

    def made(folder: Path) -> StorageAddresses:
        return StorageAddresses(
            catalogue_url=f"sqlite:///{folder / 'catalogue.db'}",
            keys_url=f"sqlite:///{folder / 'keys.db'}",
            objects_url=str(folder / "objects"),
            keys_folder=folder / "keys",
            region="local",
            retention=Retention(),
        )

    return made


@pytest.fixture
def addresses(home: Path, addresses_in: Callable[[Path], StorageAddresses]) -> StorageAddresses:
    """The addresses of `home`."""
    return addresses_in(home)


@pytest.fixture
def clock() -> MovableClock:
    """The time as `storage` and `grant` see it."""
    return MovableClock()


@pytest.fixture(scope="session")
def new_home(
    tmp_path_factory: pytest.TempPathFactory, addresses_in: Callable[[Path], StorageAddresses]
) -> Path:
    """A home that was just set up; copied for each test, because migrating takes longer."""
    folder = tmp_path_factory.mktemp("new") / "home"
    Storage.open(addresses_in(folder))
    return folder


@pytest.fixture
def storage(
    request: pytest.FixtureRequest,
    home: Path,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Storage:
    """The opened room; `home` is set up from here on.

    Embedded, on SQLite and a folder, unless a test asks by parameter for `served`: the same on a
    real PostgreSQL and a real S3 server.
    """
    if getattr(request, "param", "embedded") == "embedded":
        shutil.copytree(request.getfixturevalue("new_home"), home)
        return Storage.open(request.getfixturevalue("addresses"), clock=clock)
    fresh, s3 = request.getfixturevalue("fresh_postgres"), request.getfixturevalue("s3")
    monkeypatch.setenv("LIKENESS_S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("LIKENESS_S3_SECRET_KEY", s3.secret_key)
    served = StorageAddresses(
        catalogue_url=fresh(),
        keys_url=fresh(),
        objects_url=f"s3://{s3.bucket('versioned')}?endpoint={s3.endpoint}&secure=false",
        keys_folder=home / "keys",
        region="local",
        retention=Retention(),
    )
    opened = Storage.open(served, clock=clock)
    # Their pools would keep connections of every test until the server takes no more.
    for database in (opened.catalogue, opened.keys.database):
        request.addfinalizer(database.engine.dispose)
    return opened


@pytest.fixture
def grant(clock: MovableClock) -> GrantFactory:
    """See GrantFactory."""

    def made(
        evidence: bytes = AGREED,
        *,
        level: EvidenceLevel = EvidenceLevel.DECLARED,
        uploader: Uploader = Uploader.SELF,
        authorisation: bytes | None = None,
        source: Source = Source.EXPLICIT,
        acted_at: datetime | None = None,
    ) -> Grant:
        return Grant(
            evidence=Evidence(evidence, level),
            uploader=uploader,
            authorisation=None
            if authorisation is None
            else Evidence(authorisation, EvidenceLevel.DOCUMENT),
            source=source,
            acted_at=acted_at or clock(),
        )

    return made


@pytest.fixture
def declaration(grant: GrantFactory) -> Declaration:
    """A complete declaration for one person's voice and likeness."""
    return Declaration("s-1", None, BOTH, grant(), FILE_NAME, TRANSCRIPT)


@pytest.fixture
def declare(storage: Storage, grant: GrantFactory) -> DeclareFactory:
    """See DeclareFactory."""

    def declared(
        subject: str = "s-1",
        purposes: frozenset[Purpose] = BOTH,
        *,
        account: str | None = None,
        given: Grant | None = None,
        file_name: str | None = FILE_NAME,
        transcript: str | None = TRANSCRIPT,
    ) -> Upload:
        return storage.uploads.declare(
            Declaration(subject, account, purposes, given or grant(), file_name, transcript)
        )

    return declared


@pytest.fixture
def received(storage: Storage, declare: DeclareFactory) -> ReceivedFactory:
    """See ReceivedFactory."""

    def made(
        subject: str = "s-1",
        purposes: frozenset[Purpose] = BOTH,
        *,
        content: Iterable[bytes] = (RECORDING,),
        account: str | None = None,
    ) -> Upload:
        return storage.uploads.receive(declare(subject, purposes, account=account), content)

    return made


@pytest.fixture
def admitted(storage: Storage, received: ReceivedFactory) -> AdmittedFactory:
    """See AdmittedFactory."""

    def made(
        subject: str = "s-1",
        purposes: frozenset[Purpose] = BOTH,
        *,
        content: Iterable[bytes] = (RECORDING,),
    ) -> Admitted:
        upload = received(subject, purposes, content=content)
        run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
        kinds = ["voice_segment", "report"]
        if upload.purposes & NEEDS_FACE:
            kinds.append("face_segment")
        features = {kind: storage.door.put(run, kind, [SEGMENT]) for kind in kinds}
        storage.door.commit(
            run,
            also=lambda writing: storage.uploads.conclude(
                writing, upload.id, Conclusion(UploadState.ADMITTED, [], {})
            ),
        )
        storage.uploads.release_quarantine(upload.id)
        return Admitted(storage.uploads.by_id(upload.id), features)

    return made


@pytest.fixture
def planned() -> PlanFactory:
    """See PlanFactory."""

    def made(
        avatar: Avatar | None,
        *members: str,
        task: Task | None = None,
        purpose: Purpose | None = None,
        base_id: str | None = None,
    ) -> PlannedTraining:
        usual = Purpose.MODEL_IMPROVEMENT if avatar is None else Purpose.VOICE_CLONING
        return PlannedTraining(
            task=task or (Task.BASE if avatar is None else Task.VOICE),
            purpose=purpose or usual,
            members=members,
            engine="example",
            engine_version="1.0",
            avatar_id=avatar.id if avatar else None,
            base_id=base_id,
        )

    return made


@pytest.fixture
def trained(storage: Storage, planned: PlanFactory) -> TrainedFactory:
    """See TrainedFactory."""

    def made(avatar: Avatar | None, *members: str, purpose: Purpose | None = None) -> Trained:
        run = storage.door.begin_training(planned(avatar, *members, purpose=purpose))
        kinds = ["base_weights", "base_card"] if avatar is None else ["model_weights", "model_card"]
        put = {kind: storage.door.put(run, kind, [WEIGHTS]) for kind in kinds}
        return Trained(storage.artefacts.finish_training(run, {"loss": 0.5}), put)

    return made


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Runs each work in a process of its own, all started together; returns what they return.

    Waits for each of them at most `seconds`.
    """

    def run(works: list[Callable[[], Any]], *, seconds: float = 60) -> list[Any]:
        context = multiprocessing.get_context("fork")
        start = context.Barrier(len(works))
        ends, processes = [], []
        for work in works:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_report, args=(work, start, theirs))
            process.start()
            theirs.close()
            ends.append(ours)
            processes.append(process)
        answers = [end.recv() if end.poll(seconds) else (False, "no answer") for end in ends]
        for process in processes:
            process.join(5)
        failed = [answer for done, answer in answers if not done]
        assert failed == []
        return [answer for _, answer in answers]

    return run


def _report(work: Callable[[], Any], start: Any, end: Any) -> None:
    try:
        start.wait(60)
        end.send((True, work()))
    except BaseException as error:
        end.send((False, f"{type(error).__name__}: {error}"))


@pytest.fixture
def plain_in_home(home: Path) -> Callable[..., list[str]]:
    """Which of some secrets lie in plain, or in hexadecimal, in any file of the home."""

    def found(*secrets: bytes) -> list[str]:
        return [
            f"{secret!r} in {file.relative_to(home)}"
            for file in sorted(home.rglob("*"))
            if file.is_file()
            for secret in secrets
            if secret in (content := file.read_bytes()) or secret.hex().encode() in content
        ]

    return found


@pytest.fixture
def home_files(storage: Storage, home: Path) -> Callable[[str], None]:
    """Damages one byte in the middle of the stored object that lies under a store key."""
    if not storage.catalogue.embedded:
        pytest.skip("reaches into the files of an embedded home")

    def damage(store_key: str) -> None:
        (file,) = (path for path in home.rglob(store_key) if path.is_file())
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0x01
        file.chmod(0o600)
        file.write_bytes(content)

    return damage


@pytest.fixture
def restored_catalogue(
    storage: Storage, addresses: StorageAddresses, clock: MovableClock
) -> Callable[[Callable[[], object]], Storage]:
    """Backs the catalogue up, lets something happen, restores the backup and opens the room."""

    def restored(happens: Callable[[], object]) -> Storage:
        file = storage.catalogue.file
        if file is None:
            pytest.skip("restores the file of an embedded catalogue")
        backup = file.with_suffix(".backup")
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        happens()
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        shutil.move(backup, file)
        return Storage.open(addresses, clock=clock)

    return restored
