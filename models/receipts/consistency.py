"""Whether what a receipt says can all be true together; asked of signed ones too.

A signature shows who says it, not that it is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from models.receipts.finding import Finding
from models.schema.erasure import Step
from models.schema.receipt import KeptThing, SignedReceipt


def contradictions(signed: SignedReceipt) -> Iterator[Finding]:
    """What in a receipt contradicts the rest of it."""
    yield from _times(signed)
    yield from _contents(signed)


def _times(signed: SignedReceipt) -> Iterator[Finding]:
    receipt = signed.receipt
    if missing := [step.value for step in Step if step not in receipt.steps]:
        yield Finding("step_missing", f"No time is given for the steps: {', '.join(missing)}.")
    done = [receipt.steps[step] for step in Step if step in receipt.steps]
    if any(later < earlier for earlier, later in pairwise(done)):
        yield Finding("steps_out_of_order", "A step is dated before one that comes ahead of it.")
    if done and min(done) < receipt.ordered_at:
        yield Finding("done_before_ordered", "A step is dated before the order.")
    if receipt.due_at < receipt.ordered_at:
        yield Finding("due_before_ordered", "The deadline lies before the order.")
    shredded = receipt.steps.get(Step.SHREDDED)
    if shredded is not None and receipt.unreadable_from < shredded.date():
        yield Finding(
            "unreadable_too_early",
            "Copies are called unreadable from a day on which their keys were still there.",
        )
    signed_at = receipt.steps.get(Step.SIGNED)
    told = [each.told_at for each in receipt.informed if each.told_at is not None]
    if signed_at is not None and any(at > signed_at for at in told):
        yield Finding("told_after_signing", "A recipient is said to be told after the signing.")


def _contents(signed: SignedReceipt) -> Iterator[Finding]:
    receipt = signed.receipt
    listed = Counter(each.object for each in receipt.removed)
    if twice := sum(count > 1 for count in listed.values()):
        yield Finding("listed_twice", f"{twice} objects are listed as removed more than once.")
    narrowed = sum(each.count for each in receipt.kept if each.what is KeptThing.OTHER_PURPOSES)
    if narrowed < receipt.narrowed:
        yield Finding(
            "narrowed_not_kept",
            "More objects are said to stay for another purpose than are listed as kept.",
        )
    if signed.salt is not None and receipt.reference is None:
        yield Finding("salt_without_reference", "There is a salt, but nothing that it refers to.")
