"""Stopping all use of a scope, in one SQL commit (invariant 4).

The commit writes the ledger entry, the freeze, the erasure order it owes, and ends the runs in the
scope. Only when the key store has the freeze too is success answered: a catalogue restored from an
older copy must not forget it (invariant 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from nacl.utils import random as random_bytes
from sqlalchemy import Connection

from models.receipts.reference import SALT_BYTES, reference_of
from models.schema import deadlines
from models.schema.erasure import ErasureGround, Requester
from models.schema.errors import NotFound
from models.schema.purposes import Purpose
from models.schema.retention import Retention
from storage.catalogue import avatars, freezes, lineage, orders, people, runs, uploads
from storage.catalogue.freezes import FreezeRow, Scope
from storage.catalogue.orders import Order, OrderState
from storage.database import Database, Writing
from storage.identifiers import random_id
from storage.key_store import KeyStore, RecordedFreeze
from storage.ledger import Ledger
from storage.recorded_erasures import RecordedErasures
from storage.restoration import bring_current

FREEZE_LIFTED: Final = "freeze_lifted"
ERASURE_ORDERED: Final = "erasure_ordered"
"""Somebody asked for everything in the scope to be erased; for an account, closed it."""


@dataclass(frozen=True)
class Stop:
    """What is to be stopped, why, and whether an erasure follows from it."""

    scope: Scope
    scope_id: str
    purpose: Purpose | None
    cause: str
    """The ledger event: `withdrawal`, `refusal`, or what else stopped it."""
    ground: ErasureGround | None
    """Why an erasure is owed; None where nothing is to be erased."""
    payload: dict[str, str]
    erase_after: timedelta | None = None
    """How long the erasure waits for what is missing; None: it may start at once."""
    awaits: str | None = None
    """Id of the recipient whose agreement, or the person's consent to it, would lift the stop."""
    requester: Requester = Requester.PERSON
    """Who asked for the erasure."""
    named: str | None = None
    """The caller's own id of whom or what is to be erased, for the receipt's salted reference."""
    keep_shared: bool = False
    """The person chose that uploads which other avatars need stay (Policy P15)."""


@dataclass(frozen=True)
class Stopped:
    """What the commit wrote."""

    freeze: str
    order: str | None
    ledger_sequence: int
    runs_stopped: int


def freeze(
    catalogue: Database,
    keys: KeyStore,
    ledger: Ledger,
    stop: Stop,
    *,
    now: datetime,
    retention: Retention,
) -> Stopped:
    """Commit the stop and answer once both databases have it; raises NotFound."""
    with stopping(catalogue, keys, ledger) as writing:
        return freeze_within(writing, keys, ledger, stop, now=now, retention=retention)


@contextmanager
def stopping(catalogue: Database, keys: KeyStore, ledger: Ledger) -> Iterator[Writing]:
    """The transaction that a stop is written in.

    A stop waits for nobody: on a restored catalogue it does first what reconcile would.
    """
    bring_current(catalogue, keys, ledger)
    with catalogue.writing() as writing:
        yield writing


def freeze_within(
    writing: Writing,
    keys: KeyStore,
    ledger: Ledger,
    stop: Stop,
    *,
    now: datetime,
    retention: Retention,
) -> Stopped:
    """The same inside the caller's transaction, which may check more before it stops."""
    connection = writing.connection
    subject_id = _lock(connection, stop)
    sequence = ledger.append(writing, stop.cause, _payload(stop, now), subject_id=subject_id)
    row = _freeze(writing, keys, stop, stop.scope, stop.scope_id, sequence, now)
    together: set[str] = set()
    if stop.scope is Scope.AVATAR:
        together = lineage.uploads_that_go(connection, stop.scope_id, keep_shared=stop.keep_shared)
        for upload_id in sorted(together):
            _freeze(writing, keys, stop, Scope.UPLOAD, upload_id, sequence, now)
    order_id = None
    if stop.ground is not None:
        order_id = _owe(writing, keys, stop, stop.ground, sequence, now, retention)
    stopped = runs.stop_runs(
        connection,
        scope_condition=lineage.runs_in(stop.scope, stop.scope_id, with_uploads=together),
        purpose=stop.purpose,
        at=now,
    )
    return Stopped(freeze=row.id, order=order_id, ledger_sequence=sequence, runs_stopped=stopped)


def _payload(stop: Stop, now: datetime) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "scope": stop.scope.value,
        "scope_id": stop.scope_id,
        "acted_at": now.isoformat(),
        **stop.payload,
    }
    if stop.purpose is not None:
        payload["purpose"] = stop.purpose.value
    if stop.keep_shared:
        payload["keep_shared"] = "true"
    return payload


def _freeze(
    writing: Writing,
    keys: KeyStore,
    stop: Stop,
    scope: Scope,
    scope_id: str,
    sequence: int,
    now: datetime,
) -> FreezeRow:
    row = FreezeRow(
        id=random_id(),
        scope=scope,
        scope_id=scope_id,
        purpose=stop.purpose,
        cause=stop.cause,
        ledger_sequence=sequence,
        created_at=now,
        awaits=stop.awaits,
    )
    freezes.add_freeze(writing.connection, row)
    writing.after_commit.append(partial(keys.record_freeze, recorded(row)))
    return row


def _owe(
    writing: Writing,
    keys: KeyStore,
    stop: Stop,
    ground: ErasureGround,
    sequence: int,
    now: datetime,
    retention: Retention,
) -> str:
    salt = random_bytes(SALT_BYTES) if stop.named is not None else None
    order = Order(
        id=random_id(),
        scope=stop.scope,
        scope_id=stop.scope_id,
        purpose=stop.purpose,
        ground=ground,
        requester=stop.requester,
        keep_shared=stop.keep_shared,
        reference=None if salt is None else reference_of(salt, stop.named or ""),
        state=OrderState.PENDING,
        ledger_sequence=sequence,
        created_at=now,
        starts_at=None if stop.erase_after is None else now + stop.erase_after,
        due_at=deadlines.due_at(
            now, account_closure=stop.scope is Scope.ACCOUNT, retention=retention
        ),
    )
    orders.add_order(writing.connection, order)
    recorded_erasures = RecordedErasures(keys.database)
    writing.after_commit.append(partial(recorded_erasures.record_order, order, salt=salt))
    return order.id


def recorded(row: FreezeRow) -> RecordedFreeze:
    """The freeze as the key store keeps it."""
    return RecordedFreeze(
        id=row.id,
        scope=row.scope.value,
        scope_id=row.scope_id,
        purpose=row.purpose.value if row.purpose else None,
        cause=row.cause,
        ledger_sequence=row.ledger_sequence,
        created_at=row.created_at,
        lifted_at=row.lifted_at,
        awaits=row.awaits,
    )


def lift_within(
    writing: Writing, keys: KeyStore, ledger: Ledger, rows: Sequence[FreezeRow], *, now: datetime
) -> None:
    """Lift freezes inside the caller's transaction; each lifting is a ledger entry."""
    freezes.lift(writing.connection, [row.id for row in rows], at=now)
    for row in rows:
        ledger.append(
            writing,
            FREEZE_LIFTED,
            {"scope": row.scope.value, "scope_id": row.scope_id, "cause": row.cause},
            subject_id=row.scope_id if row.scope is Scope.SUBJECT else None,
        )
        writing.after_commit.append(partial(keys.record_lifting, row.id, now))


def _lock(connection: Connection, stop: Stop) -> str | None:
    """Hold the rows that every check in the scope shares; returns the subject, if it is one."""
    if stop.scope is Scope.ACCOUNT:
        people.lock_account(connection, stop.scope_id)
        return None
    subject_id: str | None = stop.scope_id
    if stop.scope is Scope.UPLOAD:
        upload = uploads.upload_by_id(connection, stop.scope_id)
        if upload is None:
            raise NotFound("There is no upload with this id.")
        subject_id = upload.subject_id
    elif stop.scope is Scope.AVATAR:
        avatar = avatars.avatar_by_id(connection, stop.scope_id)
        if avatar is None:
            raise NotFound("There is no avatar with this id.")
        subject_id = avatar.subject_id
    if not subject_id or people.subject_by_id(connection, subject_id) is None:
        raise NotFound("There is no such person here.")
    people.lock(connection, subject_id, exclusively=True)
    return subject_id
