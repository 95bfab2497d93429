"""Runs: begun, renewed, committed. Rows only; the bytes that a run writes go through the door.

A run works on an upload, trains an artefact, or generates with one. Each of its steps asks its
mandate and writes in one transaction; a stopped run never goes on (invariants 1 and 4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.schema.errors import BadUsage, FenceLost, LikenessError, NotFound
from models.schema.kinds import Content, Expiry, Kind, Role, kind_named
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.catalogue import artefacts, objects, runs
from storage.catalogue.artefacts import Artefact, ArtefactState, Generation
from storage.catalogue.objects import Intent, IntentState, ObjectState, StoredRow
from storage.catalogue.runs import RunRow, RunState
from storage.database import Writing
from storage.foundation import Foundation
from storage.handles import AnyRun, ArtefactRun, Run
from storage.identifiers import random_id
from storage.mandates import MODEL_KINDS, SHARED_MODEL_KINDS, Mandate, Mandates, known_upload
from storage.trainings import PlannedTraining, record_training
from storage.worker import this_worker

LEASE: Final = timedelta(minutes=15)
"""A run that is not renewed for this long counts as dead."""


class Runs:
    """Begins runs and makes what they wrote exist."""

    def __init__(self, base: Foundation) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._gate = base.gate
        self._mandates = Mandates(base.gate, clock=base.clock)
        self._retention = base.retention
        self._clock = base.clock

    # --- beginning ----------------------------------------------------------------------------

    def begin(self, upload_id: str, *, role: Role, purposes: frozenset[Purpose]) -> Run:
        """Begin a run on an upload, for purposes that are all allowed now.

        Raises ConsentRefused, NotFound, and FenceLost when another run works on the upload.
        """
        try:
            with self._gate.current(self._catalogue, self._keys) as writing:
                upload = known_upload(writing.connection, upload_id)
                self._gate.require(writing.connection, upload, purposes)
                run = Run(random_id(), upload.subject_id, upload_id, role, purposes)
                self._add(writing.connection, run)
        except IntegrityError:
            raise FenceLost(
                "Another worker is processing this upload.",
                remedy="Wait for it to end; if it died, `likeness reconcile` frees the upload.",
            ) from None
        return run

    def begin_training(self, planned: PlannedTraining) -> ArtefactRun:
        """Freeze what a training reads as a snapshot, record the artefact that it makes, and begin.

        One commit, in which the purpose is allowed for everything in the snapshot. Raises BadUsage,
        NotFound, RoleRefused, ConsentRefused, Frozen.
        """
        artefact_id, shared = random_id(), planned.task is Task.BASE
        if shared:
            # The key comes first: a base without one could not keep anything.
            self._vault.new_scope_key(artefact_id)
        try:
            with self._gate.current(self._catalogue, self._keys) as writing:
                artefact = record_training(
                    writing.connection,
                    self._gate,
                    planned,
                    artefact_id=artefact_id,
                    now=self._clock(),
                )
                return self._begin_on(writing.connection, artefact, Role.TRAINING)
        except LikenessError:
            if shared:
                self._vault.destroy_scope_keys(artefact_id)
            raise

    def resume_training(self, artefact_id: str) -> ArtefactRun:
        """Begin again with a training whose worker died, on the snapshot that it was begun with.

        Raises FenceLost where another run trains it or the training has ended, ConsentRefused,
        Frozen.
        """
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            if not artefacts.hold_training(connection, artefact_id):
                raise FenceLost("This training has ended; begin a new one.")
            if runs.open_training_of(connection, artefact_id) is not None:
                raise FenceLost(
                    "Another worker is training this.",
                    remedy="Wait for it to end; if it died, `likeness reconcile` frees it.",
                )
            artefact = artefacts.artefact_by_id(connection, artefact_id)
            assert artefact is not None
            self._gate.require_snapshot(connection, artefact)
            return self._begin_on(connection, artefact, Role.TRAINING)

    def begin_generation(self, artefact_id: str) -> ArtefactRun:
        """Begin to generate with an artefact of one person that may be used now.

        Raises ConsentRefused, Frozen, and BadUsage for a shared base, which is nobody's voice.
        """
        with self._gate.current(self._catalogue, self._keys) as writing:
            artefact = self._gate.require_artefact(writing.connection, artefact_id)
            if artefact.subject_id is None:
                raise BadUsage(
                    "A shared base is nobody's voice; nothing is generated with it alone.",
                    remedy="Generate with an avatar.",
                )
            return self._begin_on(writing.connection, artefact, Role.GENERATION)

    # --- while it is open ---------------------------------------------------------------------

    def resume(self, run_id: str) -> Run:
        """The handle of a run on an upload that is still open; raises FenceLost otherwise."""
        return _on_upload(self._open(run_id))

    def handle(self, run_id: str) -> Run:
        """The handle of a run on an upload in any state, to end it or to ask what it was for."""
        return _on_upload(self._known(run_id))

    def resume_artefact_run(self, run_id: str) -> ArtefactRun:
        """The handle of a training or generation that is still open; raises FenceLost otherwise."""
        return _on_artefact(self._open(run_id))

    def artefact_run(self, run_id: str) -> ArtefactRun:
        """The handle of a training or generation in any state."""
        return _on_artefact(self._known(run_id))

    def is_stopped(self, run: AnyRun) -> bool:
        """Whether a run may not go on: what an engine asks before each step."""
        with self._catalogue.reading() as connection:
            row = runs.run_by_id(connection, run.id)
        return row is None or row.state is not RunState.OPEN

    def renew(self, run: AnyRun) -> None:
        """Lengthen the run's lease; raises FenceLost when it is not open any more."""
        with self._catalogue.writing() as writing:
            if not runs.renew_lease(writing.connection, run.id, until=self._clock() + LEASE):
                raise FenceLost("This run was stopped; nothing of it is kept.")

    def written_by(self, run: AnyRun, content: Content | None = None) -> list[str]:
        """What an open run has put so far, of one content or of all."""
        return [
            intent.object_id
            for intent in self.writes(run)
            if content is None or kind_named(intent.kind).content is content
        ]

    def writes(self, run: AnyRun) -> list[Intent]:
        """The intents that a run has put and not given up."""
        with self._catalogue.reading() as connection:
            intents = objects.intents_of_run(connection, run.id)
        return [intent for intent in intents if intent.state is not IntentState.REAPED]

    # --- making it exist ----------------------------------------------------------------------

    def commit(self, run: AnyRun, *, also: Callable[[Writing], object] | None = None) -> list[str]:
        """Make everything the run put exist, in one transaction; returns the objects' ids.

        A training's artefact is registered, what was generated is on record as a generation.
        `also` writes more in the same transaction, such as what became of the upload. Raises
        FenceLost, ConsentRefused or Frozen; then nothing of the run exists.
        """
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            mandate = self._mandates.require(connection, run, run.purposes)
            if not runs.end_run(connection, run.id, RunState.COMMITTED, at=now):
                raise FenceLost("This run was stopped; nothing of it is kept.")
            intents = [
                intent
                for intent in objects.intents_of_run(connection, run.id)
                if intent.state not in {IntentState.REAPED, IntentState.COMMITTED}
            ]
            self._add_objects(connection, intents, mandate, now)
            if isinstance(run, ArtefactRun):
                _conclude(connection, run, intents, mandate, now)
            if also is not None:
                also(writing)
        return [intent.object_id for intent in intents]

    def keep(self, run: ArtefactRun, object_id: str) -> None:
        """Make one checkpoint of an open training exist, so that it outlives a worker that dies.

        Raises BadUsage for anything else, FenceLost, ConsentRefused or Frozen.
        """
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            mandate = self._mandates.require(connection, run, run.purposes)
            self._require_open(connection, run)
            intent = objects.intent_by_id(connection, object_id)
            if intent is None or intent.run_id != run.id:
                raise NotFound("This run has put no such object.")
            if kind_named(intent.kind).expiry is not Expiry.TRAINING:
                raise BadUsage("Only a training as it stood is kept before the training ends.")
            self._add_objects(connection, [intent], mandate, self._clock())

    # --- inside -------------------------------------------------------------------------------

    def _intend(
        self,
        run: AnyRun,
        kind: Kind,
        purposes: frozenset[Purpose],
        parents: tuple[str, ...],
        expires_at: datetime | None,
    ) -> Intent:
        now = self._clock()
        with self._gate.current(self._catalogue, self._keys) as writing:
            connection = writing.connection
            mandate = self._mandates.require(connection, run, purposes, parents=parents)
            self._require_open(connection, run)
            by_kind = self._retention.expires_at(kind.expiry, now=now, uploaded_at=mandate.since)
            intent = Intent(
                object_id=random_id(),
                run_id=run.id,
                subject_id=run.subject_id,
                artefact_id=mandate.artefact_id,
                kind=kind.name,
                store_key=random_id(),
                purposes=purposes,
                parents=tuple(dict.fromkeys((*parents, *mandate.parents))),
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

    def _require_open(self, connection: Connection, run: AnyRun) -> None:
        row = runs.run_by_id(connection, run.id)
        if row is None or row.state is not RunState.OPEN:
            raise FenceLost("This run was stopped; it may not write any more.")

    def _add_objects(
        self, connection: Connection, intents: list[Intent], mandate: Mandate, now: datetime
    ) -> None:
        for intent in intents:
            if intent.state is not IntentState.WRITTEN:
                raise LikenessError("An object of this run was not written to its end.")
            row = StoredRow(
                id=intent.object_id,
                kind=intent.kind,
                state=ObjectState.STORED,
                subject_id=intent.subject_id,
                upload_id=mandate.upload_id,
                artefact_id=mandate.artefact_id,
                store_key=intent.store_key,
                basis={purpose: mandate.basis[purpose] for purpose in intent.purposes},
                region=self._gate.region,
                plain_bytes=intent.plain_bytes,
                sealed_bytes=intent.sealed_bytes,
                sealed_sha256=intent.sealed_sha256 or "",
                created_at=now,
                expires_at=intent.expires_at,
                erased_at=None,
            )
            objects.add_object(connection, row, parents=intent.parents)
        objects.mark_committed(connection, [intent.object_id for intent in intents])

    def _begin_on(self, connection: Connection, artefact: Artefact, role: Role) -> ArtefactRun:
        purposes = frozenset({artefact.purpose})
        run = ArtefactRun(random_id(), artefact.subject_id, artefact.id, role, purposes)
        self._add(connection, run)
        return run

    def _add(self, connection: Connection, run: AnyRun) -> None:
        now = self._clock()
        row = RunRow(
            id=run.id,
            subject_id=run.subject_id,
            upload_id=run.upload_id if isinstance(run, Run) else None,
            artefact_id=run.artefact_id if isinstance(run, ArtefactRun) else None,
            role=run.role.value,
            worker=this_worker(),
            purposes=run.purposes,
            state=RunState.OPEN,
            lease_until=now + LEASE,
            created_at=now,
            ended_at=None,
        )
        runs.add_run(connection, row)

    def _open(self, run_id: str) -> RunRow:
        with self._catalogue.reading() as connection:
            row = runs.run_by_id(connection, run_id)
        if row is None or row.state is not RunState.OPEN:
            raise FenceLost("This run was stopped or has ended; it may not go on.")
        return row

    def _known(self, run_id: str) -> RunRow:
        with self._catalogue.reading() as connection:
            row = runs.run_by_id(connection, run_id)
        if row is None:
            raise NotFound("There is no run with this id.")
        return row


def _conclude(
    connection: Connection,
    run: ArtefactRun,
    intents: Iterable[Intent],
    mandate: Mandate,
    now: datetime,
) -> None:
    """What a committed training or generation is from now on."""
    if run.role is Role.TRAINING:
        if not any(intent.kind in MODEL_KINDS | SHARED_MODEL_KINDS for intent in intents):
            raise LikenessError("This training has put nothing that could be generated with.")
        if not artefacts.change_artefact(
            connection,
            run.artefact_id,
            expected=frozenset({ArtefactState.TRAINING}),
            state=ArtefactState.REGISTERED,
            registered_at=now,
        ):
            raise FenceLost("This training was stopped; nothing of it is kept.")
        return
    for intent in intents:
        artefacts.add_generation(
            connection,
            Generation(
                id=intent.object_id,
                artefact_id=run.artefact_id,
                avatar_id=mandate.avatar_id,
                subject_id=run.subject_id,
                request_sealed=None,
                seconds=None,
                created_at=now,
            ),
        )


def _on_upload(row: RunRow) -> Run:
    if row.upload_id is None or row.subject_id is None:
        raise BadUsage("This run works on no upload.")
    return Run(row.id, row.subject_id, row.upload_id, Role(row.role), row.purposes)


def _on_artefact(row: RunRow) -> ArtefactRun:
    if row.artefact_id is None:
        raise BadUsage("This run works on no artefact.")
    return ArtefactRun(row.id, row.subject_id, row.artefact_id, Role(row.role), row.purposes)
