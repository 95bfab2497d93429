"""What deleting many objects costs: `python -m benchmarks.deletion --objects 100000`.

Three tables in Markdown, each a ratio to the least that could be done, measured in one run: both
take turns, a page of 1000 keys each, so that what else the machine does slows both.

- s3: a bucket that holds nothing else, on the real S3 server; beside it a loop of the same SDK
  that lists versions and removes each page of them, and looks at nothing afterwards.
- scattered: the same among `--others` times as many of others; beside it a loop that asks for each.
- folder: beside it `unlink` alone, and `unlink` with each shelf synced once a page.

`delete_many` also looks for unfinished writes, and verifies that nothing is left. `--part` runs one
table alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Final

import pytest
from minio import Minio
from minio.deleteobjects import DeleteObject

from storage.objects import ObjectStore, open_store
from storage.objects.interface import PAGE_KEYS, pages_of
from tests.servers.s3 import S3Server, s3_server

PARTS: Final = ("s3", "scattered", "folder")
BODY: Final = bytes(1024)
WRITERS: Final = 8
MULTIPART_BYTES: Final = 9 * 1024 * 1024


@dataclass
class Way:
    """One way to delete a page of keys, and the seconds that it took so far."""

    delete: Callable[[Sequence[str]], object]
    seconds: float = 0.0


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, help="one table alone")
    parser.add_argument("--objects", type=int, default=2000, help="of one person (2000)")
    parser.add_argument("--others", type=int, default=4, help="of others, for each of theirs (4)")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    tables: dict[str, Callable[[], None]] = {
        "s3": partial(alone, chosen.objects),
        "scattered": partial(scattered, chosen.objects, chosen.others),
        "folder": partial(folder, chosen.objects),
    }
    for name in [chosen.part] if chosen.part else PARTS:
        try:
            tables[name]()
        except pytest.skip.Exception as absent:
            print(f"{name} was not measured: {absent}\n")


# --- the tables -------------------------------------------------------------------------------


def alone(count: int) -> None:
    """A bucket that holds one person's objects and nothing else."""
    rows = []
    with _warm_server() as server:
        for kind in ("unversioned", "versioned"):
            for objects in _sizes(count):
                keys = _new_keys(objects)
                ours, bare = _filled(server, kind, keys), _filled(server, kind, keys)
                rows.append((kind, *_row(keys, _store(server, ours), _listed(server, bare))))
    _table(
        "`delete_many` and a bare loop of the same SDK, in a bucket of their own",
        (
            "bucket",
            "objects",
            "list and remove, s",
            "delete_many, s",
            "ratio",
            "ms each",
            "again, s",
        ),
        rows,
    )


def scattered(count: int, others_each: int) -> None:
    """One person's objects among those of others."""
    rows = []
    with _warm_server() as server:
        for objects in _sizes(count):
            keys, others = _new_keys(objects), _new_keys(objects * others_each)
            ours, bare = (_filled(server, "unversioned", [*keys, *others]) for _ in range(2))
            rows.append(_row(keys, _store(server, ours), _asked(server, bare)))
            assert _store(server, ours).present_among(others) == set(others)
    _table(
        f"The same among {others_each} objects of others to each, unversioned",
        ("objects", "ask and remove, s", "delete_many, s", "ratio", "ms each", "again, s"),
        rows,
    )


def folder(count: int) -> None:
    """Objects as files."""
    rows = []
    for objects in _sizes(count):
        keys = _new_keys(objects)
        with tempfile.TemporaryDirectory(prefix="likeness-bench-") as home:
            stores = [open_store(f"{home}/{name}", region="local") for name in "abc"]
            for store in stores:
                for key in keys:
                    store.put(key, [BODY])
            bare = Way(partial(_unlink, f"{home}/a", sync=False))
            durable = Way(partial(_unlink, f"{home}/b", sync=True))
            ours = Way(stores[2].delete_many)
            _take_turns(keys, (bare, durable, ours))
            rows.append(
                (
                    f"{objects:,}",
                    f"{bare.seconds:.3f}",
                    f"{durable.seconds:.3f}",
                    f"{ours.seconds:.3f}",
                    f"{ours.seconds / bare.seconds:.2f}",
                    f"{ours.seconds / durable.seconds:.2f}",
                    f"{_looked_for(keys, stores[2]):.3f}",
                )
            )
    _table(
        "`delete_many` and `unlink`, in a folder",
        (
            "objects",
            "unlink, s",
            "unlink and sync, s",
            "delete_many, s",
            "ratio to unlink",
            "ratio to unlink and sync",
            "again, s",
        ),
        rows,
    )


# --- what is compared -------------------------------------------------------------------------


def _listed(server: S3Server, bucket: str) -> Way:
    """Lists the versions of the whole bucket, and removes them page by page."""
    client = server.client()
    listing = _versions(client, bucket, "")
    return Way(
        lambda page: _removed(client, bucket, list(islice(listing, len(page)))),
    )


def _asked(server: S3Server, bucket: str) -> Way:
    """Asks for the versions of each key, and removes them page by page."""
    client = server.client()
    return Way(
        lambda page: _removed(
            client, bucket, [found for key in page for found in _versions(client, bucket, key)]
        ),
    )


def _versions(client: Minio, bucket: str, prefix: str) -> Iterator[DeleteObject]:
    for found in client.list_objects(bucket, prefix, recursive=True, include_version=True):
        yield DeleteObject(str(found.object_name), found.version_id)


def _removed(client: Minio, bucket: str, versions: Sequence[DeleteObject]) -> None:
    assert list(client.remove_objects(bucket, versions)) == []


def _unlink(home: str, page: Sequence[str], *, sync: bool) -> None:
    for key in page:
        os.unlink(f"{home}/whole/{key[:2]}/{key}")  # noqa: PTH108 (what is measured)
    for shelf in sorted({key[:2] for key in page}) if sync else ():
        descriptor = os.open(f"{home}/whole/{shelf}", os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


# --- measuring and showing --------------------------------------------------------------------


def _row(keys: Sequence[str], store: ObjectStore, bare: Way) -> tuple[str, ...]:
    """Delete the same keys in both ways; how long each took."""
    ours = Way(store.delete_many)
    _take_turns(keys, (bare, ours))
    return (
        f"{len(keys):,}",
        f"{bare.seconds:.2f}",
        f"{ours.seconds:.2f}",
        f"{ours.seconds / bare.seconds:.2f}",
        f"{1000 * ours.seconds / len(keys):.2f}",
        f"{_looked_for(keys, store):.2f}",
    )


def _take_turns(keys: Sequence[str], ways: Sequence[Way]) -> None:
    """Each way deletes every page, and another one begins with each."""
    for number, page in enumerate(pages_of(keys)):
        first = number % len(ways)
        for way in (*ways[first:], *ways[:first]):
            began = time.perf_counter()
            way.delete(page)
            way.seconds += time.perf_counter() - began


def _looked_for(keys: Sequence[str], store: ObjectStore) -> float:
    """Seconds in which a later verification finds that nothing came back."""
    began = time.perf_counter()
    assert store.present_among(keys) == set()
    return time.perf_counter() - began


def _sizes(count: int) -> tuple[int, ...]:
    """A tenth and the whole, where the tenth has pages enough to be measured."""
    return (count // 10, count) if count // 10 >= PAGE_KEYS else (count,)


def _new_keys(count: int) -> list[str]:
    return [secrets.token_hex(16) for _ in range(count)]


@contextmanager
def _warm_server() -> Iterator[S3Server]:
    """A server that has taken part in an upload before: for its first Ceph makes a pool (1.6 s)."""
    with s3_server() as server:
        _store(server, server.bucket()).put("0" * 32, [bytes(MULTIPART_BYTES)])
        yield server


def _filled(server: S3Server, kind: str, keys: Sequence[str]) -> str:
    """A fresh bucket with an object under each key."""
    client, bucket = server.client(), server.bucket(kind)
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(
            lambda key: client.put_object(bucket, key, BytesIO(BODY), len(BODY)), keys
        ):
            pass
    return bucket


def _store(server: S3Server, bucket: str) -> ObjectStore:
    return open_store(
        f"s3://{bucket}?endpoint={server.endpoint}&secure=false",
        region="local",
        access_key=server.access_key,
        secret_key=server.secret_key,
    )


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"{title}\n")
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
