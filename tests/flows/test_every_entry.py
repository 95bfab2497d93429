"""Every entry meets the same gate: each is found, stands in a table here, and is tried.

An entry is a command, a method of `likeness.Likeness`, a Prefect flow, a deployment, an engine, a
script, or a module that can be run. What processes for a purpose is tried with consent missing,
refused and withdrawn. What serves the person's own access is tried after a withdrawal and must
leave its record. For the rest the table says why it meets no gate, and where it can be tried it is:
then it opens and writes no object.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import secrets
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml  # type: ignore[import-untyped]

import flows.opening
import flows.settings
from flows.admission import admitted_facts
from flows.cli.application import application
from likeness import Likeness
from models.consent.disclosure import RecipientKind
from models.consent.facts import EvidenceLevel
from models.schema.errors import LikenessError
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.catalogue import objects
from storage.catalogue.decisions import ACCESS_LOG
from storage.catalogue.uploads import UploadState
from storage.clock import utc_now
from storage.registers.evidence import Evidence
from storage.registers.uploads import Conclusion, Declaration

REPOSITORY = Path(__file__).resolve().parent.parent.parent
VOICE = ("--purpose", "voice_cloning")
SUBJECT = "s-1"
OF_SUBJECT = ("--subject", SUBJECT)
STATES = ("missing", "refused", "withdrawn")
STOPPED = ("refused", "withdrawn")


@dataclass(frozen=True)
class House:
    """A home in which one person's consent is missing, was refused or was withdrawn."""

    state: str
    storage: Storage
    admitted: str
    """An admitted upload with features and a report; empty where there never was consent."""
    received: tuple[str, ...]
    """Uploads that wait in quarantine to be processed; after a withdrawal also one for a purpose
    that was refused, so that a flow needs to be started only once."""
    waiting: str
    """An upload that waits for somebody to say whose voice it is; empty likewise."""
    recording: Path
    folder: Path
    """Where commands write."""

    @property
    def out(self) -> Path:
        """A path for what a command writes; nothing is there, each time."""
        return self.folder / secrets.token_hex(4)


Call = Callable[[House], int]
"""Tries an entry; returns the exit code it answered, or that of the error it raised."""


@dataclass(frozen=True)
class Refuses:
    """It processes for a purpose: in these states it answers so, and nothing is made or read."""

    call: Call
    codes: Mapping[str, int]


@dataclass(frozen=True)
class OwnAccess:
    """The person's own access (Policy P16): stays open after a withdrawal, and is on record."""

    call: Call


@dataclass(frozen=True)
class NoGate:
    """It neither opens nor writes an object, for this reason."""

    why: str
    call: Call | None = None


# --- how an entry is called -------------------------------------------------------------------


CODE_BY_STATE = {"rejected": 2, "refused": 3}


def command(*arguments: str | Callable[[House], str]) -> Call:
    """The command line in this process."""

    def call(house: House) -> int:
        given = [part if isinstance(part, str) else part(house) for part in arguments]
        return int(application(given)([*given, "--json"], standalone_mode=False) or 0)

    return call


def method(work: Callable[[Likeness, House], Any]) -> Call:
    """A method of the Python door."""

    def call(house: House) -> int:
        try:
            answer = work(Likeness(), house)
        except LikenessError as error:
            return error.exit_code
        results = answer if isinstance(answer, list) else []
        return max((CODE_BY_STATE.get(result.get("state"), 0) for result in results), default=0)

    return call


def program(code: str) -> Call:
    """Python in a process of its own, with the ids of the received uploads as arguments."""

    def call(house: House) -> int:
        done = subprocess.run(
            [sys.executable, "-c", code, *house.received],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode in {0, 2, 3}, done.stderr
        return done.returncode

    return call


def recording(house: House) -> str:
    return str(house.recording)


def out(house: House) -> str:
    return str(house.out)


def admitted(house: House) -> str:
    return house.admitted


def waiting(house: House) -> str:
    return house.waiting


FLOW = """
import sys
from flows.opening import storage
from flows.processing import process
errors = process(sys.argv[1:], show_progress=False)
assert not errors, errors
states = {storage().uploads.by_id(upload).state.value for upload in sys.argv[1:]}
sys.exit(3 if states == {"refused"} else 0)
"""
SELF = ("--evidence", "said so again", "--self")


def _take_in(house: House) -> int:
    """What an upload service calls."""
    from flows.declaring import grant_from
    from flows.intake import take_in

    grant = grant_from("said so again", himself=True, authorised_by=None, explicit=False)
    declaration = Declaration(SUBJECT, None, frozenset({Purpose.VOICE_CLONING}), grant)
    try:
        taken = take_in(
            house.storage, house.recording, declaration, flows.settings.settings().media_limits
        )
    except LikenessError as error:
        return error.exit_code
    return 3 if taken.state is UploadState.REFUSED else 0


# --- the table --------------------------------------------------------------------------------

BY = ("--by", "M. Li", "--reason", "compared with the photograph", "--yes")
RECIPIENT = ("--recipient", "Cloud Ltd")
DISCLOSED = ("--ground", "agreement", "--kind", "voice_segment", "--yes", "--out")

DECIDES = "records what a person decides; reads and writes no object"
HOUSE = "records what the house or the law says; reads and writes no object"
TELLS = "tells rows: states, decisions, ids; opens no object"
CHECKS = "checks the house itself; opens no object"
ERASES = "deletes without reading"
STOPS = dict.fromkeys(STOPPED, 3)

COMMANDS: dict[str, list[Refuses | OwnAccess | NoGate]] = {
    "ingest": [
        Refuses(command("ingest", recording, *OF_SUBJECT, *VOICE, *SELF), STOPS),
        Refuses(command("ingest", recording, *OF_SUBJECT, *VOICE, *SELF, "--dry-run"), STOPS),
        Refuses(command("ingest", recording, *OF_SUBJECT, *VOICE, "--self"), {"missing": 2}),
        Refuses(command("ingest", recording, *OF_SUBJECT, *SELF), {"missing": 2}),
    ],
    "upload list": [NoGate(TELLS, command("upload", "list"))],
    "upload show": [NoGate(TELLS, command("upload", "show", "--upload", admitted))],
    "upload report": [OwnAccess(command("upload", "report", "--upload", admitted, "--out", out))],
    "subject show": [NoGate(TELLS, command("subject", "show", *OF_SUBJECT))],
    "avatar create": [
        NoGate("names what may be trained; grants nothing, reads and writes no object")
    ],
    "avatar list": [NoGate(TELLS, command("avatar", "list"))],
    "avatar show": [NoGate(TELLS)],
    "consent grant": [NoGate(DECIDES)],
    "consent refuse": [NoGate(DECIDES, command("consent", "refuse", *OF_SUBJECT, *VOICE, "--yes"))],
    "consent withdraw": [
        NoGate(DECIDES, command("consent", "withdraw", *OF_SUBJECT, *VOICE, "--yes"))
    ],
    "consent show": [NoGate(TELLS, command("consent", "show", *OF_SUBJECT))],
    "consent challenge": [
        NoGate(
            "draws a sentence by which consent may be given",
            command("consent", "challenge", *OF_SUBJECT, *VOICE),
        )
    ],
    "consent verify": [NoGate("the recording is the act of consent; it stays in memory")],
    "review list": [NoGate(TELLS, command("review", "list"))],
    "review show": [
        NoGate(TELLS, command("review", "show", "--upload", waiting)),
        Refuses(command("review", "show", "--upload", waiting, "--voices", out), STOPS),
    ],
    "review approve": [Refuses(command("review", "approve", "--upload", waiting, *BY), STOPS)],
    "review reject": [NoGate("deletes without reading")],
    "policy publish": [NoGate(HOUSE)],
    "policy list": [NoGate(TELLS, command("policy", "list"))],
    "minor flag": [
        NoGate(HOUSE, command("minor", "flag", *OF_SUBJECT, "--fourteen-or-under", "--yes"))
    ],
    "minor state": [NoGate(HOUSE)],
    "minor adult": [NoGate(HOUSE)],
    "minor list": [NoGate(TELLS, command("minor", "list"))],
    "basis record": [NoGate(HOUSE)],
    "basis end": [NoGate(HOUSE)],
    "basis list": [NoGate(TELLS, command("basis", "list", *OF_SUBJECT))],
    "disclose register": [NoGate(HOUSE)],
    "disclose bind": [NoGate(HOUSE)],
    "disclose end": [NoGate(HOUSE)],
    "disclose recipients": [NoGate(TELLS, command("disclose", "recipients"))],
    "disclose make": [
        Refuses(
            command("disclose", "make", *OF_SUBJECT, *RECIPIENT, *VOICE, *DISCLOSED, out),
            {"missing": 2, **STOPS},
        )
    ],
    "disclose list": [NoGate(TELLS, command("disclose", "list", *OF_SUBJECT))],
    "disclose transfer": [NoGate(HOUSE)],
    "export": [
        OwnAccess(command("export", *OF_SUBJECT, "--authenticated-by", "passport", "--out", out))
    ],
    "request list": [NoGate(TELLS, command("request", "list"))],
    "request show": [NoGate(TELLS)],
    "weights pull": [NoGate("pretrained files, which are of nobody here")],
    "weights list": [NoGate("pretrained files, which are of nobody here")],
    "weights verify": [NoGate("pretrained files, which are of nobody here")],
    "ledger verify": [NoGate(CHECKS, command("ledger", "verify"))],
    "ledger show": [NoGate(TELLS, command("ledger", "show"))],
    "ledger anchor": [NoGate("chains a digest of the access log", command("ledger", "anchor"))],
    "ledger key": [NoGate("tells the public key", command("ledger", "key"))],
    "ledger checkpoint": [NoGate("signs the head of the chain")],
    "ledger correct-clock": [NoGate("goes on at this machine's time, on record")],
    "disclose notices": [NoGate(TELLS, command("disclose", "notices"))],
    "disclose told": [NoGate(HOUSE)],
    "hold place": [NoGate(HOUSE)],
    "hold lift": [NoGate(HOUSE)],
    "hold list": [NoGate(TELLS, command("hold", "list"))],
    "service end": [NoGate(HOUSE)],
    "service call-off": [NoGate(HOUSE)],
    "service show": [NoGate(TELLS, command("service", "show"))],
    "erase": [
        NoGate(TELLS, command("erase", *OF_SUBJECT, "--dry-run")),
        NoGate(ERASES),
    ],
    "erase status": [NoGate(TELLS, command("erase", "status"))],
    "avatar delete": [NoGate(ERASES)],
    "receipt show": [NoGate("hands out a signed receipt; it names nobody")],
    "receipt verify": [NoGate("checks a signature, and that nothing came back; opens no object")],
    "sweep": [NoGate(ERASES)],
    "reconcile": [NoGate(ERASES, command("reconcile"))],
    "doctor": [NoGate(CHECKS)],
}

METHODS: dict[str, list[Refuses | OwnAccess | NoGate]] = {
    "ingest": [
        Refuses(
            method(
                lambda likeness, house: likeness.ingest(
                    house.recording,
                    subject=SUBJECT,
                    purposes=["voice_cloning"],
                    evidence="said so again",
                )
            ),
            STOPS,
        ),
        Refuses(
            method(
                lambda likeness, house: likeness.ingest(
                    house.recording, subject=SUBJECT, purposes=["voice_cloning"], evidence=""
                )
            ),
            {"missing": 2},
        ),
    ],
    "upload": [NoGate(TELLS, method(lambda likeness, house: likeness.upload(house.admitted)))],
    "report": [OwnAccess(method(lambda likeness, house: likeness.report(house.admitted)))],
    "export": [
        OwnAccess(
            method(
                lambda likeness, house: likeness.export(
                    SUBJECT, authenticated_by="passport", out=house.out
                )
            )
        )
    ],
    "cost": [NoGate(TELLS, method(lambda likeness, _: likeness.cost(SUBJECT, "voice_cloning")))],
    "consent": [NoGate(TELLS, method(lambda likeness, _: likeness.consent(SUBJECT)))],
    "grant": [NoGate(DECIDES)],
    "refuse": [
        NoGate(DECIDES, method(lambda likeness, _: likeness.refuse(SUBJECT, "voice_cloning")))
    ],
    "withdraw": [
        NoGate(DECIDES, method(lambda likeness, _: likeness.withdraw(SUBJECT, "voice_cloning")))
    ],
    "waiting": [NoGate(TELLS, method(lambda likeness, _: likeness.waiting()))],
    "approve": [
        Refuses(
            method(
                lambda likeness, house: likeness.approve(house.waiting, by="M. Li", reason="knows")
            ),
            STOPS,
        )
    ],
    "reject": [NoGate("deletes without reading")],
    "challenge": [
        NoGate(
            "draws a sentence by which consent may be given",
            method(lambda likeness, _: likeness.challenge(SUBJECT, "voice_cloning")),
        )
    ],
    "verify": [NoGate("the recording is the act of consent; it stays in memory")],
    "close_account": [NoGate(ERASES, method(lambda likeness, _: likeness.close_account("a-1")))],
    "erase": [NoGate(ERASES)],
    "receipt": [NoGate("hands out a signed receipt; it names nobody")],
}

FLOWS: dict[str, list[Refuses | OwnAccess | NoGate]] = {
    "flows/ingest.py:ingest": [Refuses(program(FLOW), {"withdrawn": 3})],
    "flows/erase.py:erase": [NoGate(ERASES)],
    "flows/schedules.py:sweep": [NoGate(ERASES)],
    "flows/schedules.py:reconcile": [NoGate(ERASES)],
    "flows/schedules.py:retention": [NoGate(ERASES)],
}

ENGINES: dict[str, list[Refuses | OwnAccess | NoGate]] = {}

PROGRAMS: dict[str, list[Refuses | OwnAccess | NoGate]] = {
    "likeness": [NoGate("the command line, each command of which stands above")],
    "flows/demo.py": [NoGate("runs `likeness ingest` on a home of its own")],
    "flows/intake.py:take_in": [Refuses(_take_in, STOPS)],
    "models/engines/serving.py": [NoGate("an engine in a process of its own; it holds no store")],
}


# --- what entries there are -------------------------------------------------------------------


def _commands(group: Any, above: tuple[str, ...] = ()) -> Iterator[str]:
    for name, inner in group.commands.items():
        if hasattr(inner, "commands"):
            if inner.invoke_without_command:
                yield " ".join((*above, name))
            yield from _commands(inner, (*above, name))
        else:
            yield " ".join((*above, name))


def _methods() -> Iterator[str]:
    return (name for name, _ in inspect.getmembers(Likeness, callable) if not name.startswith("_"))


def _flows() -> Iterator[str]:
    """Functions that Prefect's `flow` decorates, and what deployments name."""
    for file in sorted((REPOSITORY / "flows").rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        decorated = (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for decorator in node.decorator_list
            if ast.unparse(decorator).partition("(")[0].rpartition(".")[2] == "flow"
        )
        for node in decorated:
            yield f"{file.relative_to(REPOSITORY)}:{node.name}"
    declared = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text("utf-8"))
    yield from (deployment["entrypoint"] for deployment in declared["deployments"])


def _engines() -> Iterator[str]:
    return (entry.name for entry in importlib.metadata.entry_points(group="likeness.engines"))


def _programs() -> Iterator[str]:
    """Scripts of the package, and modules of the rooms that can be run."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    yield from project["project"]["scripts"]
    for room in ("flows", "storage", "models"):
        for file in sorted((REPOSITORY / room).rglob("*.py")):
            if file.name == "__main__.py" or 'if __name__ == "__main__"' in file.read_text("utf-8"):
                yield str(file.relative_to(REPOSITORY))


FOUND: dict[str, tuple[Callable[[], Iterator[str]], dict[str, Any]]] = {
    "command": (lambda: _commands(typer.main.get_command(application([]))), COMMANDS),
    "method of Likeness": (_methods, METHODS),
    "flow or deployment": (_flows, FLOWS),
    "engine": (_engines, ENGINES),
    "program": (_programs, PROGRAMS),
}


@pytest.mark.parametrize("sort", FOUND)
def test_every_entry_is_in_the_table(sort: str) -> None:
    found, table = FOUND[sort]
    unlisted = sorted(set(found()) - set(table))
    assert unlisted == [], f"say in {Path(__file__).name} how each {sort} is tried without consent"


@pytest.mark.parametrize("sort", ["command", "method of Likeness", "flow or deployment", "engine"])
def test_the_table_lists_nothing_that_is_gone(sort: str) -> None:
    found, table = FOUND[sort]
    assert sorted(set(table) - set(found())) == []


# --- trying them ------------------------------------------------------------------------------


def _prepared(state: str, home: Path, tone: Path) -> House:
    storage = flows.opening.storage()
    admitted, waiting, received = "", "", []
    if state in STOPPED:
        admitted, waiting, *received = (
            _received(storage, tone, said, Purpose.VOICE_CLONING)
            for said in ("said first", "said again", "said then")
        )
        _admit(storage, admitted)
        _wait(storage, waiting)
        storage.disclosures.register(
            "Cloud Ltd",
            kind=RecipientKind.PROCESSOR,
            region=flows.settings.settings().region,
            purposes=frozenset({Purpose.VOICE_CLONING}),
            covers=frozenset({"voice_segment"}),
            agreement=Evidence(b"the contract", EvidenceLevel.DOCUMENT),
            expires_at=utc_now() + timedelta(days=30),
        )
    if state == "withdrawn":
        received.append(_received(storage, tone, "and also", Purpose.MODEL_IMPROVEMENT))
        storage.consents.withdraw(SUBJECT, Purpose.VOICE_CLONING)
        storage.consents.refuse(SUBJECT, Purpose.MODEL_IMPROVEMENT)
    elif state == "refused":
        storage.consents.refuse(SUBJECT, Purpose.VOICE_CLONING)
    return House(state, storage, admitted, tuple(received), waiting, tone, home.parent)


def _received(storage: Storage, tone: Path, said: str, purpose: Purpose) -> str:
    from flows.declaring import grant_from

    grant = grant_from(said, himself=True, authorised_by=None, explicit=False)
    upload = storage.uploads.declare(Declaration(SUBJECT, None, frozenset({purpose}), grant))
    return storage.uploads.receive(upload, [tone.read_bytes()]).id


def _admit(storage: Storage, upload: str) -> None:
    purposes = storage.uploads.by_id(upload).purposes
    run = storage.door.begin(upload, role=Role.INGEST, purposes=purposes)
    storage.door.put(run, "voice_segment", [b"features"])
    report = storage.door.put(run, "report", [b"<!doctype html>"])
    ended = Conclusion(UploadState.ADMITTED, [], {"report": report})
    storage.door.commit(run, also=lambda writing: storage.uploads.conclude(writing, upload, ended))
    storage.uploads.release_quarantine(upload)


def _wait(storage: Storage, upload: str) -> None:
    """What ingest leaves of a recording in which it heard two voices."""
    settings = flows.settings.settings()
    row = storage.uploads.by_id(upload)
    assert admitted_facts(storage, row, limits=settings.media_limits, scratch=settings.scratch)
    run = storage.door.begin(upload, role=Role.INGEST, purposes=row.purposes)
    storage.door.put(
        run, "original", [b"a recording"], expires_at=storage.uploads.identification_deadline()
    )
    outcome = storage.uploads.by_id(upload).outcome
    ended = Conclusion(UploadState.NEEDS_IDENTIFICATION, [], outcome)
    storage.door.commit(run, also=lambda writing: storage.uploads.conclude(writing, upload, ended))
    storage.uploads.release_quarantine(upload)


@pytest.fixture(params=STATES)
def house(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tone: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    """See House; this process and its children work on it."""
    home = tmp_path / "home"
    monkeypatch.setenv("LIKENESS_HOME", str(home))
    caches = (flows.settings.settings, flows.opening.storage)
    for cached in caches:
        cached.cache_clear()
    yield _prepared(request.param, home, tone)
    for cached in caches:
        cached.cache_clear()


def _kept(house: House) -> dict[str, Any]:
    """Everything that stands for media, features and what is made of them."""
    with house.storage.catalogue.reading() as connection:
        rows = connection.execute(objects.OBJECTS.select()).all()
        intents = connection.execute(objects.INTENTS.select()).all()
        accesses = connection.execute(ACCESS_LOG.select()).all()
    return {
        "objects": sorted(row.id for row in rows if row.state == "stored"),
        "intents": sorted(intent.object_id for intent in intents),
        "bytes": sorted(entry.key for entry in house.storage.store.list_keys()),
        "accesses": sorted((access.object_id, access.operation) for access in accesses),
        "allowed": [d.purpose for d in house.storage.consents.decisions(SUBJECT) if d.allowed],
    }


def _tried(kind: type, *sorts: str) -> Iterator[tuple[str, Any]]:
    for sort in sorts or (sort for sort in FOUND if sort != "flow or deployment"):
        for name, ways in FOUND[sort][1].items():
            yield from ((name, way) for way in ways if isinstance(way, kind))


def test_what_processes_for_a_purpose_refuses_without_consent_and_makes_nothing(
    house: House,
) -> None:
    for name, way in _tried(Refuses):
        _assert_refused(house, name, way)


@pytest.mark.services
def test_a_flow_refuses_what_was_withdrawn_or_refused_since_it_was_received(house: House) -> None:
    """Apart from the others, because Prefect's own server takes its time to start."""
    for name, way in _tried(Refuses, "flow or deployment"):
        _assert_refused(house, name, way)


def _assert_refused(house: House, name: str, way: Refuses) -> None:
    if house.state not in way.codes:
        return
    before = _kept(house)
    tried = f"{name}, consent {house.state}"
    assert way.call(house) == way.codes[house.state], tried
    after = _kept(house)
    assert after["allowed"] == before["allowed"] == [], tried
    assert after["accesses"] == before["accesses"], tried
    for made in ("objects", "intents", "bytes"):
        assert set(after[made]) <= set(before[made]), tried
    # A refused upload is taken out of quarantine; nothing else may go.
    gone = set(before["objects"]) - set(after["objects"])
    assert gone <= _quarantined(house, gone), tried


def _quarantined(house: House, gone: set[str]) -> set[str]:
    with house.storage.catalogue.reading() as connection:
        rows = [objects.object_by_id(connection, object_id) for object_id in gone]
    return {row.id for row in rows if row is not None and row.kind == "quarantined_upload"}


def test_the_persons_own_access_stays_open_and_is_on_record(house: House) -> None:
    if not house.admitted:
        pytest.skip("nothing is held of somebody who never agreed")
    for name, way in _tried(OwnAccess):
        before = _kept(house)
        assert way.call(house) == 0, f"{name}: {house.state}"
        after = _kept(house)
        more = after["accesses"][:]
        for access in before["accesses"]:
            more.remove(access)
        assert more, f"{name} left no record"
        assert {operation for _, operation in more} == {"access"}, name
        assert after["objects"] == before["objects"], name


def test_what_meets_no_gate_opens_and_writes_no_object(house: House) -> None:
    for name, way in _tried(NoGate):
        assert way.why, name
        if way.call is None or not house.admitted:
            continue
        before = _kept(house)
        way.call(house)
        assert _kept(house) == before, f"{name}: {house.state}"
