"""Whom a receipt is about: shown by whoever has the salt, to nobody else."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from models.receipts.reference import reference_of, refers_to
from models.schema.receipt import SignedReceipt
from tests.models.receipts.conftest import NAMED, SALT, signed


def test_the_reference_is_what_a_person_can_compute_by_themselves() -> None:
    assert reference_of(SALT, "张伟") == sha256(SALT + "张伟".encode()).hexdigest()


def test_a_receipt_refers_to_the_one_who_was_named(ordinary: SignedReceipt) -> None:
    assert refers_to(ordinary, SALT, NAMED)


@given(st.text(), st.binary(min_size=32, max_size=32))
def test_it_refers_to_nobody_else_and_with_no_other_salt(named: str, salt: bytes) -> None:
    ordinary = signed()
    assert refers_to(ordinary, SALT, named) is (named == NAMED)
    assert refers_to(ordinary, salt, NAMED) is (salt == SALT)


def test_a_receipt_without_a_reference_refers_to_nobody() -> None:
    assert not refers_to(signed(reference=None), SALT, NAMED)
