"""The front door: the only way to raw media, features and whatever else is kept (invariant 3).

Writing happens in runs (`storage.runs`). A run is begun for an upload, a training or a generation,
puts objects, and commits them all in one transaction, or leaves nothing:

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

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from models.consent.legal_bases import LegalUse
from models.schema.erasure import ErasureGround
from models.schema.errors import FenceLost, Frozen, NotFound, RoleRefused
from models.schema.kinds import KINDS, Expiry, Owner, Role, kind_named
from models.schema.purposes import Purpose
from storage.access_log import record_access
from storage.anchoring import Anchoring
from storage.catalogue import artefacts, objects, runs
from storage.catalogue.artefacts import ArtefactState
from storage.catalogue.freezes import Scope
from storage.catalogue.objects import Intent, IntentState, ObjectState, StoredRow
from storage.catalogue.runs import RunState
from storage.catalogue.uploads import UploadState
from storage.foundation import Foundation
from storage.freezing import Stop, Stopped, freeze
from storage.handles import AnyRun, Counted, Operation, Reader, Use
from storage.mandates import known_upload
from storage.objects.interface import ObjectStore
from storage.runs import Runs
from storage.sealing import seal, unseal

_PROCESSORS: Final = frozenset(Role) - {Role.PERSON, Role.DISCLOSURE}
_ACTORS: Final = {
    Operation.PROCESS: _PROCESSORS,
    Operation.ACCESS: frozenset({Role.PERSON, Role.REVIEW}),
    Operation.IDENTIFY: frozenset({Role.INGEST, Role.REVIEW}),
    Operation.INSPECT: frozenset({Role.REVIEW}),
    Operation.DISCLOSE: frozenset({Role.DISCLOSURE}),
}
"""Who may ask for what; which kinds each may read stands in the kinds."""

CHECKPOINTS: Final = frozenset(
    name for name, kind in KINDS.items() if kind.expiry is Expiry.TRAINING
)
LONGEST_WRITE: Final = timedelta(hours=1)
"""After this no write that was under way can still arrive; reaped keys are visited until then."""


class Door(Runs):
    """Reads and writes objects under consent."""

    def __init__(self, base: Foundation, *, store: ObjectStore, anchoring: Anchoring) -> None:
        super().__init__(base)
        self._store = store
        self._ledger = base.ledger
        self._anchoring = anchoring

    # --- giving up ----------------------------------------------------------------------------

    def abandon(self, run: AnyRun) -> None:
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
        if row.artefact_id is not None and row.role == Role.TRAINING:
            self._end_training(row.artefact_id, died=row.state is RunState.REAPED)
        return len(left)

    # --- writing ------------------------------------------------------------------------------

    def put(
        self,
        run: AnyRun,
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
        if (run.subject_id is None) != (kind.owner is Owner.ARTEFACT):
            raise RoleRefused(f"A {kind.name} is not what this run makes: it has another owner.")
        purposes = run.purposes & kind.purposes
        if not purposes:
            raise RoleRefused(f"None of this run's purposes needs a {kind.name} (Policy P28).")
        intent = self._intend(run, kind, purposes, parents, expires_at)
        try:
            owner_id = intent.subject_id or intent.artefact_id or ""
            key = self._vault.new_object_key(intent.object_id, owner_id)
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

    def discard(self, run: AnyRun, object_ids: Iterable[str]) -> None:
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
            if row is None or row.state is not ObjectState.STORED:
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
    def open_own(self, run: AnyRun, object_id: str) -> Iterator[Reader]:
        """Open an object that this open run has put and not yet committed.

        Nothing new is disclosed: the run made these bytes itself. It still stops with the run.
        """
        with self._catalogue.reading() as connection:
            intent = objects.intent_by_id(connection, object_id)
        if intent is None or intent.run_id != run.id or intent.state is not IntentState.WRITTEN:
            raise NotFound("This run has put no such object.")
        if self.is_stopped(run):
            raise FenceLost("This run was stopped or has ended; it may not go on.")
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
                self._admit_processing(connection, row, use)

    def _admit_processing(self, connection: Connection, row: StoredRow, use: Use) -> None:
        if row.artefact_id is not None:
            if kind_named(row.kind).expiry is Expiry.TRAINING:
                self._mandates.require_training(connection, use.reference, row.artefact_id)
            else:
                self._gate.require_artefact(connection, row.artefact_id)
            return
        upload = known_upload(connection, row.upload_id or "")
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
        if use.operation is Operation.ACCESS:
            return
        if row.artefact_id is None:
            self._gate.require_unfrozen(
                connection,
                subject_id=row.subject_id or "",
                upload_id=row.upload_id,
                basis=basis,
            )
        elif kind_named(row.kind).expiry is Expiry.TRAINING:
            # Whatever is frozen of what it is made of has stopped the run.
            self._mandates.require_training(connection, use.reference, row.artefact_id)
        else:
            self._gate.require_artefact_unfrozen(connection, row.artefact_id, basis)

    def _decrypted(self, object_id: str, store_key: str) -> Iterator[bytes]:
        key = self._vault.object_key(object_id)
        with self._store.get(store_key) as sealed:
            yield from unseal(sealed, key, object_id=object_id)

    def _end_training(self, artefact_id: str, *, died: bool) -> None:
        """Mark an artefact that will not be made as failed, and remove what was kept for it.

        One whose worker died waits, as long as there is a checkpoint, to be resumed. Idempotent.
        """
        with self._catalogue.reading() as connection:
            artefact = artefacts.artefact_by_id(connection, artefact_id)
        if artefact is None or artefact.state is not ArtefactState.TRAINING:
            return
        with self._catalogue.writing() as writing:
            connection = writing.connection
            if (
                not artefacts.hold_training(connection, artefact_id)
                or runs.open_training_of(connection, artefact_id) is not None
            ):
                return
            kept = objects.objects_of_artefact(connection, artefact_id, kinds=CHECKPOINTS)
            now = self._clock()
            if died and any(row.expires_at is None or row.expires_at > now for row in kept):
                return
            artefacts.fail_training(connection, artefact_id)
            rows = objects.mark_deleting(connection, [row.id for row in kept])
        self.finish_deleting(rows)
        if artefact.subject_id is None:
            self._vault.destroy_scope_keys(artefact_id)

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
