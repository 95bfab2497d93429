"""A network that fails before a real S3 server: nothing is lost, doubled, half-written or kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest

from models.schema.errors import LikenessError, ServiceUnavailable
from storage.objects import ObjectStore, s3_requests
from tests.servers.proxy import Fault, Proxy, proxy
from tests.servers.s3 import S3Server
from tests.storage.objects.opening import opener

pytestmark = pytest.mark.services

MIB = 1024 * 1024
BROKEN = [Fault.UNAVAILABLE, Fault.INTERNAL, Fault.REFUSED, Fault.UNANSWERED]


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
        lambda: store.delete_many([key] + [f"{number:032x}" for number in range(100)]),
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
    network.reset(lambda line, _: Fault.PRETENDED if "delete=" in line else None)
    with pytest.raises(LikenessError, match="still lists") as raised:
        store.delete(key)
    assert raised.value.reason == "still_listed"
    assert direct.traces(key) == ["version"]


@pytest.fixture
def keys(direct: ObjectStore, new_key: Callable[[], str]) -> list[str]:
    """Enough objects for a walk, and one that is not deleted with them."""
    made = [new_key() for _ in range(12)]
    for key in made:
        direct.put(key, [b"x"])
    return made


@pytest.mark.parametrize("fault", BROKEN)
def test_deleting_many_survives_one_failure_at_any_of_its_requests(
    store: ObjectStore, direct: ObjectStore, network: Proxy, keys: list[str], fault: Fault
) -> None:
    *ours, other = keys
    failing, requests = 0, 1
    while failing < requests:
        for key in ours[:3]:
            direct.delete(key)
            direct.put(key, [b"x"])
        network.reset(lambda _, number, at=failing: fault if number == at else None)  # type: ignore[misc]
        store.delete_many(ours)
        requests = len(network.seen)
        assert direct.present_among(keys) == {other}
        failing += 1


def test_a_deletion_whose_answer_does_not_come_in_time_is_tried_again(
    store: ObjectStore,
    s3: S3Server,
    bucket: str,
    direct: ObjectStore,
    network: Proxy,
    keys: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_requests, "_READ_SECONDS", 0.5)
    impatient = opener(s3, bucket, endpoint=network.endpoint)()
    *ours, other = keys
    silent = {Fault.SILENT: 2}

    def at_first(line: str, _number: int) -> Fault | None:
        if "delete=" in line and silent[Fault.SILENT]:
            silent[Fault.SILENT] -= 1
            return Fault.SILENT
        return None

    network.reset(at_first)
    impatient.delete_many(ours)
    assert direct.present_among(keys) == {other}
    network.reset(lambda line, _number: Fault.SILENT if "delete=" in line else None)
    with pytest.raises(ServiceUnavailable):
        impatient.delete_many([other])


@pytest.mark.parametrize("fault", BROKEN)
def test_a_store_that_fails_for_good_while_it_deletes_is_finished_by_the_next_run(
    store: ObjectStore, direct: ObjectStore, network: Proxy, keys: list[str], fault: Fault
) -> None:
    *ours, other = keys
    network.reset(lambda line, _number: fault if "delete=" in line else None)
    with pytest.raises(ServiceUnavailable):
        store.delete_many(ours)
    network.reset(lambda _line, _number: None)
    store.delete_many(ours)
    assert direct.present_among(keys) == {other}


def test_a_store_that_answers_deleted_for_many_and_keeps_them_is_found_out(
    store: ObjectStore, direct: ObjectStore, network: Proxy, keys: list[str]
) -> None:
    network.reset(lambda line, _number: Fault.PRETENDED if "delete=" in line else None)
    with pytest.raises(LikenessError, match="still lists") as raised:
        store.delete_many(keys)
    assert raised.value.reason == "still_listed"
    assert direct.present_among(keys) == set(keys)


def refusal(code: str, *keys: str) -> bytes:
    """An answer of 200 that refuses each of these keys, or with none the whole request."""
    if not keys:
        return f"<Error><Code>{code}</Code></Error>".encode()
    errors = "".join(f"<Error><Key>{key}</Key><Code>{code}</Code></Error>" for key in keys)
    return f"<DeleteResult>{errors}</DeleteResult>".encode()


@pytest.mark.parametrize("code", ["InternalError", "SlowDown", "ServiceUnavailable"])
@pytest.mark.parametrize("refused", [0, 1, 12])
def test_an_error_inside_a_good_answer_is_tried_again(
    store: ObjectStore,
    direct: ObjectStore,
    network: Proxy,
    keys: list[str],
    code: str,
    refused: int,
) -> None:
    answers = [refusal(code, *keys[:refused])] * 2
    network.reset(lambda line, _number: answers.pop() if "delete=" in line and answers else None)
    store.delete_many(keys)
    assert direct.present_among(keys) == set()


@pytest.mark.parametrize("code", ["InternalError", "AccessDenied", "InvalidRequest"])
@pytest.mark.parametrize("refused", [0, 1, 12])
def test_an_error_inside_a_good_answer_that_stays_is_never_taken_for_done(
    store: ObjectStore,
    direct: ObjectStore,
    network: Proxy,
    keys: list[str],
    code: str,
    refused: int,
) -> None:
    answer = refusal(code, *keys[:refused])
    network.reset(lambda line, _number: answer if "delete=" in line else None)
    with pytest.raises(LikenessError) as raised:
        store.delete_many(keys)
    assert isinstance(raised.value, ServiceUnavailable) is (code != "InvalidRequest")
    assert not any(key in raised.value.message for key in keys)
    assert direct.present_among(keys) == set(keys)


def test_a_version_that_is_gone_already_is_no_error(
    store: ObjectStore, direct: ObjectStore, network: Proxy, keys: list[str]
) -> None:
    answers = [refusal("NoSuchVersion", *keys)]
    network.reset(lambda line, _number: answers.pop() if "delete=" in line and answers else None)
    store.delete_many(keys)
    assert direct.present_among(keys) == set()


def test_a_listing_that_does_not_advance_is_not_read_for_ever(
    store: ObjectStore, network: Proxy, keys: list[str]
) -> None:
    stuck = (
        b"<ListVersionsResult><Name>b</Name><IsTruncated>true</IsTruncated>"
        b"<NextKeyMarker></NextKeyMarker></ListVersionsResult>"
    )
    network.reset(lambda line, _number: stuck if "key-marker" in line else None)
    with pytest.raises(ServiceUnavailable, match="advance"):
        store.present_among(keys)
