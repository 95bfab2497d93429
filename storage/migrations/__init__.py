"""Bringing a database to the schema that this version of the house reads.

Two chains of Alembic revisions, one for the catalogue and one for the key store. Alembic itself is
imported only when there is something to do, so that commands start fast.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import inspect, text

from models.schema.errors import CheckFailed
from storage.database import Database

HEADS: Final = {"catalogue": "0003", "keys": "0003"}
"""The newest revision of each chain; a test holds them to Alembic's own view."""

_ADVISORY_LOCK: Final = 0x6C696B65  # one number, so that two first starts wait for each other


def bring_up_to_date(database: Database, chain: Literal["catalogue", "keys"]) -> None:
    """Create or upgrade the schema; raises CheckFailed where it is newer than this software."""
    if _current(database, chain) == HEADS[chain]:
        return
    with _alone(database):
        current = _current(database, chain)
        if current == HEADS[chain]:
            return
        if current is not None and current > HEADS[chain]:
            raise CheckFailed(
                f"The {database.what}'s schema ({current}) is newer than this software.",
                remedy="Install the version of Likeness that wrote it, or a newer one.",
            )
        _upgrade(database, chain)


def _current(database: Database, chain: str) -> str | None:
    # One table for each chain, so that both may live in one PostgreSQL database.
    table = f"{chain}_version"
    with database.reading() as connection:
        if not inspect(connection).has_table(table):
            return None
        return connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608


def _upgrade(database: Database, chain: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / chain))
    with database.rebuilding() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep other processes from migrating the same database at the same time."""
    if database.file is not None:
        with database.file.with_suffix(".migrating").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": _ADVISORY_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _ADVISORY_LOCK})
