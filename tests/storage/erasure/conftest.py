"""A house in which several people's things hang together, and what an order must leave behind.

It is built once and copied for each test:

    account firm   s-1   a  b          both purposes
                         c             digital_human alone
                         m             voice_cloning and model_improvement
                         waiting       in quarantine; an ingest has put a segment of it
                         one           an avatar, its voice trained on a; a generation
                         two           an avatar, its voice trained on a and b
                   s-2   x             both purposes
    no account     s-3   n             voice_cloning and model_improvement
                         three         an avatar, its voice trained on n
    nobody         base                a shared base, trained on m and n
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select

from models.consent.facts import EvidenceLevel, Source, Uploader
from models.schema.errors import KeyDestroyed
from models.schema.kinds import Role
from models.schema.purposes import NEEDS_FACE, Purpose
from models.schema.tasks import Task
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.artefacts import ARTEFACTS, GENERATIONS
from storage.catalogue.avatars import AVATARS
from storage.catalogue.decisions import LEDGER_PAYLOADS
from storage.catalogue.erasures import erasure_of
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import (
    INTENTS,
    OBJECTS,
    IntentState,
    ObjectState,
    StoredRow,
    object_by_id,
)
from storage.catalogue.orders import Order, OrderState
from storage.catalogue.people import ACCOUNTS, SUBJECTS
from storage.catalogue.uploads import UPLOADS, UploadState
from storage.clock import Clock
from storage.door import Door
from storage.erasure.carrying_out import CarryingOut
from storage.erasure.orders import Request
from storage.erasure.verification import Verification
from storage.foundation import Foundation
from storage.gate import Gate
from storage.handles import Operation, Use
from storage.key_store import OBJECT_KEYS, SCOPE_KEYS
from storage.objects.interface import ObjectStore
from storage.recorded_erasures import RECEIPTS, RecordedErasures
from storage.registers.consents import Grant
from storage.registers.evidence import Evidence
from storage.registers.uploads import Conclusion, Declaration
from storage.sealing import unseal
from storage.trainings import PlannedTraining
from tests.storage.conftest import AGREED, BOTH, FILE_NAME, TRANSCRIPT, MovableClock

FACE: Final = frozenset({Purpose.DIGITAL_HUMAN})
IMPROVE: Final = frozenset({Purpose.VOICE_CLONING, Purpose.MODEL_IMPROVEMENT})
AVATAR_NAME: Final = "the name that Zhang Wei gave it"
ASKED_FOR: Final = "words that only Zhang Wei would ask for"
RECORDED: Final = b"plain bytes of a recording of Zhang Wei "
OF_FIRST: Final = frozenset(["a", "b", "c", "m", "waiting", "one", "two"])
"""What there is of s-1."""


@dataclass(frozen=True)
class Case:
    """An order about the house, and what goes with it."""

    request: Callable[[Populated], Request]
    gone: frozenset[str]
    """Uploads and avatars that go whole."""
    narrowed: Mapping[str, frozenset[Purpose]] = field(default_factory=dict)
    """Uploads that stay, and the purposes that they lose."""
    stopped: frozenset[str] = frozenset()
    """Avatars that stay and lose what was trained for them."""
    subjects: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    tainted: bool = False


CASES: Final[Mapping[str, Case]] = {
    "subject": Case(
        lambda _: Request(Scope.SUBJECT, "s-1"),
        gone=OF_FIRST,
        subjects=frozenset({"s-1"}),
        tainted=True,
    ),
    "purpose": Case(
        lambda _: Request(Scope.SUBJECT, "s-1", Purpose.DIGITAL_HUMAN),
        gone=frozenset({"c"}),
        narrowed=dict.fromkeys(("a", "b", "waiting"), FACE),
    ),
    "upload": Case(
        lambda house: Request(Scope.UPLOAD, house.uploads["a"]),
        gone=frozenset({"a"}),
        stopped=frozenset({"one", "two"}),
    ),
    "account": Case(
        lambda _: Request(Scope.ACCOUNT, "firm"),
        gone=OF_FIRST | {"x"},
        subjects=frozenset({"s-1", "s-2"}),
        accounts=frozenset({"firm"}),
        tainted=True,
    ),
    "avatar": Case(
        lambda house: Request(Scope.AVATAR, house.avatars["one"]),
        gone=frozenset({"one", "a"}),
        stopped=frozenset({"two"}),
    ),
    "avatar_alone": Case(
        lambda house: Request(Scope.AVATAR, house.avatars["one"], keep_shared=True),
        gone=frozenset({"one"}),
    ),
}


@dataclass
class Populated:
    """Where the template lies, and the random ids of what is in it, by name."""

    folder: Path
    uploads: dict[str, str] = field(default_factory=dict)
    avatars: dict[str, str] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    """`a.voice_segment`, `one.model_weights`, `one.generated_speech`, `base.base_weights`..."""
    runs: dict[str, str] = field(default_factory=dict)

    def gone_with(self, case: Case) -> set[str]:
        """The names of the objects that go with a case's order."""
        return {
            name
            for name in self.objects
            for of, kind in (name.split("."),)
            if of in case.gone | case.stopped
            or (kind == "face_segment" and Purpose.DIGITAL_HUMAN in case.narrowed.get(of, ()))
            # What an ingest had put and not ended.
            or (name == "waiting.voice_segment" and of in case.narrowed)
        }


class House:
    """An opened room of a populated home, with its parts made anew where a test watches them."""

    def __init__(self, addresses: StorageAddresses, clock: Clock) -> None:
        self.addresses = addresses
        self.clock = clock
        self.storage = Storage.open(addresses, clock=clock)
        self.base = Foundation(
            catalogue=self.storage.catalogue,
            keys=self.storage.keys,
            vault=self.storage.vault,
            ledger=self.storage.ledger,
            gate=Gate(region=addresses.region, rules=addresses.rules, clock=clock),
            retention=addresses.retention,
            clock=clock,
        )
        self.recorded = RecordedErasures(self.storage.keys.database)

    @property
    def home(self) -> Path:
        """Where everything lies."""
        return self.addresses.keys_folder.parent

    def carrying_out(
        self, passed: Callable[[str], None], store: ObjectStore | None = None
    ) -> CarryingOut:
        """A worker that tells what it has done, on the room's own store or another."""
        store = store or self.storage.store
        door = Door(self.base, store=store, anchoring=self.storage.anchoring)
        return CarryingOut(self.base, store=store, door=door, passed=passed)

    def row(self, object_id: str) -> StoredRow:
        """The object's row, a tombstone too."""
        with self.storage.catalogue.reading() as connection:
            found = object_by_id(connection, object_id)
        assert found is not None
        return found

    def plain(self, row: StoredRow) -> bytes:
        """What the object's bytes say, read past the door."""
        key = self.storage.vault.object_key(row.id)
        with self.storage.store.get(row.store_key or "") as sealed:
            return b"".join(unseal(sealed, key, object_id=row.id))

    def sealed(self, row: StoredRow) -> bytes:
        """What the store has under the object's key."""
        with self.storage.store.get(row.store_key or "") as sealed:
            return b"".join(sealed)

    def receipts(self) -> list[str]:
        """The order of every receipt on record."""
        with self.storage.keys.database.reading() as connection:
            return list(connection.execute(select(RECEIPTS.c.order_id)).scalars())

    # --- filling it -----------------------------------------------------------------------------

    def agreed(self, evidence: bytes = AGREED) -> Grant:
        """An act of agreeing, dated now."""
        return Grant(
            evidence=Evidence(evidence, EvidenceLevel.DECLARED),
            uploader=Uploader.SELF,
            authorisation=None,
            source=Source.EXPLICIT,
            acted_at=self.clock(),
        )

    def receive(
        self,
        subject: str,
        purposes: frozenset[Purpose],
        *,
        account: str | None = None,
        content: bytes = RECORDED,
    ) -> str:
        """Declare an upload and take its file into quarantine; its id."""
        uploads = self.storage.uploads
        declared = uploads.declare(
            Declaration(subject, account, purposes, self.agreed(), FILE_NAME, TRANSCRIPT)
        )
        return uploads.receive(declared, [content]).id

    def admit(self, upload_id: str, content: bytes = RECORDED) -> dict[str, str]:
        """Put an upload's features and admit it; the objects by kind."""
        door, uploads = self.storage.door, self.storage.uploads
        purposes = uploads.by_id(upload_id).purposes
        run = door.begin(upload_id, role=Role.INGEST, purposes=purposes)
        kinds = ["voice_segment", "report", *(["face_segment"] if purposes & NEEDS_FACE else [])]
        put = {kind: door.put(run, kind, [content]) for kind in kinds}
        admitted = Conclusion(UploadState.ADMITTED, [], {})
        door.commit(run, also=lambda writing: uploads.conclude(writing, upload_id, admitted))
        uploads.release_quarantine(upload_id)
        return put

    def train(self, avatar_id: str | None, *members: str, content: bytes = RECORDED) -> str:
        """Train a voice of an avatar, or a shared base; the artefact's id."""
        shared = avatar_id is None
        planned = PlannedTraining(
            task=Task.BASE if shared else Task.VOICE,
            purpose=Purpose.MODEL_IMPROVEMENT if shared else Purpose.VOICE_CLONING,
            members=members,
            engine="example",
            engine_version="1.0",
            avatar_id=avatar_id,
        )
        run = self.storage.door.begin_training(planned)
        for kind in ("base_weights",) if shared else ("model_weights", "model_card"):
            self.storage.door.put(run, kind, [content])
        return self.storage.artefacts.finish_training(run, {"loss": 0.5}).id

    def generate(self, artefact_id: str, content: bytes = RECORDED) -> str:
        """Generate speech with a voice; the object's id."""
        run = self.storage.door.begin_generation(artefact_id)
        made = self.storage.door.put(run, "generated_speech", [content])
        self.storage.artefacts.finish_generation(run, made, seconds=1.5, request=ASKED_FOR)
        return made

    def objects_of_artefact(self, artefact_id: str) -> dict[str, str]:
        """The stored objects of an artefact, by kind."""
        with self.storage.catalogue.reading() as connection:
            rows = connection.execute(
                select(OBJECTS.c.kind, OBJECTS.c.id).where(
                    OBJECTS.c.artefact_id == artefact_id,
                    OBJECTS.c.state == ObjectState.STORED.value,
                )
            ).all()
        return {row.kind: row.id for row in rows}


@dataclass(frozen=True)
class Kept:
    """An object that an order may not touch."""

    sealed: bytes
    plain: bytes
    basis: Mapping[Purpose, int]


@dataclass(frozen=True)
class Before:
    """What an order may not touch, and what may be found nowhere once it is carried out."""

    kept: dict[str, Kept]
    secrets: frozenset[bytes]


@pytest.fixture(scope="session")
def fast_folder() -> Iterator[Path]:
    """A folder in memory where there is one: these tests sync tens of thousands of times."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="likeness-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def populated(fast_folder: Path, addresses_in: Callable[[Path], StorageAddresses]) -> Populated:
    """The template."""
    folder = fast_folder / "populated"
    return populate(House(addresses_in(folder), MovableClock()), folder)


def populate(house: House, folder: Path) -> Populated:
    """Fill an empty house with everything that the module's docstring names."""
    template = Populated(folder)

    def admitted(
        name: str, subject: str, purposes: frozenset[Purpose], account: str | None
    ) -> None:
        content = RECORDED * 20 + name.encode()
        upload = house.receive(subject, purposes, account=account, content=content)
        template.uploads[name] = upload
        for kind, object_id in house.admit(upload, content).items():
            template.objects[f"{name}.{kind}"] = object_id

    def trained(name: str, subject: str | None, *members: str) -> None:
        avatar = None
        if subject is not None:
            avatar = template.avatars[name] = house.storage.avatars.create(subject, AVATAR_NAME).id
        voices = [template.objects[f"{member}.voice_segment"] for member in members]
        artefact = house.train(avatar, *voices, content=RECORDED * 20 + name.encode())
        template.artefacts[name] = artefact
        for kind, object_id in house.objects_of_artefact(artefact).items():
            template.objects[f"{name}.{kind}"] = object_id

    for name, subject, purposes, account in (
        ("a", "s-1", BOTH, "firm"),
        ("b", "s-1", BOTH, "firm"),
        ("c", "s-1", FACE, "firm"),
        ("m", "s-1", IMPROVE, "firm"),
        ("x", "s-2", BOTH, "firm"),
        ("n", "s-3", IMPROVE, None),
    ):
        admitted(name, subject, purposes, account)
    trained("one", "s-1", "a")
    trained("two", "s-1", "a", "b")
    trained("three", "s-3", "n")
    trained("base", None, "m", "n")
    template.objects["one.generated_speech"] = house.generate(template.artefacts["one"])
    waiting = template.uploads["waiting"] = house.receive("s-1", BOTH, account="firm")
    (quarantined,) = house.storage.uploads.objects_of(waiting)
    template.objects["waiting.quarantined_upload"] = quarantined.id
    run = house.storage.door.begin(waiting, role=Role.INGEST, purposes=BOTH)
    template.runs["waiting"] = run.id
    template.objects["waiting.voice_segment"] = house.storage.door.put(
        run, "voice_segment", [RECORDED]
    )
    return template


@dataclass(frozen=True)
class Houses:
    """Gives a fresh copy of the template, always in the same place."""

    template: Populated
    addresses: StorageAddresses
    clock: MovableClock

    def copied(self) -> House:
        """A fresh copy, opened."""
        shutil.rmtree(self.addresses.keys_folder.parent, ignore_errors=True)
        shutil.copytree(self.template.folder, self.addresses.keys_folder.parent)
        return House(self.addresses, self.clock)

    def opened(self) -> House:
        """The same home as another process would open it."""
        return House(self.addresses, self.clock)


@pytest.fixture
def houses(
    populated: Populated,
    fast_folder: Path,
    addresses_in: Callable[[Path], StorageAddresses],
    clock: MovableClock,
) -> Iterator[Houses]:
    """Copies of the template, one after another."""
    folder = Path(tempfile.mkdtemp(dir=fast_folder))
    yield Houses(populated, addresses_in(folder / "home"), clock)
    shutil.rmtree(folder)


def before(house: House, template: Populated, case: Case) -> Before:
    """Look at everything before an order is placed."""
    gone = template.gone_with(case)
    kept = {}
    for name, object_id in template.objects.items():
        if name not in gone and name != "waiting.voice_segment":
            row = house.row(object_id)
            taken = case.narrowed.get(name.partition(".")[0], frozenset())
            basis = {purpose: n for purpose, n in row.basis.items() if purpose not in taken}
            kept[name] = Kept(house.sealed(row), house.plain(row), basis)
    return Before(kept, frozenset(_secrets(house, template, case)))


def _secrets(house: House, template: Populated, case: Case) -> Iterator[bytes]:
    """Everything that is of whom or what an order is about, in the form in which it is kept."""
    vault, storage = house.storage.vault, house.storage
    objects = [template.objects[name] for name in template.gone_with(case)]
    uploads = [template.uploads[name] for name in case.gone if name in template.uploads]
    avatars = [template.avatars[name] for name in case.gone if name in template.avatars]
    subjects = [storage.subjects.known(name).id for name in case.subjects]
    for kind, names in (("subject", case.subjects), ("account", case.accounts)):
        yield from (vault.pseudonym(kind, name).encode() for name in names)
    with storage.keys.database.reading() as connection:
        for keys, column, ids in (
            (OBJECT_KEYS, OBJECT_KEYS.c.object_id, [*objects, *subjects]),
            (SCOPE_KEYS, SCOPE_KEYS.c.owner_id, subjects),
            # A narrow erasure makes the person's keys anew.
            *([] if subjects else [(SCOPE_KEYS, SCOPE_KEYS.c.owner_id, _owner(house))]),
        ):
            yield from connection.execute(select(keys.c.wrapped).where(column.in_(ids))).scalars()
    with storage.catalogue.reading() as connection:
        for table, column, ids in (
            (UPLOADS.c.digest, UPLOADS.c.id, uploads),
            (UPLOADS.c.file_name_sealed, UPLOADS.c.id, uploads),
            (UPLOADS.c.transcript_sealed, UPLOADS.c.id, uploads),
            (AVATARS.c.name_sealed, AVATARS.c.id, avatars),
            (GENERATIONS.c.request_sealed, GENERATIONS.c.id, objects),
            (LEDGER_PAYLOADS.c.payload, LEDGER_PAYLOADS.c.subject_id, subjects),
        ):
            for found in connection.execute(select(table).where(column.in_(ids))).scalars():
                if found is not None:
                    yield found if isinstance(found, bytes) else str(found).encode()
    for object_id in objects:
        if template.objects["waiting.voice_segment"] != object_id:
            yield house.sealed(house.row(object_id))[:64]


def _owner(house: House) -> list[str]:
    return [house.storage.subjects.known("s-1").id]


def assert_erased(
    house: House, template: Populated, case: Case, known: Before, *carried_out: Order
) -> None:
    """The one end state that orders must come to, whatever happened on the way."""
    storage = house.storage
    ids = sorted(order.id for order in carried_out)
    assert sorted(house.receipts()) == ids
    assert {each.id: each.state for each in house.recorded.orders()} == dict.fromkeys(
        ids, OrderState.DONE
    )
    for order in carried_out:
        assert storage.orders.by_id(order.id).order.state is OrderState.DONE
        assert storage.receipts.findings(storage.receipts.of(order.id)) == []
        assert left_of(house, order) == ()
    assert list(storage.verification.findings()) == []
    _assert_gone(house, template, case, known)
    _assert_kept(house, template, known)
    with storage.catalogue.reading() as connection:
        base = connection.execute(
            select(ARTEFACTS.c.state).where(ARTEFACTS.c.id == template.artefacts["base"])
        ).scalar()
    assert base == ("tainted" if case.tainted else "registered")


def left_of(house: House, order: Order) -> Any:
    """What a verification of today finds."""
    storage = house.storage
    with storage.catalogue.reading() as connection:
        progress = erasure_of(connection, order.id)
    assert progress is not None
    verification = Verification(
        catalogue=storage.catalogue, vault=storage.vault, store=storage.store
    )
    return verification.leftovers(order, progress).counts


def _assert_gone(house: House, template: Populated, case: Case, known: Before) -> None:
    storage = house.storage
    for name in template.gone_with(case):
        object_id = template.objects[name]
        if name != "waiting.voice_segment":
            assert house.row(object_id).state is ObjectState.ERASED, name
        with pytest.raises(KeyDestroyed):
            storage.vault.object_key(object_id)
    for name in case.gone & template.uploads.keys():
        assert storage.uploads.by_id(template.uploads[name]).state is UploadState.ERASED
    with storage.catalogue.reading() as connection:
        rows = connection.execute(
            select(OBJECTS.c.store_key).where(OBJECTS.c.state == ObjectState.STORED.value)
        )
        # And what a living run has put and not ended.
        put = connection.execute(
            select(INTENTS.c.store_key).where(INTENTS.c.state == IntentState.WRITTEN.value)
        )
        stored = {*rows.scalars(), *put.scalars()}
        for table in (SUBJECTS, ACCOUNTS):
            named = connection.execute(select(table.c.pseudonym)).scalars()
            assert not {p.encode() for p in named if p is not None} & known.secrets
    assert {entry.key for entry in storage.store.list_keys()} == stored
    files = {path: path.read_bytes() for path in house.home.rglob("*") if path.is_file()}
    found = [
        f"{secret[:40]!r} in {path.relative_to(house.home)}"
        for path, content in files.items()
        for secret in (*known.secrets, *map(str.encode, (FILE_NAME, TRANSCRIPT, ASKED_FOR)))
        if secret in content
    ]
    assert found == []


def _assert_kept(house: House, template: Populated, known: Before) -> None:
    for name, kept in known.kept.items():
        row = house.row(template.objects[name])
        assert row.state is ObjectState.STORED, name
        assert Kept(house.sealed(row), house.plain(row), row.basis) == kept, name
    use = Use(Role.TRAINING, Operation.PROCESS, frozenset({Purpose.VOICE_CLONING}), "test")
    with house.storage.door.open(template.objects["n.voice_segment"], use) as reader:
        assert reader.read() == known.kept["n.voice_segment"].plain
