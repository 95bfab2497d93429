"""What a training will read and make, written before it reads anything (invariants 1 and 8).

The list is frozen as a dataset snapshot: what the training may read, whose it is, and the consent
that each rests on. It is the lineage of the artefact, which an erasure walks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from models.schema.errors import BadUsage, NotFound, RoleRefused
from models.schema.kinds import Role, kind_named
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.catalogue.artefacts import Artefact, ArtefactState, add_artefact
from storage.catalogue.avatars import avatar_by_id
from storage.catalogue.objects import ObjectState, StoredRow, objects_by_ids
from storage.catalogue.snapshots import Member, Snapshot, add_snapshot, digest_of
from storage.gate import Gate
from storage.identifiers import random_id

SERVES: Final[Mapping[Task, frozenset[Purpose]]] = MappingProxyType(
    {
        # A digital human has its person's voice (Policy P02).
        Task.VOICE: frozenset({Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN}),
        Task.HUMAN: frozenset({Purpose.DIGITAL_HUMAN}),
        Task.BASE: frozenset({Purpose.MODEL_IMPROVEMENT}),
    }
)
"""The purposes that an artefact of a task can be trained for."""


@dataclass(frozen=True)
class PlannedTraining:
    """What is to be trained, of what, with which engine."""

    task: Task
    purpose: Purpose
    members: Collection[str]
    """Ids of the stored objects that it may read."""
    engine: str
    engine_version: str
    avatar_id: str | None = None
    """Whose it will be; None for a shared base."""
    base_id: str | None = None
    """The shared base that it starts from."""


def record_training(
    connection: Connection,
    gate: Gate,
    planned: PlannedTraining,
    *,
    artefact_id: str,
    now: datetime,
) -> Artefact:
    """Freeze the list and record it with the artefact that is to be, if all of it is allowed now.

    Everybody whose something is in the list stays locked until the transaction ends. Raises
    BadUsage for what does not fit together, NotFound, RoleRefused, ConsentRefused, Frozen.
    """
    if planned.purpose not in SERVES[planned.task]:
        raise BadUsage(f"A {planned.task} is not trained for {planned.purpose.value}.")
    subject_id = _subject_of(connection, planned)
    members = _members(connection, planned, now)
    if subject_id is not None and {member.subject_id for member in members} != {subject_id}:
        raise RoleRefused("A model of one person is trained on what is theirs alone.")
    gate.require_members(connection, members, planned.purpose, avatar_id=planned.avatar_id)
    if planned.base_id is not None:
        base = gate.require_artefact(connection, planned.base_id)
        if base.task is not Task.BASE:
            raise BadUsage("A training starts from a shared base, not from a model of a person.")
    snapshot = Snapshot(random_id(), planned.purpose, digest_of(members), now)
    add_snapshot(connection, snapshot, members)
    artefact = Artefact(
        id=artefact_id,
        task=planned.task,
        purpose=planned.purpose,
        state=ArtefactState.TRAINING,
        subject_id=subject_id,
        avatar_id=planned.avatar_id,
        snapshot_id=snapshot.id,
        base_id=planned.base_id,
        engine=planned.engine,
        engine_version=planned.engine_version,
        metrics={},
        created_at=now,
    )
    add_artefact(connection, artefact)
    return artefact


def _subject_of(connection: Connection, planned: PlannedTraining) -> str | None:
    """The one person it is trained for; None for a shared base."""
    if (planned.task is Task.BASE) != (planned.avatar_id is None):
        raise BadUsage(
            "A voice or human is trained for an avatar, a shared base for none.",
            remedy="Name the avatar of a voice or human, and only of these.",
        )
    if planned.task is Task.BASE and planned.base_id is not None:
        raise BadUsage(
            "A shared base is trained from scratch, so that nobody erased stays in it.",
            remedy="Train it without a base to start from.",
        )
    if planned.avatar_id is None:
        return None
    avatar = avatar_by_id(connection, planned.avatar_id)
    if avatar is None or avatar.subject_id is None:
        raise NotFound("There is no avatar with this id.", remedy="`likeness avatar list`")
    return avatar.subject_id


def _members(connection: Connection, planned: PlannedTraining, now: datetime) -> list[Member]:
    rows = objects_by_ids(connection, planned.members)
    if len(rows) != len(set(planned.members)):
        raise NotFound("An object of the list is not known here, or it was erased.")
    return [_member(row, planned.purpose, now) for row in rows]


def _member(row: StoredRow, purpose: Purpose, now: datetime) -> Member:
    over = row.expires_at is not None and row.expires_at <= now
    if row.state is not ObjectState.STORED or over:
        raise NotFound("An object of the list was erased, or its time is over.")
    if (
        row.upload_id is None
        or row.subject_id is None
        or Role.TRAINING not in kind_named(row.kind).read_by
    ):
        raise RoleRefused(f"A {row.kind} is not trained on.")
    if purpose not in row.basis:
        raise RoleRefused(f"This {row.kind} was not made for {purpose.value}.")
    return Member(row.id, row.upload_id, row.subject_id, row.basis[purpose], row.sealed_sha256)
