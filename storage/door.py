"""The front door: the only way to raw media, features and whatever else is kept (invariant 3).

Writing happens in runs. A run is begun for an upload, puts objects, and commits them all in one
transaction, or leaves nothing:

    run = door.begin(upload_id, role=Role.INGEST, purposes=purposes)
    object_id = door.put(run, "voice_segment", pieces)
    door.commit(run)

Reading is one `open` per object and purpose; it leaves an entry in the access log before the first
byte, and asks the fence again before each further piece:

    with door.open(object_id, Use(Role.TRAINING, Operation.PROCESS, purposes, reference)) as reader:
        for piece in reader: ...

No transaction is open while bytes move. Every check and the write it permits are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.consent.legal_bases import LegalUse
from models.schema.erasure import ErasureGround
from models.schema.errors import (
    BadUsage,
    FenceLost,
    Frozen,
    LikenessError,
    NotFound,
    RoleRefused,
)
from models.schema.kinds import Content, Kind, Role, kind_named
from models.schema.purposes import Purpose
from storage.access_log import record_access
from storage.anchoring import Anchoring
from storage.catalogue import objects, runs, uploads
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import Intent, IntentState, ObjectState, StoredRow
from storage.catalogue.runs import RunRow, RunState
from storage.catalogue.uploads import Upload, UploadState
from storage.database import Writing
from storage.foundation import Foundation
from storage.freezing import Stop, Stopped, freeze
from storage.handles import Counted, Operation, Reader, Run, Use
from storage.identifiers import random_id
from storage.objects.interface import ObjectStore
from storage.sealing import seal, unseal
from storage.worker import this_worker

_PROCESSORS: Final = frozenset(Role) - {Role.PERSON, Role.DISCLOSURE}
_ACTORS: Final = {
    Operation.PROCESS: _PROCESSORS,
    Operation.ACCESS: frozenset({Role.PERSON, Role.REVIEW}),
    Operation.IDENTIFY: frozenset({Role.INGEST, Role.REVIEW}),
    Operation.INSPECT: frozenset({Role.REVIEW}),
    Operation.DISCLOSE: frozenset({Role.DISCLOSURE}),
}
"""Who may ask for what; which kinds each may read stands in the kinds."""

LEASE: Final = timedelta(minutes=15)
"""A run that is not renewed for this long counts as dead."""
LONGEST_WRITE: Final = timedelta(hours=1)
"""After this no write that was under way can still arrive; reaped keys are visited until then."""


class Door:
    """Reads and writes objects under consent."""

    def __init__(self, base: Foundation, *, store: ObjectStore, anchoring: Anchoring) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._store = store
        self._gate = base.gate
        self._ledger = base.ledger
        self._anchoring = anchoring
        self._region = base.gate.region
        self._retention = base.retention
        self._clock = base.clock

    # --- runs ---------------------------------------------------------------------------------

    def begin(self, upload_id: str, *, role: Role, purposes: frozenset[Purpose]) -> Run:
        """Begin a run on an upload, for purposes that are all allowed now.

        Raises ConsentRefused, NotFound, and FenceLost when another run works on the upload.
        """
        run = RunRow(
            id=random_id(),
            subject_id="",
            upload_id=upload_id,
            role=role.value,
            worker=this_worker(),
            purposes=purposes,
            state=RunState.OPEN,
            lease_until=self._clock() + LEASE,
            created_at=self._clock(),
            ended_at=None,
        )
        try:
            with self._gate.current(self._catalogue, self._keys) as writing:
                upload = _known_upload(writing.connection, upload_id)
                self._gate.require(writing.connection, upload, purposes)
                run = RunRow(**{**vars(run), "subject_id": upload.subject_id})
                runs.add_run(writing.connection, run)
        except IntegrityError:
            raise FenceLost(
                "Another worker is processing this upload.",
                remedy="Wait for it to end; if it died, `likeness reconcile` frees the upload.",
            ) from None
        return _handle(run)

    def resume(self, run_id: str) -> Run:
        """The handle of a run that is still open; raises FenceLost otherwise."""
        with self._catalogue.reading() as connection:
            row = runs.run_by_id(connection, run_id)
        if row is None or row.state is not RunState.OPEN:
            raise FenceLost("This run was stopped or has ended; it may not go on.")
        return _handle(row)

    def handle(self, run_id: str) -> Run:
        """The handle of a run in any state, to end it or to ask what it was for."""
        with self._catalogue.reading() as connection:
            row = runs.run_by_id(connection, run_id)
        if row is None:
            raise NotFound("There is no run with this id.")
        return _handle(row)

    def written_by(self, run: Run, content: Content | None = None) -> list[str]:
        """What an open run has put so far, of one content or of all."""
        return [
            intent.object_id
            for intent in self.writes(run)
            if content is None or kind_named(intent.kind).content is content
        ]

    def writes(self, run: Run) -> list[Intent]:
        """The intents that a run has put and not given up."""
        with self._catalogue.reading() as connection:
            intents = objects.intents_of_run(connection, run.id)
        return [intent for intent in intents if intent.state is not IntentState.REAPED]

    def renew(self, run: Run) -> None:
        """Lengthen the run's lease; raises FenceLost when it is not open any more."""
        with self._catalogue.writing() as writing:
            if not runs.renew_lease(writing.connection, run.id, until=self._clock() + LEASE):
                raise FenceLost("This run was stopped; nothing of it is kept.")

    def commit(self, run: Run, *, also: Callable[[Writing], object] | None = None) -> list[str]:
        """Make everything the run put exist, in one transaction; returns the objects' ids.

        `also` writes more in the same transaction, such as what became of the upload. Raises
        FenceLost or ConsentRefused; then nothing of the run exists.
        """
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            upload = _known_upload(connection, run.upload_id)
            self._gate.require(connection, upload, run.purposes)
            if not runs.end_run(connection, run.id, RunState.COMMITTED, at=now):
                raise FenceLost("This run was stopped; nothing of it is kept.")
            intents = [
                intent
                for intent in objects.intents_of_run(connection, run.id)
                if intent.state is not IntentState.REAPED
            ]
            for intent in intents:
                if intent.state is not IntentState.WRITTEN:
                    raise LikenessError("An object of this run was not written to its end.")
                objects.add_object(
                    connection, self._row(intent, upload, now), parents=intent.parents
                )
            objects.mark_committed(connection, [intent.object_id for intent in intents])
            if also is not None:
                also(writing)
        return [intent.object_id for intent in intents]

    def abandon(self, run: Run) -> None:
        """End the run and remove everything it put; idempotent, also after a freeze stopped it."""
        with self._catalogue.writing() as writing:
            runs.end_run(writing.connection, run.id, RunState.ABANDONED, at=self._clock())
        self.remove_writes(run.id)

    def remove_writes(self, run_id: str) -> int:
        """Remove what an ended run put and did not commit; returns how many objects."""
        with self._catalogue.reading() as connection:
            row = runs.run_by_id(connection, run_id)
            intents = objects.intents_of_run(connection, run_id)
        if row is None or row.state in {RunState.OPEN, RunState.COMMITTED}:
            return 0
        left = [i for i in intents if i.state in {IntentState.OPEN, IntentState.WRITTEN}]
        self._reap(left)
        return len(left)

    # --- writing ------------------------------------------------------------------------------

    def put(
        self,
        run: Run,
        kind_name: str,
        pieces: Iterable[bytes],
        *,
        parents: tuple[str, ...] = (),
        expires_at: datetime | None = None,
    ) -> str:
        """Encrypt and store one object of the run; returns its random id.

        The intent is written before the first byte. `expires_at` can only shorten the kind's own
        expiry. Raises BadUsage for an undeclared kind, RoleRefused, ConsentRefused, LimitExceeded,
        FenceLost; then nothing of the object is kept.
        """
        kind = kind_named(kind_name)
        if run.role not in kind.written_by:
            raise RoleRefused(f"The role '{run.role}' may not write a {kind.name}.")
        purposes = run.purposes & kind.purposes
        if not purposes:
            raise RoleRefused(f"None of this run's purposes needs a {kind.name} (Policy P28).")
        intent = self._intend(run, kind, purposes, parents, expires_at)
        try:
            key = self._vault.new_object_key(intent.object_id, run.subject_id)
            counted = Counted(pieces, kind)
            stored = self._store.put(
                intent.store_key, seal(counted, key, object_id=intent.object_id)
            )
            with self._catalogue.writing() as writing:
                row = runs.run_by_id(writing.connection, run.id)
                if (
                    row is None
                    or row.state is not RunState.OPEN
                    or not objects.mark_written(
                        writing.connection,
                        intent.object_id,
                        plain_bytes=counted.count,
                        sealed_bytes=stored.size,
                        sealed_sha256=stored.sha256,
                    )
                ):
                    raise FenceLost("This run was stopped while it was writing.")
        except BaseException:
            self._reap([intent])
            raise
        return intent.object_id

    def discard(self, run: Run, object_ids: Iterable[str]) -> None:
        """Remove objects that this open run put, before they are committed."""
        wanted = set(object_ids)
        with self._catalogue.reading() as connection:
            intents = objects.intents_of_run(connection, run.id)
        self._reap([intent for intent in intents if intent.object_id in wanted])

    # --- reading ------------------------------------------------------------------------------

    @contextmanager
    def open(self, object_id: str, use: Use) -> Iterator[Reader]:
        """Open an object for a use; the access is on record before the first byte.

        Raises NotFound, RoleRefused, ConsentRefused; while reading Frozen, Tampered, KeyDestroyed.
        """
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            row = objects.object_by_id(connection, object_id)
            if row is None or row.state is not ObjectState.STORED or row.upload_id is None:
                raise NotFound("There is no such object, or it was erased.")
            if row.expires_at is not None and row.expires_at <= now:
                raise NotFound("The object's time is over; it is about to be erased.")
            self._admit(connection, row, use)
            record_access(
                connection,
                at=now,
                object_id=row.id,
                subject_id=row.subject_id or "",
                kind=row.kind,
                role=use.role,
                operation=use.operation.value,
                purposes=use.purposes,
                reference=use.reference,
            )
            writing.after_commit.append(self._anchoring.anchor_if_due)
        yield Reader(row, self._released(row, use))

    @contextmanager
    def open_own(self, run: Run, object_id: str) -> Iterator[Reader]:
        """Open an object that this open run has put and not yet committed.

        Nothing new is disclosed: the run made these bytes itself. It still stops with the run.
        """
        with self._catalogue.reading() as connection:
            intent = objects.intent_by_id(connection, object_id)
        if intent is None or intent.run_id != run.id or intent.state is not IntentState.WRITTEN:
            raise NotFound("This run has put no such object.")
        self.resume(run.id)
        yield Reader(intent, self._decrypted(intent.object_id, intent.store_key))

    # --- deleting and freezing ----------------------------------------------------------------

    def delete(self, object_ids: Iterable[str]) -> int:
        """Erase objects: out of use, key destroyed, every version deleted, row to tombstone.

        Never reads or decrypts, so it works while frozen. Idempotent; what a crash interrupts is
        finished by `reconcile`. Returns how many were erased.
        """
        with self._catalogue.writing() as writing:
            rows = objects.mark_deleting(writing.connection, list(object_ids))
        self.finish_deleting(rows)
        return len(rows)

    def finish_deleting(self, rows: list[StoredRow]) -> None:
        """Carry deletion to its end for objects that are already out of use."""
        if not rows:
            return
        self._vault.destroy_object_keys([row.id for row in rows])
        for row in rows:
            if row.store_key is not None:
                self._store.delete(row.store_key)
            with self._catalogue.writing() as writing:
                objects.mark_erased(writing.connection, row.id, at=self._clock())
        self._catalogue.truncate_log()

    def freeze(
        self,
        scope: Scope,
        scope_id: str,
        *,
        purpose: Purpose | None,
        cause: str,
        ground: ErasureGround | None = None,
        payload: dict[str, str] | None = None,
    ) -> Stopped:
        """Stop every use that the scope covers, in one commit; see `storage.freezing`.

        Works with Prefect down and while runs and readers are under way: no check that begins
        after the commit passes, and runs in the scope can commit no more (invariant 4).
        """
        return freeze(
            self._catalogue,
            self._keys,
            self._ledger,
            Stop(scope, scope_id, purpose, cause, ground, payload or {}),
            now=self._clock(),
            retention=self._retention,
        )

    # --- inside -------------------------------------------------------------------------------

    def _intend(
        self,
        run: Run,
        kind: Kind,
        purposes: frozenset[Purpose],
        parents: tuple[str, ...],
        expires_at: datetime | None,
    ) -> Intent:
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            upload = _known_upload(connection, run.upload_id)
            self._gate.require(connection, upload, purposes)
            row = runs.run_by_id(connection, run.id)
            if row is None or row.state is not RunState.OPEN:
                raise FenceLost("This run was stopped; it may not write any more.")
            by_kind = self._retention.expires_at(
                kind.expiry, now=now, uploaded_at=upload.created_at
            )
            intent = Intent(
                object_id=random_id(),
                run_id=run.id,
                subject_id=run.subject_id,
                kind=kind.name,
                store_key=random_id(),
                purposes=purposes,
                parents=parents,
                state=IntentState.OPEN,
                plain_bytes=None,
                sealed_bytes=None,
                sealed_sha256=None,
                expires_at=min(filter(None, (by_kind, expires_at)), default=None),
                created_at=now,
                visit_until=None,
            )
            objects.add_intent(connection, intent)
        return intent

    def _admit(self, connection: Connection, row: StoredRow, use: Use) -> None:
        kind = kind_named(row.kind)
        if use.role not in _ACTORS[use.operation]:
            raise RoleRefused(f"The role '{use.role}' may not {use.operation} anything.")
        # What leaves by a disclosure is at most what the person themselves may have.
        reader = Role.PERSON if use.role is Role.DISCLOSURE else use.role
        if reader not in kind.read_by:
            raise RoleRefused(f"The role '{use.role}' may not read a {kind.name}.")
        match use.operation:
            case Operation.ACCESS:
                return
            case Operation.IDENTIFY:
                self._gate.require_standing(connection, row)
            case Operation.INSPECT:
                self._gate.require_legal_basis(connection, row, LegalUse.INSPECT)
            case Operation.DISCLOSE:
                self._gate.require_disclosure(connection, row, use.reference)
            case Operation.PROCESS:
                if not use.purposes or not use.purposes <= frozenset(row.basis):
                    raise RoleRefused(f"This {kind.name} was not made for all of these purposes.")
                upload = _known_upload(connection, row.upload_id or "")
                self._gate.require(connection, upload, use.purposes)
                if use.role is Role.TRAINING and upload.state is not UploadState.ADMITTED:
                    raise RoleRefused("What has not been admitted is not trained on.")

    def _released(self, row: StoredRow, use: Use) -> Iterator[bytes]:
        """Each piece is prepared first, then checked, then released (invariant 4)."""
        basis = {purpose: row.basis[purpose] for purpose in use.purposes if purpose in row.basis}
        with self._catalogue.looks() as look:
            for piece in self._decrypted(row.id, row.store_key or ""):
                with look() as connection:
                    self._require_released(connection, row, use, basis)
                yield piece

    def _require_released(
        self, connection: Connection, row: StoredRow, use: Use, basis: dict[Purpose, int]
    ) -> None:
        now_row = objects.object_by_id(connection, row.id)
        if now_row is None or now_row.state is not ObjectState.STORED:
            raise Frozen("The object was erased while it was being read.")
        if use.operation is not Operation.ACCESS:
            self._gate.require_unfrozen(
                connection,
                subject_id=row.subject_id or "",
                upload_id=row.upload_id,
                basis=basis,
            )

    def _decrypted(self, object_id: str, store_key: str) -> Iterator[bytes]:
        key = self._vault.object_key(object_id)
        with self._store.get(store_key) as sealed:
            yield from unseal(sealed, key, object_id=object_id)

    def _row(self, intent: Intent, upload: Upload, now: datetime) -> StoredRow:
        return StoredRow(
            id=intent.object_id,
            kind=intent.kind,
            state=ObjectState.STORED,
            subject_id=intent.subject_id,
            upload_id=upload.id,
            store_key=intent.store_key,
            basis={purpose: upload.basis[purpose] for purpose in intent.purposes},
            region=self._region,
            plain_bytes=intent.plain_bytes,
            sealed_bytes=intent.sealed_bytes,
            sealed_sha256=intent.sealed_sha256 or "",
            created_at=now,
            expires_at=intent.expires_at,
            erased_at=None,
        )

    def _reap(self, intents: list[Intent]) -> None:
        """Give intents up: their keys are destroyed and whatever lies under them is deleted."""
        if not intents:
            return
        with self._catalogue.writing() as writing:
            reaped = objects.mark_reaped(
                writing.connection,
                [intent.object_id for intent in intents],
                visit_until=self._clock() + LONGEST_WRITE,
            )
        self._vault.destroy_object_keys([intent.object_id for intent in reaped])
        for intent in reaped:
            self._store.delete(intent.store_key)


def _known_upload(connection: Connection, upload_id: str) -> Upload:
    upload = uploads.upload_by_id(connection, upload_id)
    if upload is None:
        raise NotFound("There is no upload with this id.")
    return upload


def _handle(row: RunRow) -> Run:
    if row.upload_id is None:
        raise BadUsage("A run needs the upload it works on.")
    return Run(
        id=row.id,
        subject_id=row.subject_id,
        upload_id=row.upload_id,
        role=Role(row.role),
        purposes=row.purposes,
    )
