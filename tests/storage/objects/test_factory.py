"""From an address to a store: what is understood, what is refused, and TLS (Policy P10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.schema.errors import BadUsage, ServiceUnavailable
from storage.objects import open_store
from storage.objects.local import LocalStore
from storage.objects.s3 import S3Store


def opened_s3(url: str) -> object:
    return open_store(url, region="CN", access_key="a", secret_key="s")


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder_is_made_where_it_is_missing(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path / "a" / "b"), region="CN")
    assert isinstance(store, LocalStore)
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_address_may_be_percent_encoded(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/with%20space", region="CN")
    assert (tmp_path / "with space").is_dir()


def test_a_folder_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(ServiceUnavailable):
        open_store(str(tmp_path / "store"), region="CN")


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:9000", "127.8.9.1", "localhost:9000", "[::1]:9000"]
)
def test_loopback_may_be_reached_without_tls(endpoint: str) -> None:
    assert isinstance(opened_s3(f"s3://objects?endpoint={endpoint}&secure=false"), S3Store)


@pytest.mark.parametrize(
    "endpoint",
    [
        "s3.example.org",
        "10.0.0.1:9000",
        "localhost.example.org",
        "127.0.0.1.example.org",
        "0.0.0.0:9000",
        "127.0.0.1@example.org",
    ],
)
def test_elsewhere_a_plain_connection_is_refused(endpoint: str) -> None:
    with pytest.raises(BadUsage):
        opened_s3(f"s3://objects?endpoint={endpoint}&secure=false")


@pytest.mark.parametrize("option", ["", "&secure=true", "&location=cn-north-1"])
def test_tls_is_the_default(option: str) -> None:
    assert isinstance(opened_s3(f"s3://objects?endpoint=s3.example.org{option}"), S3Store)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org", "s3://", "s3://objects", "s3://?endpoint=a", "file://host/folder",
        "s3://objects/folder?endpoint=a", "s3://objects?endpoint=a&secure=no",
        "s3://objects?endpoint=a&secur=true", "s3://objects?endpoint=https://a",
        "s3://objects?endpoint=a/b",
    ],
)  # fmt: skip
def test_another_address_is_bad_usage(url: str) -> None:
    with pytest.raises(BadUsage) as raised:
        opened_s3(url)
    assert raised.value.remedy


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIKENESS_S3_ACCESS_KEY", "LIKENESS_S3_SECRET_KEY"):
        with pytest.raises(BadUsage, match="credentials"):
            open_store("s3://objects?endpoint=s3.example.org", region="CN")
        monkeypatch.setenv(name, "x")
    assert isinstance(open_store("s3://objects?endpoint=s3.example.org", region="CN"), S3Store)
