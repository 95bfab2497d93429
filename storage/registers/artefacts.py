"""Artefacts and generations: what is trained of people, and what is made with it.

Both are runs at the door. This register says what may be trained on now, writes what an evaluation
found and what a generation was asked for, and tells what there is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from models.schema.errors import NotFound, Refused
from models.schema.kinds import Role, kind_named
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.catalogue import artefacts, objects, people, snapshots, uploads
from storage.catalogue.artefacts import ARTEFACTS, GENERATIONS, Artefact, ArtefactState, Generation
from storage.catalogue.avatars import Avatar
from storage.catalogue.objects import StoredRow
from storage.catalogue.snapshots import Member, Snapshot
from storage.catalogue.uploads import UploadState
from storage.database import Writing
from storage.door import CHECKPOINTS, Door
from storage.foundation import Foundation
from storage.handles import ArtefactRun
from storage.identifiers import checked_id
from storage.mandates import MODEL_KINDS, SHARED_MODEL_KINDS
from storage.trainings import PlannedTraining

ARTEFACT_REGISTERED: Final = "artefact_registered"
CARD_KINDS: Final = frozenset({"model_card", "base_card"})


class Artefacts:
    """The register of artefacts and of what was generated with them."""

    def __init__(self, base: Foundation, *, door: Door) -> None:
        self._catalogue = base.catalogue
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._door = door
        self._clock = base.clock

    # --- training -----------------------------------------------------------------------------

    def usable(self, purpose: Purpose, *, subject_id: str, kinds: Collection[str]) -> list[str]:
        """Ids of a person's objects of some kinds that may be trained on for a purpose now.

        What is allowed is asked again when the training begins, for each that is read, and when
        what it made is registered.
        """
        with self._catalogue.reading() as connection:
            subject = people.subject_by_id(connection, subject_id)
            if subject is None:
                return []
            allowed = {
                upload.id
                for upload in uploads.uploads_of(connection, subject_id)
                if upload.state is UploadState.ADMITTED
                and all(
                    decision.allowed
                    for decision in self._gate.decisions(
                        connection, subject, [purpose], upload=upload
                    )
                )
            }
            rows = objects.all_objects_of_subject(connection, subject_id)
        now = self._clock()
        return [
            row.id
            for row in rows
            if row.kind in kinds
            and Role.TRAINING in kind_named(row.kind).read_by
            and row.upload_id in allowed
            and purpose in row.basis
            and (row.expires_at is None or row.expires_at > now)
        ]

    def begin_training(self, planned: PlannedTraining) -> ArtefactRun:
        """Begin a training; see `storage.runs`."""
        return self._door.begin_training(planned)

    def finish_training(self, run: ArtefactRun, metrics: Mapping[str, float]) -> Artefact:
        """Register what a training put, with what its evaluation found.

        Nothing but finite figures by name belongs in `metrics`. What was kept for resuming goes.
        Raises FenceLost, ConsentRefused or Frozen; then abandon the run.
        """
        written = self._door.writes(run)
        self._door.discard(run, [each.object_id for each in written if each.kind in CHECKPOINTS])
        kept: list[StoredRow] = []

        def registered(writing: Writing) -> None:
            connection = writing.connection
            artefacts.change_artefact(
                connection,
                run.artefact_id,
                expected=frozenset({ArtefactState.REGISTERED}),
                metrics=dict(metrics),
            )
            held = objects.objects_of_artefact(connection, run.artefact_id, kinds=CHECKPOINTS)
            kept.extend(objects.mark_deleting(connection, [row.id for row in held]))
            self._on_record(writing, run)

        self._door.commit(run, also=registered)
        self._door.finish_deleting(kept)
        return self.by_id(run.artefact_id)

    # --- generating ---------------------------------------------------------------------------

    def begin_generation(self, artefact_id: str) -> ArtefactRun:
        """Begin to generate with an artefact; see `storage.runs`."""
        return self._door.begin_generation(checked_id(artefact_id, what="artefact"))

    def finish_generation(
        self, run: ArtefactRun, generation_id: str, *, seconds: float, request: str | None
    ) -> Generation:
        """Keep what a run generated, with its length and the words that were asked for, sealed.

        Raises NotFound where the run has not put it, FenceLost, ConsentRefused or Frozen; then
        abandon the run.
        """
        if generation_id not in self._door.written_by(run):
            raise NotFound("This run has generated nothing with this id.")
        sealed = None
        if request is not None:
            sealed = self._vault.seal_column(
                run.subject_id or "",
                request.encode("utf-8", "surrogateescape"),
                context=_context(generation_id),
            )

        def described(writing: Writing) -> None:
            artefacts.describe_generation(
                writing.connection, generation_id, seconds=seconds, request_sealed=sealed
            )

        self._door.commit(run, also=described)
        return self.generation(generation_id)

    # --- telling ------------------------------------------------------------------------------

    def by_id(self, artefact_id: str) -> Artefact:
        """The artefact, in whatever state; raises NotFound or BadUsage."""
        with self._catalogue.reading() as connection:
            found = artefacts.artefact_by_id(connection, checked_id(artefact_id, what="artefact"))
        if found is None:
            raise NotFound(
                "There is no artefact with this id.",
                remedy="`likeness avatar show` lists what an avatar has.",
            )
        return found

    def of_avatar(self, avatar: Avatar) -> list[Artefact]:
        """What was trained for an avatar and is not erased, oldest first."""
        with self._catalogue.reading() as connection:
            found = artefacts.artefacts_of_avatar(connection, avatar.id)
        return [each for each in found if each.state is not ArtefactState.ERASED]

    def of_subject(self, subject_id: str) -> list[Artefact]:
        """What was trained of a person alone and is not erased, oldest first."""
        with self._catalogue.reading() as connection:
            found = artefacts.artefacts_of_subject(connection, subject_id)
        return [each for each in found if each.state is not ArtefactState.ERASED]

    def bases(self) -> list[Artefact]:
        """Every shared base that is not erased, oldest first."""
        with self._catalogue.reading() as connection:
            found = artefacts.artefacts_where(connection, ARTEFACTS.c.task == Task.BASE.value)
        return [each for each in found if each.state is not ArtefactState.ERASED]

    def is_usable(self, artefact: Artefact) -> bool:
        """Whether it may be read or generated with now."""
        with self._catalogue.reading() as connection:
            try:
                self._gate.require_artefact(connection, artefact.id)
            except Refused:
                return False
        return True

    def newest_usable(self, avatar: Avatar, task: Task) -> Artefact:
        """The artefact that an avatar speaks or shows itself with now; raises NotFound."""
        for each in reversed(self.of_avatar(avatar)):
            if each.task is task and self.is_usable(each):
                return each
        raise NotFound(
            f"This avatar has no {task} that may be used now.",
            remedy="`likeness avatar show` says what it has; train one, or see `consent show`.",
        )

    def model(self, artefact: Artefact) -> list[StoredRow]:
        """What generation, or a training that starts from a base, is handed of an artefact."""
        wanted = MODEL_KINDS | SHARED_MODEL_KINDS | CARD_KINDS
        with self._catalogue.reading() as connection:
            return objects.objects_of_artefact(connection, artefact.id, kinds=wanted)

    def checkpoints(self, artefact: Artefact) -> list[StoredRow]:
        """What a training can be resumed from, oldest first."""
        now = self._clock()
        with self._catalogue.reading() as connection:
            rows = objects.objects_of_artefact(connection, artefact.id, kinds=CHECKPOINTS)
        return [row for row in rows if row.expires_at is None or row.expires_at > now]

    def snapshot(self, artefact: Artefact) -> tuple[Snapshot, list[Member]]:
        """The frozen list that an artefact was trained on; raises NotFound once it is erased."""
        with self._catalogue.reading() as connection:
            found = snapshots.snapshot_by_id(connection, artefact.snapshot_id or "")
            members = snapshots.members_of(connection, artefact.snapshot_id or "")
        if found is None:
            raise NotFound("There is no snapshot of this artefact.")
        return found, members

    def generation(self, generation_id: str) -> Generation:
        """The generation; raises NotFound or BadUsage."""
        wanted = checked_id(generation_id, what="generation")
        with self._catalogue.reading() as connection:
            found = artefacts.generations_where(connection, GENERATIONS.c.id == wanted)
        if not found:
            raise NotFound("There is no generation with this id.")
        return found[0]

    def generations_of_avatar(self, avatar: Avatar) -> list[Generation]:
        """What was generated with an avatar and is not erased, oldest first."""
        with self._catalogue.reading() as connection:
            return artefacts.generations_where(connection, GENERATIONS.c.avatar_id == avatar.id)

    def generations_of_subject(self, subject_id: str) -> list[Generation]:
        """What was generated of a person and is not erased, oldest first."""
        with self._catalogue.reading() as connection:
            return artefacts.generations_of_subject(connection, subject_id)

    def request(self, generation: Generation) -> str | None:
        """The words that a generation was asked for with; raises KeyDestroyed once erased."""
        if generation.request_sealed is None:
            return None
        plain = self._vault.unseal_column(
            generation.request_sealed, context=_context(generation.id)
        )
        return plain.decode("utf-8", "surrogateescape")

    # --- inside -------------------------------------------------------------------------------

    def _on_record(self, writing: Writing, run: ArtefactRun) -> None:
        artefact = artefacts.artefact_by_id(writing.connection, run.artefact_id)
        assert artefact is not None
        payload: dict[str, Any] = {
            "artefact": artefact.id,
            "task": artefact.task.value,
            "purpose": artefact.purpose.value,
            "snapshot": artefact.snapshot_id or "",
        }
        if artefact.avatar_id is not None:
            payload["avatar"] = artefact.avatar_id
        self._ledger.append(writing, ARTEFACT_REGISTERED, payload, subject_id=artefact.subject_id)


def _context(generation_id: str) -> str:
    return f"generation:{generation_id}:request"
