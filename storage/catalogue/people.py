"""Accounts and data subjects: random ids and keyed pseudonyms, nothing else (Policy P25)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    String,
    Table,
    insert,
    select,
    update,
)

from storage.catalogue.columns import UtcDateTime
from storage.catalogue.metadata import METADATA

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("pseudonym", String(64), unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("erased_at", UtcDateTime),
)

SUBJECTS = Table(
    "subjects",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("pseudonym", String(64), unique=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), index=True),
    Column("region", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("erased_at", UtcDateTime),
)


@dataclass(frozen=True)
class Subject:
    """A data subject, known by a random id."""

    id: str
    account_id: str | None
    region: str


def subject_by_pseudonym(connection: Connection, pseudonym: str) -> Subject | None:
    """The subject with this pseudonym."""
    return _subject(connection, SUBJECTS.c.pseudonym == pseudonym)


def subject_by_id(connection: Connection, subject_id: str) -> Subject | None:
    """The subject with this random id."""
    return _subject(connection, SUBJECTS.c.id == subject_id)


def all_subjects(connection: Connection) -> Iterator[Subject]:
    """Every subject that is not erased, in no order."""
    known = SUBJECTS.c.erased_at.is_(None)
    for row in connection.execute(
        select(SUBJECTS.c.id, SUBJECTS.c.account_id, SUBJECTS.c.region).where(known)
    ):
        yield Subject(**row._mapping)


def add_subject(
    connection: Connection, subject: Subject, *, pseudonym: str, created_at: datetime
) -> None:
    """Record a new subject."""
    connection.execute(
        insert(SUBJECTS).values(
            id=subject.id,
            pseudonym=pseudonym,
            account_id=subject.account_id,
            region=subject.region,
            created_at=created_at,
        )
    )


def account_by_pseudonym(connection: Connection, pseudonym: str) -> str | None:
    """The random id of the account with this pseudonym."""
    return connection.execute(
        select(ACCOUNTS.c.id).where(ACCOUNTS.c.pseudonym == pseudonym)
    ).scalar()


def add_account(
    connection: Connection, account_id: str, *, pseudonym: str, created_at: datetime
) -> None:
    """Record a new account."""
    connection.execute(
        insert(ACCOUNTS).values(id=account_id, pseudonym=pseudonym, created_at=created_at)
    )


def subjects_of_account(connection: Connection, account_id: str) -> list[Subject]:
    """The subjects of an account that are not erased, in order of id."""
    rows = connection.execute(
        select(SUBJECTS.c.id, SUBJECTS.c.account_id, SUBJECTS.c.region)
        .where(SUBJECTS.c.account_id == account_id, SUBJECTS.c.erased_at.is_(None))
        .order_by(SUBJECTS.c.id)
    )
    return [Subject(**row._mapping) for row in rows]


def pseudonym_of(connection: Connection, scope_table: Table, scope_id: str) -> str | None:
    """The pseudonym of an account or subject that is not erased."""
    return connection.execute(
        select(scope_table.c.pseudonym).where(scope_table.c.id == scope_id)
    ).scalar()


def join_account(connection: Connection, subject_id: str, account_id: str) -> None:
    """Put a subject that has no account under one."""
    connection.execute(
        update(SUBJECTS)
        .where(SUBJECTS.c.id == subject_id, SUBJECTS.c.account_id.is_(None))
        .values(account_id=account_id)
    )


def lock(connection: Connection, subject_id: str, *, exclusively: bool) -> None:
    """Hold the subject's row and its account's, so that checks and freezes exclude each other.

    A check takes them FOR SHARE, a freeze FOR UPDATE (invariant 4). SQLite needs no row locks: its
    writers already exclude each other.
    """
    if connection.dialect.name == "sqlite":
        return
    account = select(SUBJECTS.c.account_id).where(SUBJECTS.c.id == subject_id).scalar_subquery()
    for statement in (
        select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account),
        select(SUBJECTS.c.id).where(SUBJECTS.c.id == subject_id),
    ):
        connection.execute(statement.with_for_update(read=not exclusively))


def lock_account(connection: Connection, account_id: str, *, exclusively: bool = True) -> None:
    """Hold an account's row: exclusively for a freeze of all of it, else for whoever joins it."""
    if connection.dialect.name != "sqlite":
        connection.execute(
            select(ACCOUNTS.c.id)
            .where(ACCOUNTS.c.id == account_id)
            .with_for_update(read=not exclusively)
        )


def _subject(connection: Connection, condition: object) -> Subject | None:
    row = connection.execute(
        select(SUBJECTS.c.id, SUBJECTS.c.account_id, SUBJECTS.c.region).where(condition)  # type: ignore[arg-type]
    ).first()
    return Subject(**row._mapping) if row else None
