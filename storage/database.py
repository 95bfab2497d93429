"""One way to a SQL database, embedded or served.

SQLite is the embedded default: WAL, full synchronisation, deleted content overwritten. Writing
transactions begin with `BEGIN IMMEDIATE`, so that a check and the write it permits are one step.
PostgreSQL does the same with row locks that the callers take.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from models.schema.errors import BadUsage, LikenessError, ServiceUnavailable

SQLITE_BUSY_MILLISECONDS: Final = 30_000
_LOOPBACK: Final = {None, "", "localhost", "127.0.0.1", "::1"}


@dataclass
class Writing:
    """An open writing transaction and what follows once it is committed."""

    connection: Connection
    after_commit: list[Callable[[], object]] = field(default_factory=list)


class Database:
    """An engine with the house's transaction manners."""

    def __init__(self, url: str, *, what: str) -> None:
        """`what` names the database in messages: "catalogue" or "key store"."""
        self.what = what
        self.url: URL = _checked_url(url, what)
        self.engine: Engine = _engine(self.url)

    @property
    def embedded(self) -> bool:
        """True for SQLite."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for a served database."""
        return Path(self.url.database) if self.embedded and self.url.database else None

    def exists(self) -> bool:
        """False only where an embedded database has no file yet."""
        return self.file is None or self.file.is_file()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads; it sees everything committed before it began."""
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that only reads, and in which every statement sees the same state."""
        if self.embedded:  # every SQLite transaction is one
            with self.reading() as connection:
                yield connection
            return
        with self._translated(), self.engine.connect() as plain:
            connection = plain.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def looks(self) -> Iterator[Callable[[], AbstractContextManager[Connection]]]:
        """For many short looks one after another: each is a reading transaction of its own.

        Embedded, they share one connection, whose opening costs more than a look. A served
        database's connections come from a pool, and none is held between looks.
        """
        if not self.embedded:
            yield self.reading
            return
        with self._translated(), self.engine.connect() as connection:

            @contextmanager
            def look() -> Iterator[Connection]:
                with connection.begin():
                    yield connection

            yield look

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A transaction that writes; commits at the end, then runs `after_commit` in order.

        An error inside rolls everything back. An error in `after_commit` is raised although the
        commit stands: the caller must not answer success.
        """
        with self._translated():
            connection = self.engine.connect().execution_options(house_writes=True)
            with connection, connection.begin():
                writing = Writing(connection)
                yield writing
            for follow in writing.after_commit:
                follow()

    @contextmanager
    def rebuilding(self) -> Iterator[Connection]:
        """A writing transaction in which tables that others refer to may be made anew.

        SQLite changes a column by copying its table, which would count as deleting all rows; so
        references are checked once, at the end. Raises LikenessError where one points nowhere.
        """
        with self._translated():
            connection = self.engine.connect().execution_options(house_writes=True)
            with connection:
                if self.embedded:
                    # Before the transaction begins: inside one this pragma does nothing.
                    connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
                with connection.begin():
                    yield connection
                    if (
                        self.embedded
                        and connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                    ):
                        raise LikenessError(f"A row of the {self.what} refers to one that is gone.")

    def truncate_log(self) -> None:
        """Empty SQLite's write-ahead log, so that erased pages do not linger in it."""
        if self.embedded:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def has_tables(self, metadata: MetaData) -> bool:
        """True when any table of `metadata` exists."""
        with self._translated():
            present = set(inspect(self.engine).get_table_names())
        return any(name in present for name in metadata.tables)

    def check(self) -> None:
        """Raise ServiceUnavailable when the database does not answer."""
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise ServiceUnavailable(
                f"The {self.what} does not answer ({type(error.orig).__name__}).",
                remedy=f"Check that the {self.what}'s database runs, has space, and that its "
                "address is right; `likeness doctor` says which address is used.",
            ) from None
        except DBAPIError as error:
            if error.connection_invalidated:
                raise ServiceUnavailable(f"The {self.what} closed the connection.") from None
            raise


def _checked_url(url: str, what: str) -> URL:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return parsed
    if parsed.get_backend_name() != "postgresql":
        raise BadUsage(
            f"The {what}'s address names '{parsed.get_backend_name()}', which is not supported.",
            remedy="Use sqlite:///PATH or postgresql://USER@HOST/NAME.",
        )
    parsed = parsed.set(drivername="postgresql+psycopg")
    # Policy P10: encrypted in transit, refusing plain text unless it stays on this machine.
    if parsed.host not in _LOOPBACK and not str(parsed.host).startswith("/"):
        wanted = parsed.query.get("sslmode")
        if wanted is None:
            return parsed.update_query_dict({"sslmode": "verify-full"})
        if wanted not in {"require", "verify-ca", "verify-full"}:
            raise BadUsage(
                f"The {what}'s address allows an unencrypted connection (sslmode={wanted}).",
                remedy="Leave sslmode out, or set it to verify-full (Policy P10).",
            )
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=4, max_overflow=8)
    if url.database:
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(
        url,
        poolclass=NullPool,
        connect_args={"timeout": SQLITE_BUSY_MILLISECONDS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(raw: Any, _record: object) -> None:
    raw.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver
    cursor = raw.cursor()
    for pragma in (
        f"busy_timeout={SQLITE_BUSY_MILLISECONDS}",
        "synchronous=FULL",
        "secure_delete=ON",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    _write_ahead(cursor)
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Turn write-ahead logging on. Of processes that open a new file together all but one are told
    at once that it is locked: SQLite's busy timeout does not cover this pragma."""
    end = time.monotonic() + SQLITE_BUSY_MILLISECONDS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("house_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
