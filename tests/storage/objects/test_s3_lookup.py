"""Many keys are found among other names in few requests, walked to or asked for, none missed."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest

from storage.objects import ObjectStore
from tests.servers.proxy import Proxy, proxy
from tests.servers.s3 import S3Server
from tests.storage.objects.opening import opener

pytestmark = pytest.mark.services

OTHERS = 700
NO_UPLOADS = (
    b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
)


def fill(s3: S3Server, bucket: str, names: list[str]) -> None:
    client = s3.client()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.put_object(bucket, name, io.BytesIO(b"x"), 1), names))


def names_in(s3: S3Server, bucket: str) -> list[str]:
    listed = s3.client().list_objects(bucket, recursive=True, include_version=True)
    return sorted(str(found.object_name) for found in listed)


@pytest.fixture(scope="module", params=["unversioned", "versioned"])
def crowded(s3: S3Server, request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    """A bucket and its objects, which belong to others."""
    bucket, names = s3.bucket(request.param), [secrets.token_hex(16) for _ in range(OTHERS)]
    fill(s3, bucket, names)
    return bucket, sorted(names)


@pytest.fixture
def network(s3: S3Server) -> Iterator[Proxy]:
    with proxy(s3.endpoint) as made:
        yield made


@pytest.mark.parametrize(
    ("ours", "most_listings"),
    [
        pytest.param(1, 2, id="one is asked for"),
        pytest.param(12, 14, id="few are asked for, each by itself"),
        pytest.param(100, 2, id="many are walked to"),
        pytest.param(300, 2, id="a third of all is walked through"),
    ],
)
def test_keys_scattered_among_others_are_found_in_few_listings_and_alone_deleted(
    s3: S3Server,
    crowded: tuple[str, list[str]],
    network: Proxy,
    new_key: Callable[[], str],
    ours: int,
    most_listings: int,
) -> None:
    bucket, others = crowded
    store = opener(s3, bucket, endpoint=network.endpoint)()
    keys, never = [new_key() for _ in range(ours)], new_key()
    fill(s3, bucket, keys)
    network.reset(lambda _line, _number: None)
    assert store.present_among([*keys, never]) == set(keys)
    assert len([line for line in network.seen if "versions" in line]) <= most_listings
    store.delete_many(keys)
    assert store.present_among(keys) == set()
    assert names_in(s3, bucket) == others


def test_what_lies_between_far_keys_is_jumped_over(s3: S3Server, network: Proxy) -> None:
    bucket = s3.bucket()
    store = opener(s3, bucket, endpoint=network.endpoint)()
    keys = [f"{first}{secrets.token_hex(15)}" for first in ("00", "ff") for _ in range(40)]
    fill(s3, bucket, [*keys, *(f"7{secrets.token_hex(15)}" for _ in range(1300))])
    network.reset(lambda _line, _number: None)
    assert store.present_among(keys) == set(keys)
    assert len([line for line in network.seen if "versions" in line]) == 2


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_key_with_more_versions_than_a_listing_holds_loses_all(s3: S3Server, place: str) -> None:
    bucket = s3.bucket("versioned")
    store = opener(s3, bucket)()
    keys = sorted(secrets.token_hex(16) for _ in range(30))
    long = keys[{"first": 0, "middle": 14, "last": 29}[place]]
    beside = [f"{long[:-1]}", f"{long}0", f"{long}/more"]
    fill(s3, bucket, [*keys, *beside, *([long] * 330)])
    assert len(store.traces(long)) == 331
    store.delete_many(keys)
    assert names_in(s3, bucket) == sorted(beside)


def test_a_crowd_of_names_right_before_a_key_does_not_hide_it(s3: S3Server) -> None:
    bucket = s3.bucket()
    store = opener(s3, bucket)()
    keys = sorted(secrets.token_hex(16) for _ in range(12))
    crowd = [f"{keys[5][:-1]}!{number:04}" for number in range(600)]
    fill(s3, bucket, [*keys, *crowd])
    assert store.present_among(keys) == set(keys)
    store.delete_many(keys)
    assert names_in(s3, bucket) == sorted(crowd)


@pytest.mark.parametrize("server", ["lists by prefix", "lists by whole names, as MinIO"])
def test_unfinished_uploads_of_many_keys_are_found_whatever_the_server_lists_them_by(
    s3: S3Server, network: Proxy, server: str
) -> None:
    bucket, client = s3.bucket(), s3.client()
    store = opener(s3, bucket, endpoint=network.endpoint)()
    keys = [secrets.token_hex(16) for _ in range(60)]
    other = secrets.token_hex(16)
    for key in (keys[7], keys[7], keys[31], other):
        client._create_multipart_upload(bucket, key, {})

    def answer(line: str, _number: int) -> bytes | None:
        query = parse_qs(line.split(" ")[1].partition("?")[2], keep_blank_values=True)
        asked = "uploads" in query and "prefix" in query
        whole = len(query.get("prefix", [""])[0]) == 32
        return NO_UPLOADS if asked and not whole and "MinIO" in server else None

    network.reset(answer)
    assert store.present_among(keys) == {keys[7], keys[31]}
    asked = [line for line in network.seen if "uploads=" in line and line.startswith("GET")]
    assert (len(asked) <= 17) is (server == "lists by prefix")
    store.delete_many(keys)
    assert store.present_among(keys) == set()
    network.reset(lambda _line, _number: None)
    assert [found.key for found in store.unfinished()] == [other]


def test_an_auditor_who_may_only_read_sees_unfinished_uploads_too(s3: S3Server) -> None:
    bucket, client = s3.bucket(), s3.client()
    keys = [secrets.token_hex(16) for _ in range(20)]
    client._create_multipart_upload(bucket, keys[3], {})
    client.set_bucket_policy(
        bucket,
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", '
        f'"Action": "s3:PutObject", "Resource": "arn:aws:s3:::{bucket}/*"}}]}}',
    )
    store: ObjectStore = opener(s3, bucket)()
    assert store.present_among(keys) == {keys[3]}
