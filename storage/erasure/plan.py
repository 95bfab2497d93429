"""The plan of an erasure: everything that came of whom or what it names, by lineage (invariant 8).

    account -> subjects -> uploads, avatars -> snapshots -> artefacts -> generations -> objects

Collected whole, in one look, before anything is deleted. An order for one purpose takes only what
rests on a consent older than its freeze: what the person agreed to again since is not concerned.
What another standing purpose needs is narrowed, not erased (invariant 2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, select

from models.consent.decision import valid_grants
from models.schema.kinds import KINDS
from models.schema.purposes import Purpose
from storage.catalogue import lineage
from storage.catalogue.artefacts import (
    ARTEFACTS,
    GENERATIONS,
    Artefact,
    ArtefactState,
    artefacts_where,
)
from storage.catalogue.avatars import AVATARS
from storage.catalogue.disclosures import DISCLOSURES
from storage.catalogue.erasures import Action, Item
from storage.catalogue.freezes import FREEZES, Scope
from storage.catalogue.objects import OBJECT_PARENTS, OBJECTS, ObjectState
from storage.catalogue.orders import Order
from storage.catalogue.people import SUBJECTS, subject_by_id
from storage.catalogue.runs import RUNS, RunState
from storage.catalogue.snapshots import SNAPSHOT_MEMBERS
from storage.catalogue.uploads import UPLOADS, UploadState
from storage.records import statements_of

_PAGE = 500
_LIVING = (ObjectState.STORED.value, ObjectState.DELETING.value)


@dataclass(frozen=True)
class Target:
    """Whom or what to erase, and of which consents."""

    scope: Scope
    scope_id: str
    purpose: Purpose | None = None
    before: int | None = None
    """Ledger number of the stop; consents given later are not concerned. None: stopped now."""
    keep_shared: bool = False

    @classmethod
    def of(cls, order: Order) -> Target:
        """The target of an order."""
        return cls(
            order.scope, order.scope_id, order.purpose, order.ledger_sequence, order.keep_shared
        )

    def concerns(self, basis: Mapping[Purpose, int]) -> bool:
        """Whether something that rests on these consents is to go, or to lose a purpose."""
        if self.purpose is None:
            return True
        sequence = basis.get(self.purpose)
        return sequence is not None and (self.before is None or sequence < self.before)


@dataclass(frozen=True)
class Plan:
    """Random ids of all that an erasure concerns."""

    accounts: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    """People of whom everything goes."""
    uploads: frozenset[str] = frozenset()
    narrowed_uploads: frozenset[str] = frozenset()
    """Uploads that lose a purpose and stay for others."""
    kept_uploads: frozenset[str] = frozenset()
    """Uploads of an avatar that stay for other avatars, by the person's choice (Policy P15)."""
    avatars: frozenset[str] = frozenset()
    other_avatars: frozenset[str] = frozenset()
    """Avatars that are not erased and lose what was trained for them."""
    artefacts: frozenset[str] = frozenset()
    bases: frozenset[str] = frozenset()
    """Shared bases made of these people among others: marked, retrained, not deleted."""
    generations: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    """Work under way, which stops."""
    recipients: tuple[str, ...] = ()
    """Whom something was disclosed to, once for each disclosure; they are to be told."""
    owners: frozenset[str] = frozenset()
    """People whose objects are among the items, whether or not everything of theirs goes."""
    items: tuple[Item, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to erase, to narrow, to mark or to stop."""
        return not self.items and not any(self.erased_groups.values())

    @property
    def erased_groups(self) -> dict[str, frozenset[str]]:
        """The groups of which something has to be done."""
        return {
            "subjects": self.subjects,
            "uploads": self.uploads,
            "narrowed_uploads": self.narrowed_uploads,
            "avatars": self.avatars,
            "artefacts": self.artefacts,
            "bases": self.bases,
            "generations": self.generations,
            "runs": self.runs,
        }

    @property
    def groups(self) -> dict[str, list[str]]:
        """Everything but the objects, as it is recorded with the erasure."""
        told = {
            "accounts": self.accounts,
            "kept_uploads": self.kept_uploads,
            "other_avatars": self.other_avatars,
            "owners": self.owners,
            "recipients": self.recipients,
        }
        return {name: sorted(ids) for name, ids in {**self.erased_groups, **told}.items()}

    def amounts(self, action: Action) -> dict[str, tuple[int, int]]:
        """Objects and bytes of ciphertext by kind, in the order in which kinds are declared."""
        found: dict[str, tuple[int, int]] = {}
        for kind in KINDS:
            sizes = [
                i.sealed_bytes or 0 for i in self.items if i.kind == kind and i.action is action
            ]
            if sizes:
                found[kind] = (len(sizes), sum(sizes))
        return found


def collect(connection: Connection, target: Target) -> Plan:
    """Everything that the target concerns now; what is a tombstone already is not counted."""
    people = _people(connection, target)
    whole = people if target.purpose is None else frozenset[str]()
    uploads, narrowed = _uploads(connection, target, people)
    avatars = _avatars(connection, target, whole)
    artefacts, bases = _artefacts(connection, target, people, uploads)
    erased = frozenset(artefact.id for artefact in artefacts)
    items, owners = _items(connection, target, people, uploads | narrowed, uploads, erased)
    others = frozenset(a.avatar_id for a in artefacts if a.avatar_id is not None) - avatars
    kept = frozenset[str]()
    if target.scope is Scope.AVATAR:
        kept = (
            frozenset(lineage.uploads_of_avatar(connection, target.scope_id)) - uploads - narrowed
        )
    return Plan(
        accounts=frozenset({target.scope_id}) if _is_closing(target) else frozenset(),
        subjects=whole,
        uploads=uploads,
        narrowed_uploads=narrowed,
        kept_uploads=kept,
        avatars=avatars,
        other_avatars=others,
        artefacts=erased,
        bases=bases,
        generations=_generations(connection, whole, avatars, erased),
        runs=_runs(connection, target, uploads),
        recipients=_recipients(connection, target, whole | owners),
        owners=owners,
        items=items,
    )


def _is_closing(target: Target) -> bool:
    return target.scope is Scope.ACCOUNT and target.purpose is None


def _people(connection: Connection, target: Target) -> frozenset[str]:
    """The people that a target names, who are not erased."""
    if target.scope is Scope.ACCOUNT:
        condition = SUBJECTS.c.account_id == target.scope_id
    elif target.scope is Scope.SUBJECT:
        condition = SUBJECTS.c.id == target.scope_id
    else:
        return frozenset()
    rows = connection.execute(
        select(SUBJECTS.c.id).where(condition, SUBJECTS.c.erased_at.is_(None))
    )
    return frozenset(rows.scalars())


def _uploads(
    connection: Connection, target: Target, people: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """The uploads that go, and those that lose the purpose."""
    if target.scope is Scope.UPLOAD:
        wanted = {target.scope_id}
    elif target.scope is Scope.AVATAR:
        # What was stopped with the avatar goes with it, also where another order has since erased
        # the model that led there.
        wanted = _stopped_with(connection, target) | lineage.uploads_that_go(
            connection, target.scope_id, keep_shared=target.keep_shared
        )
    else:
        wanted = set()
    rows = [
        row
        for condition in (
            *_among(UPLOADS.c.subject_id, people),
            *_among(UPLOADS.c.id, wanted),
        )
        for row in connection.execute(
            select(UPLOADS.c.id, UPLOADS.c.subject_id, UPLOADS.c.basis).where(
                condition, UPLOADS.c.state != UploadState.ERASED.value
            )
        )
    ]
    standing = _Standing(connection)
    gone: set[str] = set()
    narrowed: set[str] = set()
    for row in rows:
        basis = _basis(row.basis)
        if target.concerns(basis):
            left = standing.left(row.subject_id, basis, target)
            (narrowed if left else gone).add(row.id)
    return frozenset(gone), frozenset(narrowed)


def _stopped_with(connection: Connection, target: Target) -> set[str]:
    """The uploads that were stopped in the commit of an avatar's order."""
    rows = connection.execute(
        select(FREEZES.c.scope_id).where(
            FREEZES.c.scope == Scope.UPLOAD.value, FREEZES.c.ledger_sequence == target.before
        )
    )
    return set(rows.scalars())


def _avatars(connection: Connection, target: Target, whole: frozenset[str]) -> frozenset[str]:
    named = {target.scope_id} if target.scope is Scope.AVATAR and target.purpose is None else set()
    return frozenset(
        avatar
        for condition in (*_among(AVATARS.c.subject_id, whole), *_among(AVATARS.c.id, named))
        for avatar in connection.execute(
            select(AVATARS.c.id).where(condition, AVATARS.c.erased_at.is_(None))
        ).scalars()
    )


def _artefacts(
    connection: Connection, target: Target, people: frozenset[str], uploads: frozenset[str]
) -> tuple[list[Artefact], frozenset[str]]:
    """What was trained of one person alone and goes; and the shared bases among the rest."""
    conditions = [
        *_among(ARTEFACTS.c.subject_id, people),
        *_among(ARTEFACTS.c.id, lineage.artefacts_of_people(connection, people)),
        *_among(ARTEFACTS.c.id, lineage.artefacts_of_uploads(connection, uploads)),
    ]
    if target.scope is Scope.AVATAR:
        conditions.append(ARTEFACTS.c.avatar_id == target.scope_id)
    if target.scope is Scope.UPLOAD:
        named = lineage.artefacts_of_uploads(connection, [target.scope_id])
        conditions.extend(_among(ARTEFACTS.c.id, named))
    found: dict[str, Artefact] = {}
    for condition in conditions:
        for artefact in artefacts_where(connection, condition):
            if artefact.state is not ArtefactState.ERASED:
                found[artefact.id] = artefact
    gone, bases = [], set()
    for artefact in found.values():
        if not _rests_on_stopped(connection, target, artefact, uploads):
            continue
        if artefact.subject_id is not None or artefact.state not in _IN_USE:
            gone.append(artefact)
            continue
        concerned, others = _members(connection, artefact, target, people, uploads)
        if concerned and others:
            bases.add(artefact.id)
        elif concerned:
            gone.append(artefact)  # nobody is left in it
    return gone, frozenset(bases)


_IN_USE = frozenset({ArtefactState.REGISTERED, ArtefactState.TAINTED})


def _rests_on_stopped(
    connection: Connection, target: Target, artefact: Artefact, uploads: frozenset[str]
) -> bool:
    """Whether an artefact goes with the target: always, or where it was made under the purpose."""
    if target.purpose is None:
        return True
    members = connection.execute(
        select(SNAPSHOT_MEMBERS.c.upload_id, SNAPSHOT_MEMBERS.c.grant_sequence).where(
            SNAPSHOT_MEMBERS.c.snapshot_id == artefact.snapshot_id
        )
    ).all()
    if any(member.upload_id in uploads for member in members):
        return True
    return artefact.purpose is target.purpose and (
        not members
        or any(target.concerns({target.purpose: member.grant_sequence}) for member in members)
    )


def _members(
    connection: Connection,
    base: Artefact,
    target: Target,
    people: frozenset[str],
    uploads: frozenset[str],
) -> tuple[int, int]:
    """How many members of a base the target concerns, and how many it does not.

    Marking takes those it concerns out, so a marked base is not found again.
    """
    rows = connection.execute(
        select(
            SNAPSHOT_MEMBERS.c.subject_id,
            SNAPSHOT_MEMBERS.c.upload_id,
            SNAPSHOT_MEMBERS.c.grant_sequence,
        ).where(SNAPSHOT_MEMBERS.c.snapshot_id == base.snapshot_id)
    ).all()
    concerned = [
        row
        for row in rows
        if row.upload_id in uploads
        or (
            (row.subject_id in people or row.upload_id == target.scope_id)
            and target.concerns({base.purpose: row.grant_sequence})
        )
    ]
    return len(concerned), len(rows) - len(concerned)


def _generations(
    connection: Connection,
    whole: frozenset[str],
    avatars: frozenset[str],
    artefacts: frozenset[str],
) -> frozenset[str]:
    return frozenset(
        generation
        for condition in (
            *_among(GENERATIONS.c.subject_id, whole),
            *_among(GENERATIONS.c.avatar_id, avatars),
            *_among(GENERATIONS.c.artefact_id, artefacts),
        )
        for generation in connection.execute(
            select(GENERATIONS.c.id).where(condition, GENERATIONS.c.erased_at.is_(None))
        ).scalars()
    )


def _runs(connection: Connection, target: Target, uploads: frozenset[str]) -> frozenset[str]:
    rows = connection.execute(
        select(RUNS.c.id, RUNS.c.purposes).where(
            RUNS.c.state == RunState.OPEN.value,
            lineage.runs_in(target.scope, target.scope_id, with_uploads=uploads),
        )
    )
    return frozenset(
        row.id
        for row in rows
        # A run that was begun under a newer consent is not told from here: it asks the gate.
        if target.purpose is None
        or (target.before is None and target.purpose.value in row.purposes)
    )


def _recipients(connection: Connection, target: Target, owners: frozenset[str]) -> tuple[str, ...]:
    return tuple(
        row.recipient_id
        for condition in _among(DISCLOSURES.c.subject_id, owners)
        for row in connection.execute(
            select(DISCLOSURES.c.recipient_id, DISCLOSURES.c.purpose).where(condition)
        )
        if target.purpose is None or row.purpose == target.purpose.value
    )


def _items(
    connection: Connection,
    target: Target,
    people: frozenset[str],
    touched_uploads: frozenset[str],
    uploads: frozenset[str],
    artefacts: frozenset[str],
) -> tuple[tuple[Item, ...], frozenset[str]]:
    standing = _Standing(connection)
    found: dict[str, Item] = {}
    owners: set[str | None] = set()
    for condition in (
        *_among(OBJECTS.c.subject_id, people),
        *_among(OBJECTS.c.upload_id, touched_uploads),
        *_among(OBJECTS.c.artefact_id, artefacts),
    ):
        for row in _living(connection, condition):
            basis = _basis(row.basis)
            goes = row.upload_id in uploads or row.artefact_id in artefacts
            if not goes and not target.concerns(basis):
                continue
            left = {} if goes else standing.left(row.subject_id, basis, target)
            found[row.id] = _item(row, left)
            owners.add(row.subject_id)
    for row in _descendants(connection, [i.object_id for i in found.values() if not i.remaining]):
        found[row.id] = _item(row, {})
        owners.add(row.subject_id)
    return tuple(found[name] for name in sorted(found)), frozenset(filter(None, owners))


def _living(connection: Connection, condition: ColumnElement[bool]) -> Iterator[_Row]:
    for row in connection.execute(
        select(
            OBJECTS.c.id,
            OBJECTS.c.kind,
            OBJECTS.c.subject_id,
            OBJECTS.c.upload_id,
            OBJECTS.c.artefact_id,
            OBJECTS.c.store_key,
            OBJECTS.c.basis,
            OBJECTS.c.sealed_bytes,
            OBJECTS.c.sealed_sha256,
        ).where(condition, OBJECTS.c.state.in_(_LIVING))
    ):
        yield _Row(**row._mapping)


def _descendants(connection: Connection, object_ids: Collection[str]) -> list[_Row]:
    """What was made of some objects, down to the last; but shared bases, which are marked."""
    seen = set(object_ids)
    found: list[_Row] = []
    bases = select(ARTEFACTS.c.id).where(ARTEFACTS.c.subject_id.is_(None))
    while object_ids:
        children = {
            child
            for condition in _among(OBJECT_PARENTS.c.parent_id, object_ids)
            for child in connection.execute(
                select(OBJECT_PARENTS.c.object_id).where(condition)
            ).scalars()
        } - seen
        rows = [
            row
            for condition in _among(OBJECTS.c.id, children)
            for row in _living(
                connection,
                condition & (OBJECTS.c.artefact_id.is_(None) | OBJECTS.c.artefact_id.not_in(bases)),
            )
        ]
        found.extend(rows)
        seen |= children
        object_ids = [row.id for row in rows]
    return found


@dataclass(frozen=True)
class _Row:
    id: str
    kind: str
    subject_id: str | None
    upload_id: str | None
    artefact_id: str | None
    store_key: str | None
    basis: dict[str, int] | None
    sealed_bytes: int | None
    sealed_sha256: str


def _item(row: _Row, left: Mapping[Purpose, int]) -> Item:
    return Item(
        object_id=row.id,
        action=Action.NARROW if left else Action.ERASE,
        kind=row.kind,
        store_key=row.store_key or "",
        sealed_bytes=row.sealed_bytes,
        sealed_sha256=row.sealed_sha256,
        remaining=dict(left),
    )


class _Standing:
    """Which consents of a person still stand; each person is read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, dict[Purpose, frozenset[int]]] = {}

    def left(
        self, subject_id: str | None, basis: Mapping[Purpose, int], target: Target
    ) -> dict[Purpose, int]:
        """What remains of some consents when the target is gone."""
        if target.purpose is None or not subject_id:
            return {}
        valid = self._valid(subject_id)
        return {
            purpose: sequence
            for purpose, sequence in basis.items()
            if purpose is not target.purpose and sequence in valid[purpose]
        }

    def _valid(self, subject_id: str) -> dict[Purpose, frozenset[int]]:
        if subject_id not in self._known:
            known = subject_by_id(self._connection, subject_id) is not None
            facts = statements_of(self._connection, subject_id).facts if known else []
            self._known[subject_id] = {
                purpose: frozenset(fact.sequence for fact in valid_grants(facts, purpose))
                for purpose in Purpose
            }
        return self._known[subject_id]


def _basis(stored: Mapping[str, int] | None) -> dict[Purpose, int]:
    return {Purpose(name): sequence for name, sequence in (stored or {}).items()}


def _among(column: object, ids: Collection[str]) -> Iterator[ColumnElement[bool]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _PAGE):
        yield column.in_(ordered[start : start + _PAGE])  # type: ignore[attr-defined]
