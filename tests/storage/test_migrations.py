"""Schemas: what Alembic makes is what the code reads, and a newer one is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, text

import storage.migrations
from models.schema.erasure import ErasureGround, Requester
from models.schema.errors import CheckFailed
from storage import key_store
from storage.assembly import Storage, StorageAddresses
from storage.catalogue import metadata, orders
from storage.catalogue.orders import OrderState
from storage.database import Database
from storage.migrations import HEADS, bring_up_to_date

Chain = Literal["catalogue", "keys"]
METADATA: dict[str, MetaData] = {"catalogue": metadata.METADATA, "keys": key_store.METADATA}
each_chain = pytest.mark.parametrize("chain", ["catalogue", "keys"])


def _database(storage: Storage, chain: Chain) -> Database:
    return storage.catalogue if chain == "catalogue" else storage.keys.database


def _scripts(chain: Chain) -> ScriptDirectory:
    config = Config()
    folder = Path(storage.migrations.__file__).parent / chain
    config.set_main_option("script_location", str(folder))
    return ScriptDirectory.from_config(config)


@each_chain
def test_a_fresh_database_has_exactly_the_tables_that_the_code_declares(
    storage: Storage, chain: Chain
) -> None:
    declared = METADATA[chain].tables

    def of_this_chain(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind != "table" or name in declared

    with _database(storage, chain).reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": of_this_chain}
        )
        assert compare_metadata(context, METADATA[chain]) == []
        assert set(declared) <= set(inspect(connection).get_table_names())


@each_chain
def test_the_heads_that_the_code_knows_are_alembics_own_and_a_chain_has_one(
    storage: Storage, chain: Chain
) -> None:
    assert _scripts(chain).get_heads() == [HEADS[chain]]
    with _database(storage, chain).reading() as connection:
        version = connection.execute(text(f"SELECT version_num FROM {chain}_version")).scalar()
    assert version == HEADS[chain]


@each_chain
def test_a_newer_schema_is_refused_and_left_as_it_is(
    storage: Storage, addresses: StorageAddresses, chain: Chain
) -> None:
    database = _database(storage, chain)
    with database.writing() as writing:
        writing.connection.execute(text(f"UPDATE {chain}_version SET version_num = '9999'"))
    with pytest.raises(CheckFailed, match=r"9999.* is newer than this software") as refused:
        Storage.open(addresses)
    assert "newer" in refused.value.remedy
    with database.reading() as connection:
        version = connection.execute(text(f"SELECT version_num FROM {chain}_version")).scalar()
    assert version == "9999"


@each_chain
def test_bringing_a_current_database_up_to_date_changes_nothing(
    storage: Storage, chain: Chain
) -> None:
    file = _database(storage, chain).file
    assert file is not None
    before = file.read_bytes()
    bring_up_to_date(_database(storage, chain), chain)
    assert file.read_bytes() == before


def test_rows_of_an_older_schema_come_through_the_newer_ones(tmp_path: Path) -> None:
    old = Database(f"sqlite:///{tmp_path / 'old.db'}", what="catalogue")
    at = "2026-11-20 10:00:00"
    with old.rebuilding() as connection:
        config = Config()
        folder = Path(storage.migrations.__file__).parent / "catalogue"
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for statement in (
            f"INSERT INTO accounts VALUES ('a', 'pseudonym', '{at}')",
            f"INSERT INTO subjects VALUES ('s', 'pseudonym', 'a', 'local', '{at}')",
            "INSERT INTO uploads (id, subject_id, state, uploader, basis, reasons, outcome, "
            f"created_at) VALUES ('u', 's', 'admitted', 'self', '{{}}', '[]', '{{}}', '{at}')",
            "INSERT INTO runs (id, subject_id, upload_id, role, worker, purposes, state, "
            "lease_until, created_at) VALUES "
            f"('r', 's', 'u', 'ingest', 'w', '[]', 'committed', '{at}', '{at}')",
            "INSERT INTO intents (object_id, run_id, subject_id, kind, store_key, purposes, "
            "parents, state, created_at) VALUES "
            f"('o', 'r', 's', 'report', 'k', '[]', '[]', 'committed', '{at}')",
            "INSERT INTO objects (id, kind, state, subject_id, upload_id, sealed_sha256, "
            f"created_at) VALUES ('o', 'report', 'stored', 's', 'u', 'digest', '{at}')",
            "INSERT INTO object_parents VALUES ('o', 'p')",
            "INSERT INTO orders (id, scope, scope_id, ground, state, ledger_sequence, created_at, "
            f"due_at) VALUES ('d', 'subject', 's', 'no_guardian_consent', 'pending', 1, '{at}', "
            f"'{at}')",
        ):
            connection.execute(text(statement))
    bring_up_to_date(old, "catalogue")
    with old.reading() as connection:
        for table in ("subjects", "uploads", "runs", "intents", "objects", "object_parents"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 1, table
        (order,) = orders.all_orders(connection)
    assert order.ground is ErasureGround.NO_GUARDIAN_CONSENT
    assert order.requester is Requester.HOUSE
    assert order.state is OrderState.PENDING


def test_both_chains_may_share_one_database(tmp_path: Path) -> None:
    shared = Database(f"sqlite:///{tmp_path / 'both.db'}", what="catalogue")
    bring_up_to_date(shared, "catalogue")
    bring_up_to_date(shared, "keys")
    assert shared.has_tables(METADATA["catalogue"])
    assert shared.has_tables(METADATA["keys"])


def test_processes_that_start_an_empty_home_together_all_work(
    addresses: StorageAddresses, at_once: Callable[[list[Callable[[], Any]]], list[Any]]
) -> None:
    def work(name: str) -> Callable[[], str]:
        return lambda: Storage.open(addresses).subjects.ensure(name, account="firm")

    names = ["s-1", "s-2", "s-1", "s-1"]
    ids = at_once([work(name) for name in names])
    assert ids[0] == ids[2] == ids[3] != ids[1]
    opened = Storage.open(addresses)
    assert opened.subjects.known("s-1").id == ids[0]
    assert opened.subjects.known("s-1").account_id == opened.subjects.known("s-2").account_id
