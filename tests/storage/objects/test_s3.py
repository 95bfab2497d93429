"""What an S3 store promises beside the contract: TLS, and gone on every kind of bucket."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from minio.commonconfig import COMPLIANCE, ENABLED, GOVERNANCE
from minio.retention import Retention
from minio.versioningconfig import SUSPENDED, VersioningConfig

from models.schema.errors import Refused, ServiceUnavailable
from storage.objects import ObjectStore, open_store
from tests.servers.processes import free_port
from tests.servers.s3 import S3Server
from tests.storage.objects.opening import opener

pytestmark = pytest.mark.services


@pytest.mark.parametrize("versioning", ["versioned", "suspended"])
def test_what_a_plain_delete_hid_is_listed_and_deleted(
    s3: S3Server, versioning: str, new_key: Callable[[], str]
) -> None:
    bucket, key, bare = s3.bucket("versioned"), new_key(), new_key()
    store = opener(s3, bucket)()
    store.put(key, [b"hidden"])
    if versioning == "suspended":
        s3.client().set_bucket_versioning(bucket, VersioningConfig(SUSPENDED))
    for name in (key, bare):
        s3.client().remove_object(bucket, name)
    assert store.stat(key) is None
    assert store.traces(key) == ["version", "marker"]
    assert store.traces(bare) == ["marker"]
    assert [found.key for found in store.list_keys()] == sorted([key, bare])
    assert store.present_among([key, bare, new_key()]) == {key, bare}
    store.delete_many([key, bare])
    assert store.present_among([key, bare]) == set()
    assert not list(s3.client().list_objects(bucket, recursive=True, include_version=True))


def test_versions_from_before_during_and_after_versioning_all_go(s3: S3Server, key: str) -> None:
    bucket, client = s3.bucket(), s3.client()
    store = opener(s3, bucket)()
    for status in (None, ENABLED, ENABLED, SUSPENDED):
        if status:
            client.set_bucket_versioning(bucket, VersioningConfig(status))
        client.put_object(bucket, key, io.BytesIO(b"written past the store"), 22)
    assert len(store.traces(key)) == 3
    assert [found.key for found in store.list_keys()] == [key]
    store.delete(key)
    assert store.traces(key) == []


def test_every_unfinished_upload_of_a_key_goes_with_it(
    s3: S3Server, new_key: Callable[[], str]
) -> None:
    bucket, client, key, other = s3.bucket(), s3.client(), new_key(), new_key()
    store = opener(s3, bucket)()
    for name in (key, key, key, other, "a name of somebody else"):
        client._create_multipart_upload(bucket, name, {})
    assert store.traces(key) == ["unfinished"] * 3
    store.delete(key)
    assert store.traces(key) == []
    assert store.clear_unfinished(older_than=timedelta(0)) == 1
    assert list(store.unfinished()) == []
    assert len(client._list_multipart_uploads(bucket).uploads) == 1


def test_names_of_others_in_the_bucket_are_neither_listed_nor_touched(
    s3: S3Server, key: str
) -> None:
    bucket, client = s3.bucket("versioned"), s3.client()
    store = opener(s3, bucket)()
    for name in (key[:-1], f"{key}0", f"{key}/a", "notes.txt"):
        client.put_object(bucket, name, io.BytesIO(b"theirs"), 6)
    others = [f"{digit}{key[1:]}" for digit in "0123456789abcdef" if digit != key[0]]
    store.put(key, [b"ours"])
    assert [found.key for found in store.list_keys()] == [key]
    store.delete_many([key, *others])
    assert store.present_among([key, *others]) == set()
    assert len(list(client.list_objects(bucket, recursive=True, include_version=True))) == 4


def may_not_pass_over_governance(s3: S3Server, bucket: str) -> None:
    """Take a right from the credentials that the store uses."""
    names = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:BypassGovernanceRetention",
        "Resource": names,
    }
    policy = {"Version": "2012-10-17", "Statement": [denial]}
    s3.client().set_bucket_policy(bucket, json.dumps(policy))


@pytest.mark.parametrize("lock", ["legal hold", "governance", "compliance"])
def test_a_lock_refuses_the_deletion_and_says_so_when_all_else_is_gone(
    s3: S3Server, key: str, new_key: Callable[[], str], lock: str
) -> None:
    client, bucket = s3.client(), f"locked{key}"
    client.make_bucket(bucket, object_lock=True)
    store, keys = opener(s3, bucket)(), [key, *(new_key() for _ in range(20))]
    for name in keys:
        store.put(name, [b"held"])
    until = datetime.now(UTC) + timedelta(seconds=4)
    if lock == "legal hold":
        client.enable_object_legal_hold(bucket, key)
    else:
        may_not_pass_over_governance(s3, bucket)
        mode = GOVERNANCE if lock == "governance" else COMPLIANCE
        client.set_object_retention(bucket, key, Retention(mode, until))
    for asked in ([key], keys):
        with pytest.raises(Refused, match=lock) as raised:
            store.delete_many(asked)
        assert raised.value.reason == "locked"
        assert store.traces(key) == ["version"]
    assert store.present_among(keys) == {key}
    if lock == "legal hold":
        client.disable_object_legal_hold(bucket, key)
    else:
        time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 1)
    store.delete(key)
    assert store.traces(key) == []


def test_governance_is_passed_over_where_the_credentials_may(
    s3: S3Server, key: str, new_key: Callable[[], str]
) -> None:
    client, bucket, other = s3.client(), f"locked{key}", new_key()
    client.make_bucket(bucket, object_lock=True)
    store = opener(s3, bucket)()
    until = datetime.now(UTC) + timedelta(seconds=60)
    for name in (key, other):
        store.put(name, [b"kept"])
        client.set_object_retention(bucket, name, Retention(GOVERNANCE, until))
    store.delete_many([key])
    assert store.present_among([key, other]) == {other}
    store.delete(other)
    assert store.traces(other) == []


@pytest.mark.parametrize("what", ["secret", "bucket", "server", "tls"])
def test_a_wrong_address_or_credential_is_unavailable_with_a_remedy(
    s3: S3Server, key: str, what: str
) -> None:
    bucket = "nowhere" if what == "bucket" else s3.bucket()
    endpoint = f"127.0.0.1:{free_port()}" if what == "server" else s3.endpoint
    store: ObjectStore = open_store(
        f"s3://{bucket}?endpoint={endpoint}&secure={'true' if what == 'tls' else 'false'}",
        region="CN",
        access_key=s3.access_key,
        secret_key="wrong" if what == "secret" else s3.secret_key,
    )
    for use in (store.check, lambda: store.put(key, [b"x"]), lambda: store.delete(key)):
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable) as raised:
            use()
        assert raised.value.remedy
        assert time.monotonic() - began < 15
