"""A signed receipt that cannot be true as a whole is found out, whoever signed it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from models.receipts.signing import signature_findings
from models.schema.erasure import Step
from models.schema.receipt import Informed, Kept, KeptReason, KeptThing, SignedReceipt
from tests.models.receipts.conftest import ORDERED, removed, signed, steps

STEPS = steps()
LATER = STEPS[Step.SIGNED] + timedelta(seconds=1)


def _codes(made: SignedReceipt) -> list[str]:
    return [finding.code for finding in signature_findings(made, made.key)]


def test_an_ordinary_receipt_contradicts_itself_nowhere(ordinary: SignedReceipt) -> None:
    assert _codes(ordinary) == []


def test_steps_of_the_same_moment_are_in_order() -> None:
    assert _codes(signed(steps=dict.fromkeys(Step, ORDERED))) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"steps": {s: at for s, at in STEPS.items() if s is not Step.VERIFIED}}, "step_missing"),
        ({"steps": {**STEPS, Step.DELETED: STEPS[Step.VERIFIED]}}, "steps_out_of_order"),
        ({"ordered_at": STEPS[Step.FENCED]}, "done_before_ordered"),
        ({"due_at": ORDERED - timedelta(days=1)}, "due_before_ordered"),
        ({"unreadable_from": (ORDERED - timedelta(days=1)).date()}, "unreadable_too_early"),
        (
            {"informed": (Informed(recipient="f" * 32, disclosures=1, told_at=LATER),)},
            "told_after_signing",
        ),
        ({"removed": (*removed(2), *removed(1))}, "listed_twice"),
        ({"narrowed": 1}, "narrowed_not_kept"),
    ],
)
def test_a_contradiction_is_found(changes: dict[str, Any], code: str) -> None:
    assert _codes(signed(**changes)) == [code]


def test_what_was_narrowed_is_among_what_is_kept() -> None:
    kept = Kept(what=KeptThing.OTHER_PURPOSES, count=3, why=KeptReason.STILL_AGREED)
    assert _codes(signed(narrowed=3, kept=(kept,))) == []
    assert _codes(signed(narrowed=4, kept=(kept,))) == ["narrowed_not_kept"]


def test_a_salt_without_anything_it_refers_to_is_found() -> None:
    made = signed(reference=None).model_copy(update={"salt": "5" * 64})
    assert _codes(made) == ["salt_without_reference"]
