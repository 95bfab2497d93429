"""What an erasure costs: `make bench-erasure`, or `python -m benchmarks.erasure --objects 100000`.

- whole: a person's order from its plan to the signed receipt, as a ratio to a bare loop that
  deletes the same objects from the same kind of store (the SDK's batch delete, `unlink`).
- stop: from the call that orders an erasure to the last byte that a long stream is still given.
- growth: the same order as the house has more objects of the person, and more other people.

Objects are of 1 KiB; their rows and keys are written in bulk, as nothing is decrypted by an
erasure. `--part` runs one table alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import insert

from benchmarks.deletion import BODY, _filled, _listed, _new_keys, _table, _unlink, _warm_server
from models.consent.facts import EvidenceLevel, Source, Uploader
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.retention import Retention
from storage.assembly import Storage, StorageAddresses
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import OBJECTS, ObjectState
from storage.catalogue.uploads import UploadState
from storage.clock import utc_now
from storage.erasure.orders import Request
from storage.handles import Operation, Use
from storage.identifiers import random_id
from storage.key_store import OBJECT_KEYS
from storage.objects.interface import pages_of
from storage.registers.consents import Grant
from storage.registers.evidence import Evidence
from storage.registers.uploads import Conclusion, Declaration

PARTS: Final = ("whole", "stop", "growth")
VOICE: Final = frozenset({Purpose.VOICE_CLONING})
STREAM_MEBIBYTES: Final = 64
TRIALS: Final = 20


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, help="one table alone")
    parser.add_argument("--objects", type=int, default=100_000, help="of one person (100,000)")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    tables: dict[str, Callable[[], None]] = {
        "whole": partial(whole, chosen.objects),
        "stop": stop,
        "growth": partial(growth, chosen.objects),
    }
    for name in [chosen.part] if chosen.part else PARTS:
        tables[name]()


def whole(count: int) -> None:
    """One order over many objects, on a folder and on the real S3 server."""
    rows = []
    with _house() as house:
        keys = _held(house, "s-1", count)
        with tempfile.TemporaryDirectory(prefix="likeness-bench-") as bare:
            _put_files(bare, keys)
            seconds = _timed(lambda: [_unlink(bare, page, sync=True) for page in pages_of(keys)])
        rows.append(_row("folder", count, seconds, _erase(house, "s-1")))
    try:
        with _warm_server() as server:
            address = f"s3://{server.bucket()}?endpoint={server.endpoint}&secure=false"
            os.environ["LIKENESS_S3_ACCESS_KEY"] = server.access_key
            os.environ["LIKENESS_S3_SECRET_KEY"] = server.secret_key
            with _house(address) as house:
                _held(house, "s-1", count, threads=8)
                keys = _new_keys(count)
                loop = _listed(server, _filled(server, "unversioned", keys))
                seconds = _timed(lambda: [loop.delete(page) for page in pages_of(keys)])
                rows.append(_row("S3", count, seconds, _erase(house, "s-1")))
    except pytest.skip.Exception as absent:
        print(f"S3 was not measured: {absent}\n")
    _table(
        "An order from its plan to the signed receipt, and a bare loop of deletes",
        ("store", "objects", "bare loop, s", "order, s", "ratio", "ms each"),
        rows,
    )


def stop() -> None:
    """A long stream is read without pause while its person's erasure is ordered."""
    served, called = [], []
    for _ in range(TRIALS):
        with _house() as house:
            object_id = _long_object(house)
            last: list[float] = []
            reader = threading.Thread(target=_read_until_stopped, args=(house, object_id, last))
            reader.start()
            while not last:
                time.sleep(0.001)
            began = time.perf_counter()
            house.orders.place(Request(Scope.SUBJECT, "s-1"))
            called.append(time.perf_counter() - began)
            reader.join()
            served.append(max(0.0, last[-1] - began))
    rows = [
        (name, f"{1000 * sorted(each)[len(each) // 2]:.0f}", f"{1000 * max(each):.0f}")
        for name, each in (("the call returns", called), ("the last byte is served", served))
    ]
    _table(f"From the call, over {TRIALS} trials", ("until", "median, ms", "most, ms"), rows)


def growth(count: int) -> None:
    """How the cost grows with the person's objects, and with other people."""
    rows = []
    for objects, others in (
        (count // 100, 0),
        (count // 10, 0),
        (count // 100, 20),
        (count // 100, 200),
    ):
        with _house() as house:
            for number in range(others):
                _held(house, f"other-{number}", 20)
            _held(house, "s-1", objects)
            seconds = _erase(house, "s-1")
        rows.append(
            (f"{objects:,}", str(others), f"{seconds:.2f}", f"{1000 * seconds / objects:.2f}")
        )
    _table(
        "The same order in a house that holds more",
        ("objects of the person", "other people, 20 objects each", "order, s", "ms each"),
        rows,
    )


# --- a house, filled --------------------------------------------------------------------------


@contextmanager
def _house(objects_url: str = "") -> Iterator[Storage]:
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        home = Path(folder)
        yield Storage.open(
            StorageAddresses(
                catalogue_url=f"sqlite:///{home / 'catalogue.db'}",
                keys_url=f"sqlite:///{home / 'keys.db'}",
                objects_url=objects_url or str(home / "objects"),
                keys_folder=home / "keys",
                region="local",
                retention=Retention(),
            )
        )


def _upload(house: Storage, subject: str) -> str:
    grant = Grant(
        evidence=Evidence(b"agreed", EvidenceLevel.DECLARED),
        uploader=Uploader.SELF,
        authorisation=None,
        source=Source.UPLOAD,
        acted_at=utc_now(),
    )
    return house.uploads.declare(Declaration(subject, None, VOICE, grant)).id


def _held(house: Storage, subject: str, count: int, *, threads: int = 1) -> list[str]:
    """A person with that many objects; their store keys."""
    upload = house.uploads.by_id(_upload(house, subject))
    keys = _new_keys(count)
    if threads == 1:
        for key in keys:
            house.store.put(key, [BODY])
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda key: house.store.put(key, [BODY]), keys))
    ids = [random_id() for _ in keys]
    with house.catalogue.writing() as writing:
        writing.connection.execute(
            insert(OBJECTS),
            [
                {
                    "id": object_id,
                    "kind": "voice_segment",
                    "state": ObjectState.STORED.value,
                    "subject_id": upload.subject_id,
                    "upload_id": upload.id,
                    "store_key": key,
                    "basis": {purpose.value: n for purpose, n in upload.basis.items()},
                    "region": "local",
                    "plain_bytes": len(BODY),
                    "sealed_bytes": len(BODY),
                    "sealed_sha256": key * 2,
                    "created_at": utc_now(),
                }
                for object_id, key in zip(ids, keys, strict=True)
            ],
        )
    house.vault.new_object_key(random_id(), upload.subject_id)
    with house.keys.database.writing() as writing:
        scope_key = writing.connection.execute(OBJECT_KEYS.select()).mappings().all()[-1]
        writing.connection.execute(
            insert(OBJECT_KEYS),
            [
                {
                    "object_id": object_id,
                    "scope_key_id": scope_key["scope_key_id"],
                    "wrapped": scope_key["wrapped"],
                    "created_at": utc_now(),
                }
                for object_id in ids
            ],
        )
    return keys


def _long_object(house: Storage) -> str:
    upload = _upload(house, "s-1")
    house.uploads.receive(house.uploads.by_id(upload), [b"a recording"])
    run = house.door.begin(upload, role=Role.INGEST, purposes=VOICE)
    original = house.door.put(run, "original", (bytes(2**20) for _ in range(STREAM_MEBIBYTES)))
    house.door.commit(
        run,
        also=lambda writing: house.uploads.conclude(
            writing, upload, Conclusion(UploadState.ADMITTED, [], {})
        ),
    )
    return original


def _read_until_stopped(house: Storage, object_id: str, last: list[float]) -> None:
    """Note when each piece came, from object to object, until no more comes."""
    use = Use(Role.TRAINING, Operation.PROCESS, VOICE, "benchmark")
    try:
        while True:
            with house.door.open(object_id, use) as reader:
                last.extend(time.perf_counter() for _ in reader)
    except Exception:  # stopped: what is measured
        return


# --- measuring --------------------------------------------------------------------------------


def _put_files(home: str, keys: Sequence[str]) -> None:
    from storage.objects import open_store

    store = open_store(home, region="local")
    for key in keys:
        store.put(key, [BODY])


def _erase(house: Storage, subject: str) -> float:
    order = house.orders.place(Request(Scope.SUBJECT, subject))
    return _timed(lambda: house.carrying_out.run(order.id))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _row(store: str, count: int, bare: float, order: float) -> tuple[str, ...]:
    return (
        store,
        f"{count:,}",
        f"{bare:.2f}",
        f"{order:.2f}",
        f"{order / bare:.2f}",
        f"{1000 * order / count:.2f}",
    )


if __name__ == "__main__":
    main()
