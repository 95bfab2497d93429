"""A network that fails before a real S3 server: nothing is lost, doubled, half-written or kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest

from models.schema.errors import LikenessError, ServiceUnavailable
from storage.objects import ObjectStore
from tests.servers.proxy import Fault, Proxy, proxy
from tests.servers.s3 import S3Server
from tests.storage.objects.opening import opener

pytestmark = pytest.mark.services

MIB = 1024 * 1024
BROKEN = [Fault.UNAVAILABLE, Fault.REFUSED, Fault.UNANSWERED]


@pytest.fixture(params=["unversioned", "versioned"])
def bucket(s3: S3Server, request: pytest.FixtureRequest) -> str:
    return s3.bucket(request.param)


@pytest.fixture
def network(s3: S3Server) -> Iterator[Proxy]:
    with proxy(s3.endpoint) as made:
        yield made


@pytest.fixture
def store(s3: S3Server, bucket: str, network: Proxy) -> ObjectStore:
    """The store behind the failing network."""
    return opener(s3, bucket, endpoint=network.endpoint)()


@pytest.fixture
def direct(s3: S3Server, bucket: str) -> ObjectStore:
    """The same store, to see what is really there."""
    return opener(s3, bucket)()


def read(store: ObjectStore, key: str) -> bytes:
    with store.get(key) as pieces:
        return b"".join(pieces)


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("size", [100, 9 * MIB])
def test_a_put_survives_one_failure_at_any_of_its_requests_and_writes_one_object(
    store: ObjectStore,
    direct: ObjectStore,
    network: Proxy,
    new_key: Callable[[], str],
    fault: Fault,
    size: int,
) -> None:
    whole = os.urandom(size)
    failing, requests = 0, 1
    while failing < requests:
        key = new_key()
        network.reset(lambda _, number, at=failing: fault if number == at else None)  # type: ignore[misc]
        assert store.put(key, [whole]).sha256 == sha256(whole).hexdigest()
        requests = len(network.seen)
        assert read(direct, key) == whole
        assert direct.traces(key) == ["version"]
        direct.delete(key)
        assert direct.traces(key) == []
        failing += 1


@pytest.mark.parametrize("bucket", ["unversioned"], indirect=True)
@pytest.mark.parametrize("fault", BROKEN[:2])
def test_a_store_that_stays_away_is_reported_in_seconds(
    store: ObjectStore, network: Proxy, key: str, fault: Fault
) -> None:
    network.reset(lambda _line, _number: fault)
    for use in (
        lambda: store.put(key, [b"x"]),
        lambda: store.get(key).__enter__(),
        lambda: store.delete(key),
        lambda: list(store.list_keys()),
    ):
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable) as raised:
            use()
        assert time.monotonic() - began < 15
        assert network.endpoint not in raised.value.message
        assert key not in raised.value.message


@pytest.mark.parametrize("fault", BROKEN)
def test_a_put_that_fails_for_good_leaves_nothing_that_delete_does_not_remove(
    store: ObjectStore, direct: ObjectStore, network: Proxy, key: str, fault: Fault
) -> None:
    network.reset(lambda line, _number: fault if "partNumber=2" in line else None)
    with pytest.raises(ServiceUnavailable):
        store.put(key, [bytes(9 * MIB)])
    assert direct.stat(key) is None
    direct.delete(key)
    assert direct.traces(key) == []


@pytest.mark.parametrize("size", [100, 5 * MIB])
def test_an_answer_that_breaks_off_is_resumed_where_it_broke(
    store: ObjectStore, direct: ObjectStore, network: Proxy, key: str, size: int
) -> None:
    whole = os.urandom(size)
    direct.put(key, [whole])
    network.reset(lambda _, number: Fault.CUT if number < 4 else None)
    assert read(store, key) == whole
    network.reset(lambda _line, _number: Fault.CUT)
    with pytest.raises(ServiceUnavailable):
        read(store, key)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_delete_survives_one_failure_at_any_of_its_requests(
    store: ObjectStore, direct: ObjectStore, network: Proxy, key: str, fault: Fault
) -> None:
    failing, requests = 0, 1
    while failing < requests:
        direct.put(key, [b"x"])
        network.reset(lambda _, number, at=failing: fault if number == at else None)  # type: ignore[misc]
        store.delete(key)
        requests = len(network.seen)
        assert direct.traces(key) == []
        failing += 1


def test_a_store_that_answers_deleted_and_keeps_the_version_is_found_out(
    store: ObjectStore, direct: ObjectStore, network: Proxy, key: str
) -> None:
    direct.put(key, [b"x"])
    network.reset(lambda line, _: Fault.PRETENDED if line.startswith("DELETE") else None)
    with pytest.raises(LikenessError, match="still lists"):
        store.delete(key)
    assert direct.traces(key) == ["version"]
