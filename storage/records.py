"""What is on record about one person, as the decision reads it: one look, in one transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, select

from models.consent.ages import AgeStatement
from models.consent.decision import Record
from models.consent.facts import Event, Fact
from models.consent.legal_bases import LegalBasis
from models.consent.rules import ConsentRules
from storage.catalogue.decisions import LEDGER_ENTRIES, LEDGER_PAYLOADS
from storage.catalogue.freezes import freezes_over
from storage.catalogue.people import Subject
from storage.catalogue.policies import all_policies

AGE_STATED: Final = "age_stated"
LEGAL_BASIS: Final = "legal_basis"
LEGAL_BASIS_ENDED: Final = "legal_basis_ended"

Stated = TypeVar("Stated", AgeStatement, LegalBasis)

_ACTS: Final = frozenset(event.value for event in Event)
_FACTS: Final = TypeAdapter(list[Fact])


@dataclass(frozen=True)
class Statements:
    """What the ledger holds about a person: their acts, their age, the law's cases."""

    facts: list[Fact]
    ages: list[AgeStatement]
    legal_bases: list[LegalBasis]


def record_of(
    connection: Connection, subject: Subject, *, upload_id: str | None, rules: ConsentRules
) -> Record:
    """Everything the decision reads about a person, or about one of their uploads."""
    statements = statements_of(connection, subject.id)
    return Record(
        facts=statements.facts,
        freezes=freezes_over(
            connection,
            account_id=subject.account_id,
            subject_id=subject.id,
            upload_id=upload_id,
        ),
        ages=statements.ages,
        policies=all_policies(connection),
        region=subject.region,
        rules=rules,
    )


def statements_of(connection: Connection, subject_id: str) -> Statements:
    """What was recorded about a person, each list in ledger order."""
    rows = connection.execute(
        select(LEDGER_PAYLOADS.c.sequence, LEDGER_ENTRIES.c.event, LEDGER_PAYLOADS.c.payload)
        .join(LEDGER_ENTRIES, LEDGER_ENTRIES.c.sequence == LEDGER_PAYLOADS.c.sequence)
        .where(
            LEDGER_PAYLOADS.c.subject_id == subject_id,
            LEDGER_ENTRIES.c.event.in_([*_ACTS, AGE_STATED, LEGAL_BASIS, LEGAL_BASIS_ENDED]),
        )
        .order_by(LEDGER_PAYLOADS.c.sequence)
    )
    found = Statements([], [], [])
    acts: list[str] = []
    ended: set[int] = set()
    for row in rows:
        if row.event in _ACTS:
            acts.append(_act(row.sequence, row.event, row.payload))
            continue
        payload = json.loads(row.payload)
        if row.event == AGE_STATED:
            found.ages.append(_known(AgeStatement, row.sequence, payload))
        elif row.event == LEGAL_BASIS:
            found.legal_bases.append(_known(LegalBasis, row.sequence, payload))
        else:
            ended.add(int(payload["basis"]))
    # The gate asks at every use: one parse for a whole history costs half of one for each act.
    found.facts.extend(_FACTS.validate_json(f"[{','.join(acts)}]", extra="ignore"))
    for place, basis in enumerate(found.legal_bases):
        if basis.sequence in ended:
            found.legal_bases[place] = basis.model_copy(update={"ended": True})
    return found


def _act(sequence: int, event: str, payload: str) -> str:
    """The payload, a JSON object, with what stands beside it in the entry; the last word counts."""
    return f'{payload[:-1]},"sequence":{sequence},"event":"{event}"}}'


def _known(model: type[Stated], sequence: int, payload: dict[str, Any]) -> Stated:
    known = {name: payload[name] for name in model.model_fields if name in payload}
    return model.model_validate({**known, "sequence": sequence})
