"""Erasure through a real Prefect server and worker: woken by an event, or started by the sweep."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.flows.conftest import House
from tests.servers.prefect import PrefectServer, prefect_server
from tests.servers.processes import free_port, wait_until

pytestmark = pytest.mark.services

SUBJECT = "subject-anna-kowalska"
FILE_NAME = "Anna Kowalska.wav"
AGREED = "Anna agreed at the desk"

_SEED = """
import sys
from flows.declaring import grant_from
from flows.opening import storage
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.catalogue.uploads import UploadState
from storage.registers.uploads import Conclusion, Declaration
house = storage()
grant = grant_from(sys.argv[3], himself=True, authorised_by=None, explicit=False)
upload = house.uploads.declare(
    Declaration(sys.argv[1], None, frozenset({Purpose.VOICE_CLONING}), grant, sys.argv[2])
)
house.uploads.receive(upload, [b"a recording of " + sys.argv[1].encode()])
run = house.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
house.door.put(run, "voice_segment", [b"features"])
house.door.commit(run, also=lambda writing: house.uploads.conclude(
    writing, upload.id, Conclusion(UploadState.ADMITTED, [], {})))
house.uploads.release_quarantine(upload.id)
print(upload.id, house.subjects.known(sys.argv[1]).id,
      house.vault.pseudonym("subject", sys.argv[1]))
"""
_ORDER = """
import sys
from flows.opening import storage
from flows.waking import wake
from storage.catalogue.freezes import Scope
from storage.erasure.orders import Request
order = storage().orders.place(Request(Scope.SUBJECT, sys.argv[1]))
wake(order.id)
print(order.id)
"""
_STATE = """
import sys
from flows.opening import storage
house = storage()
print(house.orders.by_id(sys.argv[1]).order.state.value)
house.receipts.of(sys.argv[1])
"""


@dataclass(frozen=True)
class Person:
    """What is known of somebody who is to be erased."""

    upload: str
    subject: str
    pseudonym: str


class Served:
    """A house and the Prefect server that it may work with."""

    def __init__(self, house: House) -> None:
        self.house = house

    def python(self, program: str, *arguments: str, **environment: str) -> list[str]:
        """Run a program of the house; returns the words it printed."""
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self.house.environment | environment,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def admit(self, subject: str = SUBJECT) -> Person:
        """Somebody with an admitted upload."""
        return Person(*self.python(_SEED, subject, FILE_NAME, AGREED))

    def order(self, subject: str = SUBJECT, **environment: str) -> str:
        """Order the erasure of somebody, as the account service does."""
        (order,) = self.python(_ORDER, subject, **environment)
        return order

    def wait_for_receipt(self, order: str, *, seconds: float = 120) -> None:
        """Until the order is done and its receipt on record."""
        wait_until(lambda: self._done(order), seconds=seconds, what=f"the receipt of order {order}")

    def _done(self, order: str) -> bool:
        time.sleep(1)
        try:
            return self.python(_STATE, order) == ["done"]
        except AssertionError:
            return False  # no receipt yet


def _asked(server: PrefectServer, path: str, content: dict[str, Any]) -> list[dict[str, Any]]:
    address = server.environment["PREFECT_API_URL"] + path
    request = Request(address, json.dumps(content).encode(), {"Content-Type": "application/json"})
    for wait in (1, 2, 4, 8, 16, None):
        try:
            with urlopen(request, timeout=30) as answer:
                found: list[dict[str, Any]] = json.loads(answer.read())
                return found
        except HTTPError as error:
            # Its database is locked for a moment, as it says of itself.
            if error.code != 503 or wait is None:
                raise
            time.sleep(wait)
    raise AssertionError


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, house_in: Callable[..., House]) -> Served:
    """A house of this module's own."""
    return Served(house_in(tmp_path_factory.mktemp("served") / "home"))


@pytest.fixture(scope="module")
def server(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server with every deployment and a worker, started once."""
    folder = tmp_path_factory.mktemp("prefect")
    quick = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"}
    with prefect_server(folder, served.house.environment | quick) as running:
        yield running


@pytest.mark.timeout(300)
def test_an_event_wakes_the_flow_and_the_receipt_is_there(
    served: Served, server: PrefectServer
) -> None:
    person = served.admit()
    order = served.order(PREFECT_API_URL=server.environment["PREFECT_API_URL"])
    served.wait_for_receipt(order)
    (run,) = [
        run
        for run in _asked(server, "/flow_runs/filter", {})
        if run["parameters"] == {"order": order}
    ]
    assert run["deployment_id"]
    _assert_nothing_personal(server, person, order)


@pytest.mark.timeout(300)
def test_an_order_placed_while_prefect_is_down_is_started_by_the_scheduled_sweep(
    served: Served, server: PrefectServer
) -> None:
    """For the house the server is down where nobody listens at its address."""
    person = served.admit("subject-bela-novak")
    begun = time.monotonic()
    order = served.order(
        "subject-bela-novak", PREFECT_API_URL=f"http://127.0.0.1:{free_port()}/api"
    )
    assert time.monotonic() - begun < 30
    made = server.prefect("deployment", "schedule", "create", "sweep/sweep", "--interval", "5")
    assert made.returncode == 0, made.stdout + made.stderr
    served.wait_for_receipt(order, seconds=180)
    _assert_nothing_personal(server, person)


@pytest.mark.timeout(300)
def test_what_prefect_kept_of_the_persons_uploads_is_gone_with_them(
    served: Served, server: PrefectServer
) -> None:
    """Runs that are finished, at work, and not yet begun; those of others stay."""
    person = served.admit("subject-cara-okoye")
    other = served.admit("subject-dora-lindt")
    runs = _runs_on(server, person.upload, "Completed", "Running", "Scheduled")
    kept = _runs_on(server, other.upload, "Completed")
    task = _post(
        server,
        "/task_runs/",
        {
            "flow_run_id": runs[0],
            "task_key": "extract",
            "dynamic_key": "0",
            "state": {"type": "COMPLETED", "name": "Completed"},
        },
    )["id"]
    _post(
        server,
        "/artifacts/",
        {"flow_run_id": runs[0], "task_run_id": task, "type": "progress", "data": 100.0},
    )
    assert _found(server, runs) == (3, 1, 1)
    order = served.order("subject-cara-okoye")
    done = served.house.plain(
        "sweep", "--json", PREFECT_API_URL=server.environment["PREFECT_API_URL"]
    )
    assert done.returncode == 0, done.stderr
    assert order in done.stdout
    served.wait_for_receipt(order)
    assert _found(server, runs) == (0, 0, 0)
    assert _found(server, kept)[0] == 1


def _found(server: PrefectServer, runs: list[str]) -> tuple[int, int, int]:
    """How many flow runs, task runs and artifacts the server has of some flow runs."""
    among = {"any_": runs}
    return (
        len(_asked(server, "/flow_runs/filter", {"flow_runs": {"id": among}})),
        len(_asked(server, "/task_runs/filter", {"task_runs": {"flow_run_id": among}})),
        len(_asked(server, "/artifacts/filter", {"artifacts": {"flow_run_id": among}})),
    )


def _post(server: PrefectServer, path: str, content: dict[str, Any]) -> dict[str, Any]:
    answer: Any = _asked(server, path, content)
    assert isinstance(answer, dict)
    return answer


def _runs_on(server: PrefectServer, upload: str, *states: str) -> list[str]:
    """Flow runs of `ingest` on an upload, in these states, of no worker."""
    flow = _post(server, "/flows/", {"name": "ingest"})["id"]
    return [
        str(
            _post(
                server,
                "/flow_runs/",
                {
                    "flow_id": flow,
                    "parameters": {"upload": upload},
                    "state": {"type": state.upper(), "name": state},
                },
            )["id"]
        )
        for state in states
    ]


@pytest.mark.timeout(300)
def test_the_alarm_for_an_order_that_is_soon_late_is_an_event_of_the_server(
    served: Served, server: PrefectServer
) -> None:
    """It is held, so nobody can carry it out, and the alarm is set to come long before."""
    served.admit("subject-fina-roth")
    document = served.house.home.parent / "warrant.txt"
    document.write_text("a warrant")
    held = served.house.run(
        *("hold", "place", "--subject", "subject-fina-roth", "--case", "d"),
        *("--document", str(document), "--until", "2027-06-30"),
    )
    assert held.code == 0, held.err
    order = served.order("subject-fina-roth")
    said = served.house.run(
        "sweep",
        PREFECT_API_URL=server.environment["PREFECT_API_URL"],
        LIKENESS_RETENTION__ALARM_DAYS_BEFORE="60",
    )
    assert (said.code, said.fields["ok"]) == (0, True)
    assert [(each["order"], each["late"]) for each in said.fields["urgent"]] == [(order, False)]
    assert f"ALARM: order {order}" in said.err
    wait_until(
        lambda: _events(server, "erasure.alarm") == [f"likeness.order.{order}"],
        seconds=60,
        what="the alarm",
    )


def _events(server: PrefectServer, name: str) -> list[str]:
    """The resources that the events of a name are about."""
    page = _post(server, "/events/filter", {"filter": {"event": {"name": [name]}}})
    return [event["resource"]["prefect.resource.id"] for event in page["events"]]


def test_an_order_is_not_done_while_the_server_that_holds_traces_does_not_answer(
    served: Served,
) -> None:
    """Bytes, keys and rows are gone all the same; the next sweep signs the receipt."""
    served.admit("subject-emil-haas")
    nobody = f"http://127.0.0.1:{free_port()}/api"
    # Nor does an event reach the server that runs here: its worker would be first.
    order = served.order("subject-emil-haas", PREFECT_API_URL=nobody)
    said = served.house.run("sweep", PREFECT_API_URL=nobody)
    assert (said.code, said.fields["ok"]) == (4, False)
    (failed,) = said.fields["failed"]
    assert (failed["order"], failed["code"]) == (order, "service_unavailable")
    assert {each["order"]: each["state"] for each in said.fields["orders"]} == {order: "running"}
    assert served.house.run("sweep").code == 0
    served.wait_for_receipt(order, seconds=20)


def _assert_nothing_personal(server: PrefectServer, person: Person, *known: str) -> None:
    personal = (SUBJECT, FILE_NAME, AGREED, person.subject, person.pseudonym, "subject-bela-novak")
    files = [path.read_bytes() for path in server.folder.rglob("*") if path.is_file()]
    assert [word for word in personal for file in files if word.encode() in file] == []
    for word in known:
        assert [file for file in files if word.encode() in file], "the search would find it"
