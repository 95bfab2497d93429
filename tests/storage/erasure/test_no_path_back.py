"""What stays of an erased person is anonymous: no row leads from it back to them (Policy P09).

Every column of every table of both databases is looked through, so that a table that is added
later is looked through too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from models.receipts.reference import SALT_BYTES, reference_of
from models.schema.kinds import Role
from storage import key_store
from storage.catalogue import metadata
from storage.catalogue.artefacts import ARTEFACTS, GENERATIONS
from storage.catalogue.avatars import AVATARS
from storage.catalogue.objects import OBJECTS
from storage.catalogue.orders import Order
from storage.catalogue.people import ACCOUNTS, SUBJECTS
from storage.catalogue.uploads import UPLOADS
from storage.handles import Operation, Use
from tests.storage.erasure.conftest import CASES, House, Houses, before

WHOLE = ("subject", "account")
"""The orders by which people go whole."""
KEPT_OF_PEOPLE = {
    # Rows reduced to a random id and times, and keys whose bytes are destroyed.
    "subjects.id",
    "accounts.id",
    "object_keys.object_id",
    "scope_keys.owner_id",
    # What was ordered and done; the stop that stays in force.
    "orders.scope_id",
    "recorded_orders.scope_id",
    "erasures.concerned",
    "freezes.scope_id",
    "recorded_freezes.scope_id",
    # Who read what and why is kept for its own time (Policy P14).
    "access_log.subject_id",
    # Of an order about an account, which has no payload of one person.
    "ledger_payloads.payload",
}
"""Where the random id of an erased person or account may still stand."""
KEPT_OF_THINGS = {
    "uploads.id",
    "avatars.id",
    "artefacts.id",
    "generations.id",
    "generations.artefact_id",
    "objects.id",
    "intents.object_id",
    "runs.upload_id",
    "runs.artefact_id",
    "object_keys.object_id",
    "scope_keys.owner_id",
    "erasures.concerned",
    "erasure_items.object_id",
    "receipts.document",
    # Who read what and why is kept for its own time (Policy P14).
    "access_log.object_id",
}
"""Likewise of what was theirs."""


TOMBSTONES = (SUBJECTS, ACCOUNTS, UPLOADS, AVATARS, ARTEFACTS, GENERATIONS, OBJECTS)
SAID = {
    "subjects": {"id", "region", "created_at", "erased_at"},
    "accounts": {"id", "created_at", "erased_at"},
    "uploads": {"id", "state", "uploader", "created_at", "ended_at"},
    "avatars": {"id", "created_at", "erased_at"},
    "artefacts": {
        "id",
        "state",
        "task",
        "purpose",
        "engine",
        "engine_version",
        "snapshot_id",
        "created_at",
        "registered_at",
        "erased_at",
    },
    "generations": {"id", "artefact_id", "created_at", "erased_at"},
    "objects": {"id", "state", "kind", "sealed_sha256", "created_at", "erased_at"},
}
"""What the tombstones of each table still say."""


def _cells(house: House) -> Iterator[tuple[str, Any]]:
    """Every value of both databases, with where it stands."""
    for database, tables in (
        (house.storage.catalogue, metadata.METADATA.sorted_tables),
        (house.storage.keys.database, key_store.METADATA.sorted_tables),
    ):
        with database.reading() as connection:
            for table in tables:
                for row in connection.execute(select(table)):
                    for column, value in row._mapping.items():
                        yield f"{table.name}.{column}", value


def _places(house: House, *wanted: str) -> dict[str, set[str]]:
    """Where each of some words stands, alone or inside something longer."""
    found: dict[str, set[str]] = defaultdict(set)
    for place, value in _cells(house):
        text = value.hex() + repr(value) if isinstance(value, bytes) else str(value)
        for word in wanted:
            if word in text or word.encode().hex() in text:
                found[word].add(place)
    return dict(found)


def _names(case: str) -> list[tuple[str, str]]:
    """Those who go with a case's order, by the caller's own ids."""
    return [
        *(("subject", name) for name in sorted(CASES[case].subjects)),
        *(("account", name) for name in sorted(CASES[case].accounts)),
    ]


def _erased(houses: Houses, case: str) -> tuple[House, Order]:
    """A house in which the case's order was carried out, after somebody had read something."""
    house, template = houses.copied(), houses.template
    use = Use(Role.PERSON, Operation.ACCESS, frozenset(), "their own access")
    with house.storage.door.open(template.objects["a.report"], use) as reader:
        assert reader.read()
    order = house.storage.orders.place(CASES[case].request(template))
    return house, house.storage.carrying_out.run(order.id)


@pytest.mark.parametrize("case", WHOLE)
def test_nothing_that_was_computed_of_a_person_is_in_any_table(houses: Houses, case: str) -> None:
    """Pseudonyms computed again from the caller's own id, digests, sealed columns, wrapped keys."""
    known = before(houses.copied(), houses.template, CASES[case]).secrets
    house, _ = _erased(houses, case)
    vault = house.storage.vault
    pseudonyms = [vault.pseudonym(kind, name) for kind, name in _names(case)]
    assert _places(house, *pseudonyms) == {}
    values = {v.encode() if isinstance(v, str) else v for _, v in _plain_cells(house)}
    assert not known & values


@pytest.mark.parametrize("case", WHOLE)
def test_their_random_ids_stand_in_tombstones_and_records_of_the_erasure_alone(
    houses: Houses, case: str
) -> None:
    template = houses.template
    first = houses.copied()
    people = [first.storage.subjects.known(name).id for name in CASES[case].subjects]
    theirs = [
        *(template.objects[name] for name in template.gone_with(CASES[case])),
        *(
            made[name]
            for made in (template.uploads, template.avatars)
            for name in made
            if name in CASES[case].gone
        ),
        *(template.artefacts[name] for name in ("one", "two")),
    ]
    house, order = _erased(houses, case)
    people.append(order.scope_id)
    for places in _places(house, *people).values():
        assert places <= KEPT_OF_PEOPLE
    for places in _places(house, *theirs).values():
        assert places <= KEPT_OF_THINGS


@pytest.mark.parametrize("case", WHOLE)
def test_a_tombstone_says_nothing_but_ids_kinds_times_and_digests(
    houses: Houses, case: str
) -> None:
    """Of every row that still bears one of their ids in its own table."""
    house, _ = _erased(houses, case)
    told: dict[str, set[str]] = defaultdict(set)
    for table in TOMBSTONES:
        with house.storage.catalogue.reading() as connection:
            for row in connection.execute(select(table)):
                values = row._mapping
                if values.get("erased_at") is None and values.get("state") != "erased":
                    continue
                told[table.name] |= {name for name, v in values.items() if v not in (None, {}, [])}
    assert dict(told) == {
        name: columns for name, columns in SAID.items() if name != "accounts" or case == "account"
    }


@pytest.mark.parametrize("case", WHOLE)
def test_from_the_persons_own_id_the_suppression_entry_leads_to_the_order_and_no_further(
    houses: Houses, case: str
) -> None:
    """It has to: closed is final (Policy P18). Without the house's key it cannot be computed, and
    what the order names are the tombstones of the other tests."""
    house, order = _erased(houses, case)
    vault = house.storage.vault
    for kind, name in _names(case):
        digest = vault.suppression_digest(kind, vault.pseudonym(kind, name))
        assert _places(house, digest) == {digest: {"suppressions.digest"}}
        found = house.recorded.suppression(digest)
        assert found is not None
        assert found.order_id == order.id


@pytest.mark.parametrize("case", WHOLE)
def test_once_the_person_has_their_copy_nothing_here_tells_whose_receipt_it_is(
    houses: Houses, case: str
) -> None:
    house, order = _erased(houses, case)
    copy = house.storage.receipts.for_person(order.id)
    named = CASES[case].request(houses.template).named
    salt = bytes.fromhex(copy.salt or "")
    assert reference_of(salt, named) == order.reference
    assert _places(house, salt.hex()) == {}
    # Nothing that is kept is the salt by another name.
    for _, value in _plain_cells(house):
        if isinstance(value, bytes) and len(value) == SALT_BYTES:
            assert reference_of(value, named) != order.reference


def _plain_cells(house: House) -> Iterator[tuple[str, str | bytes]]:
    return ((p, v) for p, v in _cells(house) if isinstance(v, str | bytes) and v)
