"""A signed receipt: read back as it was, and no longer believed once anything of it is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey, VerifyKey

import models.receipts.signing as signing_module
from models.receipts.signing import canonical, read, sign, signature_findings, written
from models.schema.errors import BadInput, CheckFailed, LimitExceeded, Tampered
from models.schema.receipt import Receipt, SignedReceipt
from tests.models.receipts.conftest import KEY, receipt, receipts, signed_receipts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def _codes(signed: SignedReceipt, trusted_key: str | None = None) -> set[str]:
    return {finding.code for finding in signature_findings(signed, trusted_key)}


@given(receipts)
def test_what_is_signed_is_canonical_json_as_rfc_8785_has_it(made: Receipt) -> None:
    assert canonical(made) == rfc8785.dumps(made.model_dump(mode="json"))


@given(signed_receipts)
def test_a_receipt_that_was_written_reads_back_as_itself(made: SignedReceipt) -> None:
    assert read(written(made)) == made
    assert read(written(made).encode()) == made
    assert "bad_signature" not in _codes(read(written(made)), made.key)


@given(signed_receipts, st.randoms(use_true_random=False), st.sampled_from([None, 0, 1, "\t"]))
def test_white_space_and_the_order_of_keys_change_nothing(
    made: SignedReceipt, random: Any, indent: Any
) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(each) for each in value] if isinstance(value, list) else value

    fields = shuffled(json.loads(written(made)))
    again = read(json.dumps(fields, indent=indent, ensure_ascii=random.random() < 0.5))
    assert again == made
    assert canonical(again.receipt) == canonical(made.receipt)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and index below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*path, key))


def _is_believed(fields: dict[str, Any]) -> bool:
    try:
        made = read(json.dumps(fields))
    except (BadInput, CheckFailed):
        return False
    return "bad_signature" not in _codes(made)


@given(st.data(), receipts)
def test_changing_anything_of_what_is_signed_breaks_the_signature(
    data: st.DataObject, made: Receipt
) -> None:
    fields = json.loads(written(sign(made, KEY)))
    assert _is_believed(fields)
    *above, last = data.draw(st.sampled_from(list(_places(fields["receipt"]))))
    holder = fields["receipt"]
    for key in above:
        holder = holder[key]
    before = holder[last]
    similar = st.just(before)
    if isinstance(before, int):
        similar = st.integers(0, 2**53 - 1)
    elif isinstance(before, str):
        similar = st.permutations(before).map("".join) | st.text()
    after = data.draw(
        (similar | JSON).filter(lambda new: new != before or type(new) is not type(before))
    )
    # A number that is the same number (1 and 1.0) is the same in canonical JSON, too.
    same = isinstance(after, float) and isinstance(before, int) and after == before
    holder[last] = after
    assert not _is_believed(fields) or same
    del holder[last]
    assert not _is_believed(fields)


@given(st.text(min_size=1).filter(lambda name: name not in Receipt.model_fields), JSON)
def test_nothing_can_be_added_to_what_is_signed(name: str, value: Any) -> None:
    fields = json.loads(written(sign(receipt(), KEY)))
    fields["receipt"][name] = value
    assert not _is_believed(fields)


def test_an_altered_signature_or_key_is_not_believed(ordinary: SignedReceipt) -> None:
    signature = "0" + ordinary.signature[1:]
    signature = signature if signature != ordinary.signature else "1" + signature[1:]
    assert _codes(ordinary.model_copy(update={"signature": signature})) == {"bad_signature"}
    assert _codes(ordinary.model_copy(update={"signature": "0" * 128})) == {"bad_signature"}
    other = bytes(SigningKey(b"o" * 32).verify_key).hex()
    assert _codes(ordinary.model_copy(update={"key": other})) == {"bad_signature"}
    for no_point in ("0" * 64, "f" * 64):
        assert _codes(ordinary.model_copy(update={"key": no_point})) == {"bad_signature"}


def test_a_receipt_is_not_believed_as_one_of_a_house_that_did_not_sign_it(
    ordinary: SignedReceipt,
) -> None:
    other = SigningKey(b"o" * 32)
    theirs = bytes(other.verify_key).hex()
    assert _codes(ordinary, ordinary.key) == set()
    assert _codes(ordinary, ordinary.key.upper()) == set()
    assert _codes(ordinary, theirs) == {"foreign_key"}
    assert _codes(sign(ordinary.receipt, other), ordinary.key) == {"foreign_key"}


def test_anybody_can_check_the_signature_without_our_code(ordinary: SignedReceipt) -> None:
    fields = json.loads(written(ordinary))
    key = VerifyKey(bytes.fromhex(fields["key"]))
    assert key.verify(rfc8785.dumps(fields["receipt"]), bytes.fromhex(fields["signature"]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "{",
        "<!doctype html><title>Receipt</title>",
        b"\xff\xfe{",
        b"\xef\xbb\xbf{}",
        '{"receipt": {}, "key": 1, "signature": ""}',
        '{"receipt": [], "key": "", "signature": ""}',
        '{"receipt": {"narrowed": NaN}, "key": "", "signature": ""}',
        '{"receipt": {"narrowed": -Infinity}, "key": "", "signature": ""}',
        '{"receipt": {"narrowed": ' + "9" * 5000 + '}, "key": "", "signature": ""}',
        "[" * 100_000,
        '{"receipt": ' * 100_000,
        '{"sequence": 1, "hash": "", "key": "", "signature": ""}',
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_is_no_receipt_cannot_be_read(text: str | bytes) -> None:
    with pytest.raises(BadInput):
        read(text)


@given(st.text() | st.binary() | JSON.map(json.dumps))
def test_nothing_else_than_a_receipt_is_read_and_nothing_fails_otherwise(
    text: str | bytes,
) -> None:
    with pytest.raises(BadInput):
        read(text)


def test_a_key_that_stands_twice_is_refused_wherever_it_stands(ordinary: SignedReceipt) -> None:
    text = written(ordinary)
    for once, twice in (
        ('"narrowed":0', '"narrowed":7,"narrowed":0'),
        ('"signature":', f'"signature":"{"0" * 128}","signature":'),
        ('"receipt":', '"receipt":{},"receipt":'),
    ):
        assert once in text
        with pytest.raises(BadInput):
            read(text.replace(once, twice, 1))


def test_a_file_larger_than_any_receipt_is_refused(
    ordinary: SignedReceipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written(ordinary)
    monkeypatch.setattr(signing_module, "FILE_BYTES_MOST", len(text))
    assert read(text) == ordinary
    with pytest.raises(LimitExceeded):
        read(text + " ")


def test_a_receipt_of_a_later_format_is_told_apart_from_a_changed_one(
    ordinary: SignedReceipt,
) -> None:
    fields = json.loads(written(ordinary))
    later = copy.deepcopy(fields)
    later["receipt"]["format"] = "likeness.erasure-receipt/2"
    with pytest.raises(CheckFailed) as unknown:
        read(json.dumps(later))
    assert unknown.value.reason == "unknown_format"
    fields["receipt"]["ground"] = "no such ground"
    with pytest.raises(Tampered) as changed:
        read(json.dumps(fields))
    assert changed.value.reason == "changed"


@pytest.mark.parametrize(
    ("place", "other_words"),
    [
        ("ordered_at", "2026-11-26T17:30:00.125000+08:00"),
        ("ordered_at", "2026-11-26 09:30:00.125Z"),
        ("ordered_at", 1795685400.125),
        ("narrowed", "0"),
        ("narrowed", False),
        ("order", "0123456789ABCDEF" * 2),
    ],
)
def test_the_same_in_other_words_is_not_what_was_signed(
    ordinary: SignedReceipt, place: str, other_words: Any
) -> None:
    fields = json.loads(written(ordinary))
    fields["receipt"][place] = other_words
    with pytest.raises(Tampered):
        read(json.dumps(fields))


def test_the_salt_is_outside_what_is_signed_and_may_be_left_out(ordinary: SignedReceipt) -> None:
    fields = json.loads(written(ordinary.model_copy(update={"salt": "5" * 64})))
    assert read(json.dumps(fields)).salt == "5" * 64
    del fields["salt"]
    assert read(json.dumps(fields)) == ordinary
