"""The stores fail while an order is carried out: the error says what to do, the order stays owed,
and the next run comes to the same end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from minio.commonconfig import GOVERNANCE
from minio.retention import Retention as Lock
from sqlalchemy import event
from sqlalchemy.engine import make_url

from models.schema.errors import LikenessError, Refused, ServiceUnavailable
from storage.assembly import StorageAddresses
from storage.catalogue.orders import Order, OrderState
from storage.erasure.lease import LEASE
from storage.erasure.orders import Request
from storage.objects import open_store, s3_requests
from tests.servers.proxy import Fault, Proxy, proxy
from tests.servers.s3 import S3Server
from tests.storage.conftest import MovableClock
from tests.storage.erasure.conftest import (
    CASES,
    Before,
    House,
    Houses,
    Populated,
    assert_erased,
    before,
    populate,
)
from tests.storage.objects.test_s3 import may_not_pass_over_governance

CASE: Final = CASES["subject"]
BROKEN: Final = [
    Fault.UNAVAILABLE,
    Fault.INTERNAL,
    Fault.REFUSED,
    Fault.UNANSWERED,
    Fault.CUT,
]
DISK_BYTES: Final = 24 * 1024 * 1024


def _request(template: Populated) -> Request:
    return CASE.request(template)


def _fails(house: House, work: Callable[[], object]) -> LikenessError | None:
    """Run what may fail; an error is one of ours, says what to do, and names no path."""
    try:
        work()
    except LikenessError as error:
        assert error.remedy
        assert str(house.home) not in f"{error.message} {error.remedy}"
        return error
    return None


def _is_owed(house: House, order: Order) -> bool:
    """Whether the order goes on with the next run, or had come to its receipt just before."""
    state = house.storage.orders.by_id(order.id).order.state
    return state in {OrderState.PENDING, OrderState.RUNNING} or (
        state is OrderState.DONE and house.receipts() == [order.id]
    )


# --- the folder and the disk --------------------------------------------------------------------


@dataclass
class Failing:
    """Does something right after the n-th action that an erasure names."""

    at: int
    work: Callable[[], object]
    seen: int = 0

    def __call__(self, _name: str) -> None:
        if self.seen == self.at:
            self.work()
        self.seen += 1

    @property
    def happened(self) -> bool:
        return self.seen > self.at


def test_a_folder_that_goes_away_at_any_moment_leaves_the_order_owed(houses: Houses) -> None:
    known = before(houses.copied(), houses.template, CASE)
    at, failed, happened = 0, 0, True
    while happened:
        house = houses.copied()
        folder, away = house.home / "objects", house.home / "elsewhere"
        order = house.storage.orders.place(_request(houses.template))
        failing = Failing(at, lambda f=folder, a=away: f.rename(a))  # type: ignore[misc]
        error = _fails(house, partial(house.carrying_out(failing).run, order.id))
        happened = failing.happened
        if error is not None:
            assert isinstance(error, ServiceUnavailable)
            failed += 1
        if away.exists():
            away.rename(folder)
        assert error is None or _is_owed(house, order)
        house.storage.carrying_out.run(order.id)
        assert_erased(house, houses.template, CASE, known, order)
        at += 1
    assert failed > 5


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, that can be full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this account may not mount a disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def _fill(disk: Path) -> None:
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while ballast.write(bytes(size)):
                    pass


def _free(disk: Path) -> None:
    (disk / "ballast").unlink(missing_ok=True)


def test_a_disk_that_is_full_from_any_moment_on_leaves_the_order_owed(
    houses: Houses, small_disk: Path, addresses_in: Callable[[Path], StorageAddresses]
) -> None:
    crowded = replace(houses, addresses=addresses_in(small_disk / "home"))
    known = before(crowded.copied(), houses.template, CASE)
    at, failed, happened = 0, 0, True
    while happened:
        house = crowded.copied()
        order = house.storage.orders.place(_request(houses.template))
        failing = Failing(at, lambda: _fill(small_disk))
        error = _fails(house, partial(house.carrying_out(failing).run, order.id))
        happened = failing.happened
        failed += error is not None
        _free(small_disk)
        house = crowded.opened()
        assert error is None or _is_owed(house, order)
        # The full catalogue could not take the lease back either.
        crowded.clock.advance(LEASE + timedelta(seconds=1))
        house.storage.carrying_out.run(order.id)
        assert_erased(house, houses.template, CASE, known, order)
        at += 1
    assert failed > 5


def test_an_order_that_the_full_disk_does_not_take_is_answered_with_an_error_and_taken_later(
    houses: Houses, small_disk: Path, addresses_in: Callable[[Path], StorageAddresses]
) -> None:
    crowded = replace(houses, addresses=addresses_in(small_disk / "home"))
    house = crowded.copied()
    known = before(house, houses.template, CASE)
    _fill(small_disk)
    with pytest.raises(ServiceUnavailable) as full:
        house.storage.orders.place(_request(houses.template))
    assert "space" in full.value.remedy
    _free(small_disk)
    order = house.storage.orders.place(_request(houses.template))
    house.storage.carrying_out.run(order.id)
    assert_erased(house, houses.template, CASE, known, order)


# --- a real S3 server behind a network that fails -----------------------------------------------


@dataclass
class Remote:
    """A populated house whose objects lie in a bucket; workers reach it through the network."""

    house: House
    worker: House
    network: Proxy
    template: Populated
    known: Before

    def run(self, order: Order) -> None:
        """Carry out with the network as it is."""
        self.worker.storage.carrying_out.run(order.id)

    def place(self) -> Order:
        return self.house.storage.orders.place(_request(self.template))

    def assert_finished(self, order: Order) -> None:
        """With the network healthy, another run ends it."""
        self.network.reset(lambda _line, _number: None)
        self.run(order)
        assert_erased(self.house, self.template, CASE, self.known, order)


RemoteFactory = Callable[..., Remote]


@pytest.fixture
def remote(
    houses: Houses, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RemoteFactory]:
    """Makes a Remote in a fresh bucket of some versioning, or in a named one."""
    monkeypatch.setenv("LIKENESS_S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("LIKENESS_S3_SECRET_KEY", s3.secret_key)
    monkeypatch.setattr(s3_requests, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(s3_requests, "_READ_SECONDS", 5)
    with proxy(s3.endpoint) as network:

        def made(versioning: str = "versioned", *, bucket: str | None = None) -> Remote:
            network.reset(lambda _line, _number: None)
            houses.copied()
            named = bucket or s3.bucket(versioning)

            def at(endpoint: str) -> House:
                url = f"s3://{named}?endpoint={endpoint}&secure=false"
                return House(replace(houses.addresses, objects_url=url), houses.clock)

            house = at(s3.endpoint)
            local = open_store(houses.addresses.objects_url, region="local")
            for entry in local.list_keys():
                with local.get(entry.key) as pieces:
                    house.storage.store.put(entry.key, pieces)
            shutil.rmtree(house.home / "objects")
            known = before(house, houses.template, CASE)
            return Remote(house, at(network.endpoint), network, houses.template, known)

        yield made


@pytest.mark.services
@pytest.mark.parametrize("versioning", ["unversioned", "versioned", "suspended"])
def test_a_bucket_of_any_versioning_keeps_no_version_and_no_marker(
    remote: RemoteFactory, s3: S3Server, versioning: str
) -> None:
    made = remote(versioning)
    client, bucket = s3.client(), _bucket(made)
    for name in ("a.voice_segment", "b.report"):  # hidden behind a marker by somebody else
        client.remove_object(bucket, made.house.row(made.template.objects[name]).store_key or "")
    order = made.place()
    made.assert_finished(order)
    listed = client.list_objects(bucket, recursive=True, include_version=True)
    assert len({found.object_name for found in listed}) == len(
        list(made.house.storage.store.list_keys())
    )


@pytest.mark.services
def test_a_network_that_fails_for_good_from_any_request_on_leaves_the_order_owed(
    remote: RemoteFactory,
) -> None:
    at, failed, reached = 0, 0, True
    while reached:
        made = remote()
        order = made.place()
        fault = BROKEN[at % len(BROKEN)]
        made.network.reset(lambda _, number, f=fault, n=at: f if number >= n else None)  # type: ignore[misc]
        error = _fails(made.house, lambda m=made, o=order: m.run(o))  # type: ignore[misc]
        reached = len(made.network.seen) > at
        assert error is None or isinstance(error, ServiceUnavailable), fault
        failed += error is not None
        assert error is None or _is_owed(made.house, order)
        made.assert_finished(order)
        at += 5 if at else 1
    assert failed > 5


@pytest.mark.services
@pytest.mark.parametrize("fault", [*BROKEN, Fault.SILENT, Fault.PRETENDED])
def test_a_store_that_does_not_delete_is_no_erasure(
    remote: RemoteFactory, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(s3_requests, "_READ_SECONDS", 0.5)
    made = remote()
    order = made.place()
    made.network.reset(lambda line, _number: fault if "delete=" in line else None)
    error = _fails(made.house, lambda: made.run(order))
    if fault is Fault.PRETENDED:
        assert error is not None
        assert error.reason == "still_listed"
    else:
        assert isinstance(error, ServiceUnavailable)
    assert made.house.receipts() == []
    assert _is_owed(made.house, order)
    made.assert_finished(order)


@pytest.mark.services
def test_a_slow_store_makes_an_erasure_slow_and_no_more(remote: RemoteFactory) -> None:
    made = remote()
    order = made.place()
    made.network.reset(lambda _line, _number: time.sleep(0.2))  # type: ignore[func-returns-value]
    made.run(order)
    assert made.house.receipts() == [order.id]
    made.assert_finished(order)


@pytest.mark.services
@pytest.mark.parametrize("may_pass", [True, False])
def test_a_governance_lock_is_passed_over_or_waited_for(
    remote: RemoteFactory, s3: S3Server, may_pass: bool
) -> None:
    client, bucket = s3.client(), f"locked{os.urandom(6).hex()}"
    client.make_bucket(bucket, object_lock=True)
    made = remote(bucket=bucket)
    row = made.house.row(made.template.objects["a.voice_segment"])
    until = datetime.now(UTC) + timedelta(seconds=60 if may_pass else 8)
    client.set_object_retention(bucket, row.store_key or "", Lock(GOVERNANCE, until))
    order = made.place()
    if not may_pass:
        may_not_pass_over_governance(s3, bucket)
        error = _fails(made.house, lambda: made.run(order))
        assert isinstance(error, Refused)
        assert error.reason == "locked"
        left = made.house.storage.store.present_among(
            made.house.row(made.template.objects[name]).store_key or ""
            for name in made.template.gone_with(CASE)
            if name != "waiting.voice_segment"
        )
        assert left == {row.store_key}
        time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 1)
    made.assert_finished(order)


def _bucket(made: Remote) -> str:
    return made.house.addresses.objects_url.partition("://")[2].partition("?")[0]


# --- PostgreSQL ---------------------------------------------------------------------------------


@dataclass
class Served:
    """Makes copies of a populated house whose databases are PostgreSQL's."""

    addresses: StorageAddresses
    template: Populated
    catalogue_url: str
    keys_url: str
    clock: MovableClock

    def copied(self) -> House:
        """A fresh copy of both databases and of the objects."""
        home = self.addresses.keys_folder.parent
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.template.folder, home)
        urls = {name: _copy_of(getattr(self, name)) for name in ("catalogue_url", "keys_url")}
        return House(replace(self.addresses, **urls), self.clock)


def _copy_of(url: str) -> str:
    base, _, name = url.rpartition("/")
    copy = f"t{os.urandom(6).hex()}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}"'.encode())
    return f"{base}/{copy}"


@pytest.fixture
def served(
    tmp_path: Path,
    fresh_postgres: Callable[[], str],
    addresses_in: Callable[[Path], StorageAddresses],
    clock: MovableClock,
) -> Served:
    addresses = addresses_in(tmp_path / "template")
    addresses = replace(addresses, catalogue_url=fresh_postgres(), keys_url=fresh_postgres())
    house = House(addresses, clock)
    template = populate(house, tmp_path / "template")
    _let_go(house)
    return Served(
        addresses_in(tmp_path / "home"),
        template,
        addresses.catalogue_url,
        addresses.keys_url,
        clock,
    )


def _let_go(house: House) -> None:
    for database in (house.storage.catalogue, house.storage.keys.database):
        database.engine.dispose()


def _crash(url: str, process: int) -> None:
    """Kill one backend: PostgreSQL ends all others and recovers from its log."""
    os.kill(process, signal.SIGKILL)
    end = time.monotonic() + 60
    plain = make_url(url).set(drivername="postgresql", database="postgres")
    time.sleep(0.1)
    while time.monotonic() < end:
        with suppress(psycopg.OperationalError):
            psycopg.connect(plain.render_as_string(hide_password=False), connect_timeout=2).close()
            return
        time.sleep(0.05)
    pytest.fail("PostgreSQL did not come back")


@pytest.mark.services
@pytest.mark.timeout(600)
def test_postgresql_that_restarts_in_the_middle_of_any_transaction_loses_no_order(
    served: Served,
) -> None:
    known = None
    at, failed, happened = 0, 0, True
    while happened:
        house = served.copied()
        known = known or before(house, served.template, CASE)
        order = house.storage.orders.place(_request(served.template))
        failing = Failing(at, lambda: None)
        databases = (house.storage.catalogue, house.storage.keys.database)

        def crash(connection: Any, failing: Failing = failing) -> None:
            if not connection.get_execution_options().get("house_writes"):
                return
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            url = connection.engine.url.render_as_string(hide_password=False)
            failing.work = lambda: _crash(url, process)
            failing("")

        for database in databases:
            event.listen(database.engine, "commit", crash)
        error = _fails(house, lambda h=house, o=order: h.storage.carrying_out.run(o.id))  # type: ignore[misc]
        for database in databases:
            event.remove(database.engine, "commit", crash)
        happened = failing.happened
        # It may do without the lease's end alone.
        assert isinstance(error, ServiceUnavailable) or house.receipts() == [order.id]
        assert _is_owed(house, order)
        failed += error is not None
        house.storage.carrying_out.run(order.id)
        assert_erased(house, served.template, CASE, known, order)
        _let_go(house)
        at += 1
    assert failed > 10
