"""What permits a run to write: asked anew in every transaction that relies on it (invariant 4).

A run on an upload rests on that upload's consent. A training rests on the consent for everything
in its snapshot, a generation on the artefact and on whatever else it is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from models.schema.errors import BadUsage, FenceLost, Frozen, NotFound
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from storage.catalogue import artefacts, objects, runs, snapshots, uploads
from storage.catalogue.artefacts import Artefact, ArtefactState
from storage.catalogue.objects import ObjectState
from storage.catalogue.runs import RunState
from storage.catalogue.uploads import Upload
from storage.clock import Clock
from storage.gate import Gate
from storage.handles import AnyRun, ArtefactRun, Run

MODEL_KINDS: Final = frozenset({"model_weights", "model_material"})
"""What generation is handed; what is generated comes from all of it."""
SHARED_MODEL_KINDS: Final = frozenset({"base_weights"})
"""What a training that starts from a shared base is handed, and generation with what it made."""


@dataclass(frozen=True)
class Mandate:
    """What the objects of a run are of, and the consent that they rest on."""

    basis: Mapping[Purpose, int]
    upload_id: str | None
    artefact_id: str | None
    avatar_id: str | None
    since: datetime
    """From when the longest time that raw recordings are kept counts."""
    parents: tuple[str, ...] = ()
    """What everything that the run writes is made of."""


class Mandates:
    """Asks for runs, through the gate."""

    def __init__(self, gate: Gate, *, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock

    def require(
        self,
        connection: Connection,
        run: AnyRun,
        purposes: frozenset[Purpose],
        *,
        parents: Iterable[str] = (),
    ) -> Mandate:
        """The mandate of an open run, if it stands now.

        `parents` is what an object that is about to be written is made of. Raises ConsentRefused,
        Frozen, FenceLost, NotFound.
        """
        if isinstance(run, Run):
            upload = known_upload(connection, run.upload_id)
            self._gate.require(connection, upload, purposes)
            return Mandate(upload.basis, upload.id, None, None, upload.created_at)
        if run.role is Role.TRAINING:
            return self._to_train(connection, run)
        return self._to_generate(connection, run, purposes, frozenset(parents))

    def require_training(self, connection: Connection, run_id: str, artefact_id: str) -> None:
        """Pass while a run trains this artefact, for reading its own training as it stood.

        Raises FenceLost.
        """
        row = runs.run_by_id(connection, run_id)
        if row is None or row.state is not RunState.OPEN or row.artefact_id != artefact_id:
            raise FenceLost("This run was stopped, or it trains something else.")

    def _to_train(self, connection: Connection, run: ArtefactRun) -> Mandate:
        artefact = artefacts.artefact_by_id(connection, run.artefact_id)
        if artefact is None or artefact.state is not ArtefactState.TRAINING:
            raise FenceLost("This training was stopped or has ended; nothing of it is kept.")
        members = self._gate.require_snapshot(connection, artefact)
        return self._of(artefact, min(member.grant_sequence for member in members))

    def _to_generate(
        self,
        connection: Connection,
        run: ArtefactRun,
        purposes: frozenset[Purpose],
        others: frozenset[str],
    ) -> Mandate:
        artefact = self._gate.require_artefact(connection, run.artefact_id)
        made_of = objects.objects_of_artefact(connection, artefact.id, kinds=MODEL_KINDS)
        parents = tuple(row.id for row in made_of)
        written = objects.intents_of_run(connection, run.id)
        others = others.union(*(intent.parents for intent in written))
        others = others.difference(parents, (intent.object_id for intent in written))
        self._require_others(connection, others, artefact, purposes)
        members = snapshots.members_of(connection, artefact.snapshot_id or "")
        return self._of(artefact, min(member.grant_sequence for member in members), parents)

    def _require_others(
        self,
        connection: Connection,
        others: frozenset[str],
        artefact: Artefact,
        purposes: frozenset[Purpose],
    ) -> None:
        """Whatever else it is made of, such as another model's speech, is asked about too."""
        rows = objects.objects_by_ids(connection, others)
        if len(rows) != len(others) or any(row.state is not ObjectState.STORED for row in rows):
            raise Frozen("Something that this is made of was erased.")
        if any(row.subject_id not in {artefact.subject_id, None} for row in rows):
            raise BadUsage("What is made of somebody else's things is not one person's.")
        for artefact_id in {row.artefact_id for row in rows if row.artefact_id is not None}:
            if artefact_id != artefact.id:
                self._gate.require_artefact(connection, artefact_id)
        for upload_id in {row.upload_id for row in rows if row.upload_id is not None}:
            self._gate.require(connection, known_upload(connection, upload_id), purposes)

    def _of(self, artefact: Artefact, sequence: int, parents: tuple[str, ...] = ()) -> Mandate:
        return Mandate(
            # The oldest grant: whatever stops use of anything it is made of stops use of it.
            basis={artefact.purpose: sequence},
            upload_id=None,
            artefact_id=artefact.id,
            avatar_id=artefact.avatar_id,
            since=self._clock(),
            parents=parents,
        )


def known_upload(connection: Connection, upload_id: str) -> Upload:
    """The upload; raises NotFound."""
    upload = uploads.upload_by_id(connection, upload_id)
    if upload is None:
        raise NotFound("There is no upload with this id.")
    return upload
