"""What consent costs at every use: `python -m benchmarks.consent` (or `make bench-consent`).

Four tables in Markdown, each with its growth: decisions about a person with many entries, appends
by several writers at once, the walk of `ledger verify`, and what the gate adds to every megabyte
read. Everything is made in a temporary folder; `--part` runs one table alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import insert, update

from models.consent.decision import decide
from models.consent.facts import Event, EvidenceLevel, Source, Uploader
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.retention import Retention
from storage.assembly import Storage, StorageAddresses
from storage.catalogue import people
from storage.catalogue.decisions import LEDGER_ENTRIES, LEDGER_PAYLOADS, LEDGER_TIP
from storage.catalogue.uploads import UploadState
from storage.chain import canonical, entry_hash, entry_tag, payload_digest, stamp
from storage.clock import utc_now
from storage.gate import Gate
from storage.handles import Operation, Use
from storage.registers.consents import Grant
from storage.registers.evidence import Evidence
from storage.registers.uploads import Conclusion, Declaration
from storage.sealing import unseal
from tests.servers.postgres import postgres

MEBIBYTE: Final = 1024 * 1024
LEAST_SECONDS: Final = 1.0
"""Whatever is quick is repeated for at least this long."""
ENTRIES_AT_ONCE: Final = 10_000
FACTS_BETWEEN_WITHDRAWALS: Final = 100


def main() -> None:
    """Print the tables that were asked for."""
    parts: dict[str, Callable[[Path], None]] = {
        "decisions": decisions,
        "appends": appends,
        "verify": verify,
        "gate": reading,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=parts, help="one table alone")
    chosen = parser.parse_args().part
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    for name, part in parts.items():
        if chosen in {None, name}:
            with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
                part(Path(folder))


# --- the tables -------------------------------------------------------------------------------


def decisions(folder: Path) -> None:
    """Decisions a second for a person with more and more entries."""
    storage = Storage.open(_embedded(folder))
    gate = Gate(region="local")
    rows = []
    for count in (10, 100, 1000, 10_000):
        subject_id = storage.subjects.ensure(f"s-{count}", account=None)
        _fill(storage, _acts(subject_id, count), subject_id)
        with storage.catalogue.reading() as connection:
            subject = people.subject_by_id(connection, subject_id)
            assert subject is not None
            record = gate.record(connection, subject, upload=None)
            assert len(record.facts) == count
            asked = gate.question(Purpose.VOICE_CLONING, upload=None)
            assert decide(record, asked).allowed
            pure = _seconds(partial(decide, record, asked))
            gated = _seconds(
                lambda c=connection, s=subject: gate.decisions(  # type: ignore[misc]
                    c, s, [Purpose.VOICE_CLONING], upload=None
                )
            )
        rows.append((count, pure, gated))
    _table(
        "Decisions about one person, SQLite",
        ("entries", "decide, a second", "growth", "gate, a second", "growth", "gate, ms"),
        [
            (
                f"{count:,}",
                _rate(pure),
                _growth(rows, place, 1),
                _rate(gated),
                _growth(rows, place, 2),
                f"{1000 * gated:.2f}",
            )
            for place, (count, pure, gated) in enumerate(rows)
        ],
    )


def appends(folder: Path) -> None:
    """Appends a second, each a durable transaction in both databases, by several processes."""
    _appends("SQLite", _embedded(folder / "embedded"))
    try:
        with postgres() as fresh:
            served = replace(_embedded(folder / "served"), catalogue_url=fresh(), keys_url=fresh())
            _appends("PostgreSQL (fsync off)", served)
    except pytest.skip.Exception as absent:
        print(f"PostgreSQL was not measured: {absent}\n")


def verify(folder: Path) -> None:
    """Seconds that the walk of the whole chain takes."""
    storage = Storage.open(_embedded(folder))
    rows: list[tuple[int, float]] = []
    for count in (1000, 10_000, 100_000, 1_000_000):
        here = storage.ledger.head()[0]
        _fill(storage, _acts("0" * 32, count - here), None)
        began = time.perf_counter()
        assert list(storage.verification.findings()) == []
        rows.append((count, time.perf_counter() - began))
    _table(
        "`ledger verify`, SQLite",
        ("entries", "seconds", "growth", "entries a second"),
        [
            (f"{count:,}", f"{took:.2f}", _growth(rows, place, 1), _rate(took / count))
            for place, (count, took) in enumerate(rows)
        ],
    )


def reading(folder: Path) -> None:
    """Reading through the door, beside the same bytes decrypted from the store without asking."""
    storage = Storage.open(_embedded(folder))
    rows = []
    for mebibytes in (1, 16, 64):
        object_id, store_key = _recording(storage, mebibytes)

        def through(object_id: str = object_id) -> None:
            use = Use(
                Role.TRAINING, Operation.PROCESS, frozenset({Purpose.VOICE_CLONING}), "r" * 32
            )
            with storage.door.open(object_id, use) as reader:
                for _ in reader:
                    pass

        def around(object_id: str = object_id, store_key: str = store_key) -> None:
            key = storage.vault.object_key(object_id)
            with storage.store.get(store_key) as sealed:
                for _ in unseal(sealed, key, object_id=object_id):
                    pass

        rows.append((mebibytes, _seconds(around), _seconds(through)))
    _table(
        "The gate, for each object read (SQLite and a folder)",
        ("MiB", "decrypted, ms", "through the door, ms", "growth", "gate, ms a MiB", "ratio"),
        [
            (
                str(size),
                f"{1000 * raw:.1f}",
                f"{1000 * whole:.1f}",
                _growth(rows, place, 2),
                f"{1000 * (whole - raw) / size:.2f}",
                f"{whole / raw:.2f}",
            )
            for place, (size, raw, whole) in enumerate(rows)
        ],
    )


# --- appends ----------------------------------------------------------------------------------


def _appends(database: str, addresses: StorageAddresses) -> None:
    each = 100
    storage = Storage.open(addresses)
    rows = []
    for writers in (1, 2, 4, 8):
        before = storage.ledger.head()[0]
        rows.append((writers, _at_once(writers, partial(_append, addresses, each)) / writers))
        assert storage.ledger.head()[0] == before + writers * each
    assert list(storage.verification.findings()) == []
    storage.catalogue.engine.dispose()
    storage.keys.database.engine.dispose()
    _table(
        f"Appends, {database}",
        ("writers", "appends a second", "growth"),
        [
            (
                str(writers),
                _rate(took / each),
                f"{rows[place - 1][1] / took:.2f}" if place else "",
            )
            for place, (writers, took) in enumerate(rows)
        ],
    )


def _append(addresses: StorageAddresses, count: int, start: Any) -> None:
    storage = Storage.open(addresses)
    storage.ledger.head()
    start.wait()
    for number in range(count):
        with storage.catalogue.writing() as writing:
            storage.ledger.append(writing, "measured", {"number": number}, subject_id=None)


def _at_once(writers: int, work: Callable[[Any], None]) -> float:
    """Wall seconds from the moment that all are ready to the end of the last."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(writers + 1)
    processes = [context.Process(target=work, args=(start,)) for _ in range(writers)]
    for process in processes:
        process.start()
    start.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return time.perf_counter() - began


# --- what is measured on ----------------------------------------------------------------------


def _embedded(home: Path) -> StorageAddresses:
    return StorageAddresses(
        catalogue_url=f"sqlite:///{home / 'catalogue.db'}",
        keys_url=f"sqlite:///{home / 'keys.db'}",
        objects_url=str(home / "objects"),
        keys_folder=home / "keys",
        region="local",
        retention=Retention(),
    )


def _acts(subject_id: str, count: int) -> Iterator[tuple[str, dict[str, str]]]:
    """A long history: uploads that grant, now and then a withdrawal and a new consent."""
    began = utc_now() - timedelta(days=1)
    purposes = tuple(Purpose)
    for number in range(count):
        step = number % FACTS_BETWEEN_WITHDRAWALS
        event, source = Event.GRANT, Source.UPLOAD
        purpose = purposes[number % len(purposes)]
        if step in {50, 51}:
            purpose, source = Purpose.VOICE_CLONING, Source.EXPLICIT
            event = Event.WITHDRAWAL if step == 50 else Event.GRANT
        payload = {
            "subject": subject_id,
            "purpose": purpose.value,
            "acted_at": (began + timedelta(seconds=number)).isoformat(),
        }
        if event is Event.GRANT:
            payload |= {
                "source": source.value,
                "uploader": Uploader.SELF.value,
                "evidence_level": EvidenceLevel.DECLARED.value,
                "evidence_digest": sha256(str(number).encode()).hexdigest(),
            }
        yield event.value, payload


def _fill(
    storage: Storage, acts: Iterator[tuple[str, dict[str, str]]], subject_id: str | None
) -> None:
    """Append many entries in few transactions, chained as the ledger chains them."""
    sequence, previous = storage.ledger.head()
    at, tag_key = utc_now(), storage.vault.ledger_key()
    while block := [act for act, _ in zip(acts, range(ENTRIES_AT_ONCE), strict=False)]:
        entries, payloads = [], []
        for event, payload in block:
            sequence += 1
            entry, beside = _chained(sequence, previous, at, event, payload, subject_id)
            previous = entry["hash"]
            entries.append({**entry, "tag": entry_tag(tag_key, previous)})
            payloads.append(beside)
        with storage.catalogue.writing() as writing:
            writing.connection.execute(insert(LEDGER_ENTRIES), entries)
            writing.connection.execute(insert(LEDGER_PAYLOADS), payloads)
            writing.connection.execute(update(LEDGER_TIP).values(sequence=sequence, hash=previous))
        storage.keys.record_ledger_head(sequence, previous)


def _chained(
    sequence: int,
    previous: str,
    at: datetime,
    event: str,
    payload: dict[str, str],
    subject_id: str | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    salt, text = os.urandom(32), canonical(payload)
    entry = {
        "sequence": sequence,
        "at": stamp(at),
        "event": event,
        "payload_digest": payload_digest(salt, text, None, subject_id),
        "previous": previous,
    }
    entry["hash"] = entry_hash(entry)
    beside = {"sequence": sequence, "subject_id": subject_id, "salt": salt, "payload": text}
    return entry, {**beside, "sealed": None}


def _recording(storage: Storage, mebibytes: int) -> tuple[str, str]:
    """An admitted recording of this size; its object's id and key in the store."""
    given = Grant(
        evidence=Evidence(b"agreed to be measured", EvidenceLevel.DECLARED),
        uploader=Uploader.SELF,
        authorisation=None,
        source=Source.UPLOAD,
        acted_at=utc_now(),
    )
    purposes = frozenset({Purpose.VOICE_CLONING})
    declared = storage.uploads.declare(Declaration(f"r-{mebibytes}", None, purposes, given))
    upload = storage.uploads.receive(declared, [b"received"])
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=purposes)
    block = os.urandom(MEBIBYTE)
    object_id = storage.door.put(run, "original", (block for _ in range(mebibytes)))
    storage.door.commit(
        run,
        also=lambda writing: storage.uploads.conclude(
            writing, upload.id, Conclusion(UploadState.ADMITTED, [], {})
        ),
    )
    (row,) = storage.uploads.objects_of(upload.id, kind="original")
    assert row.store_key is not None
    return object_id, row.store_key


# --- measuring and showing --------------------------------------------------------------------


def _seconds(work: Callable[[], object]) -> float:
    """The median time of one call."""
    work()
    took: list[float] = []
    end = time.perf_counter() + LEAST_SECONDS
    while time.perf_counter() < end or len(took) < 3:
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2]


def _rate(seconds: float) -> str:
    return f"{1 / seconds:,.0f}" if seconds < 0.1 else f"{1 / seconds:.1f}"


def _growth(rows: Sequence[Sequence[float]], place: int, column: int) -> str:
    """How many times the row above the time of this one is."""
    return f"x {rows[place][column] / rows[place - 1][column]:.1f}" if place else ""


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"{title}\n")
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
