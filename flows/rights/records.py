"""What is on record about a person as JSON: the fields of commands and of the export's files."""

from __future__ import annotations

from typing import Any, Final

from flows.times import stamp, stamp_or_none
from models.consent.decision import Decision
from models.consent.facts import Fact
from storage.access_log import Access
from storage.catalogue.artefacts import Artefact, Generation
from storage.catalogue.avatars import Avatar
from storage.catalogue.disclosures import Disclosure
from storage.catalogue.freezes import FreezeRow
from storage.catalogue.objects import StoredRow
from storage.catalogue.orders import Order
from storage.catalogue.requests import Request
from storage.registers.costs import Amount, Cost
from storage.registers.subject_access import Entry

_OF_OTHERS: Final = frozenset({"guardian"})
"""Parts of a ledger payload that are a pseudonym of somebody else."""


def consent(fact: Fact) -> dict[str, Any]:
    """One act about a purpose."""
    return {
        "entry": fact.sequence,
        "event": fact.event.value,
        "purpose": fact.purpose.value,
        "at": stamp(fact.acted_at),
        "source": fact.source.value if fact.uploader else None,
        "uploader": fact.uploader.value if fact.uploader else None,
        "evidence_level": fact.evidence_level.value if fact.evidence_level else None,
        "evidence_digest": fact.evidence_digest,
        "authorisation_digest": fact.authorisation_digest,
        "policy_version": fact.policy_version,
        "expires_at": stamp_or_none(fact.expires_at),
        "recipient": fact.recipient,
        "region": fact.region,
    }


def decision(made: Decision) -> dict[str, Any]:
    """The decision about one purpose."""
    return {
        "purpose": made.purpose.value,
        "allowed": made.allowed,
        "basis": made.basis,
        "reasons": [reason.model_dump() for reason in made.reasons],
        "warnings": [warning.model_dump() for warning in made.warnings],
    }


def entry(written: Entry) -> dict[str, Any]:
    """One ledger entry, whatever its event, without what names another person."""
    return {
        "entry": written.sequence,
        "at": stamp(written.at),
        "event": written.event,
        "payload": {k: v for k, v in written.payload.items() if k not in _OF_OTHERS},
    }


def freeze(row: FreezeRow) -> dict[str, Any]:
    """One freeze."""
    return {
        "freeze": row.id,
        "scope": row.scope.value,
        "purpose": row.purpose.value if row.purpose else None,
        "cause": row.cause,
        "entry": row.ledger_sequence,
        "since": stamp(row.created_at),
        "lifted_at": stamp_or_none(row.lifted_at),
    }


def order(row: Order) -> dict[str, Any]:
    """One erasure order."""
    return {
        "order": row.id,
        "scope": row.scope.value,
        "purpose": row.purpose.value if row.purpose else None,
        "ground": row.ground.value,
        "state": row.state.value,
        "ordered_at": stamp(row.created_at),
        "starts_at": stamp_or_none(row.starts_at),
        "due_at": stamp(row.due_at),
    }


def access(log: Access) -> dict[str, Any]:
    """One opened object, or the objects of one snapshot."""
    return {
        "at": stamp(log.at),
        "object": log.object_id,
        "kind": log.kind,
        "role": log.role,
        "operation": log.operation,
        "purposes": list(log.purposes),
        "reference": log.reference,
        "count": log.count or 1,
    }


def disclosure(recipient: str, row: Disclosure) -> dict[str, Any]:
    """One disclosure, with the recipient's name."""
    return {
        "disclosure": row.id,
        "at": stamp(row.created_at),
        "recipient": recipient,
        "ground": row.basis.value,
        "purpose": row.purpose.value,
        "kinds": sorted(row.kinds),
        "document_digest": row.document_digest,
        "entry": row.ledger_sequence,
    }


def request(row: Request) -> dict[str, Any]:
    """One request, without the words about its handling."""
    return {
        "request": row.id,
        "kind": row.kind.value,
        "state": row.state.value,
        "opened_at": stamp(row.created_at),
        "due_at": stamp(row.due_at),
        "answered_at": stamp_or_none(row.answered_at),
        "entry": row.ledger_sequence,
    }


def stored(row: StoredRow) -> dict[str, Any]:
    """One object's row."""
    return {
        "object": row.id,
        "kind": row.kind,
        "upload": row.upload_id,
        "artefact": row.artefact_id,
        "bytes": row.plain_bytes,
        "purposes": {purpose.value: sequence for purpose, sequence in sorted(row.basis.items())},
        "region": row.region,
        "created_at": stamp(row.created_at),
        "expires_at": stamp_or_none(row.expires_at),
    }


def avatar(name: str, row: Avatar) -> dict[str, Any]:
    """One avatar, under the name that its person gave it."""
    return {"avatar": row.id, "name": name, "created_at": stamp(row.created_at)}


def artefact(row: Artefact) -> dict[str, Any]:
    """One artefact: what it is a model of, how it was trained, what its evaluation found."""
    return {
        "artefact": row.id,
        "avatar": row.avatar_id,
        "task": row.task.value,
        "purpose": row.purpose.value,
        "state": row.state.value,
        "engine": row.engine,
        "engine_version": row.engine_version,
        "metrics": row.metrics,
        "created_at": stamp(row.created_at),
        "registered_at": stamp_or_none(row.registered_at),
    }


def generation(row: Generation) -> dict[str, Any]:
    """One generation, without the words that were asked for."""
    return {
        "generation": row.id,
        "artefact": row.artefact_id,
        "avatar": row.avatar_id,
        "seconds": row.seconds,
        "created_at": stamp(row.created_at),
    }


def cost(told: Cost) -> dict[str, Any]:
    """What a switch would cost."""
    return {
        "purposes": sorted(told.purposes),
        "runs": told.runs,
        "deleted": [_amount(each) for each in told.deleted],
        "deleted_uploads": told.deleted_uploads,
        "narrowed": [_amount(each) for each in told.narrowed],
        "narrowed_uploads": told.narrowed_uploads,
        "kept_for": sorted(told.kept_for),
        "due_at": stamp_or_none(told.due_at),
    }


def _amount(amount: Amount) -> dict[str, Any]:
    return {"kind": amount.kind, "count": amount.count, "bytes": amount.bytes}
