"""A receipt of an ordinary erasure, and any receipt that its contract allows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from nacl.signing import SigningKey

from models.receipts.reference import reference_of
from models.receipts.signing import sign
from models.schema.erasure import ErasureGround, Requester, Step
from models.schema.purposes import Purpose
from models.schema.receipt import (
    Informed,
    Kept,
    KeptReason,
    KeptThing,
    Receipt,
    RemovedObject,
    SignedReceipt,
)

KEY = SigningKey(b"k" * 32)
SALT = bytes(range(32))
NAMED = "s-17"
ORDERED = datetime(2026, 11, 26, 9, 30, 0, 125_000, tzinfo=UTC)


def removed(count: int = 3, kind: str = "voice_segment") -> tuple[RemovedObject, ...]:
    """Objects that are gone."""
    return tuple(
        RemovedObject(
            object=f"{at:032x}",
            kind=kind,
            store_key=f"{at + 2**64:032x}",
            sealed_bytes=4096 + at,
            sealed_sha256=f"{at + 2**128:064x}",
        )
        for at in range(count)
    )


def steps() -> dict[Step, datetime]:
    """Every step, a second after the one before."""
    return {step: ORDERED + timedelta(seconds=at) for at, step in enumerate(Step, start=1)}


def receipt(**changes: Any) -> Receipt:
    """The receipt of an ordinary erasure, with changes."""
    fields: dict[str, Any] = {
        "order": "0123456789abcdef" * 2,
        "scope": "subject",
        "purpose": None,
        "ground": ErasureGround.REQUESTED,
        "requester": Requester.PERSON,
        "reference": reference_of(SALT, NAMED),
        "ordered_at": ORDERED,
        "due_at": ORDERED + timedelta(days=30),
        "steps": steps(),
        "removed": removed(),
        "removed_rows": {"subjects": 1, "uploads": 2},
        "narrowed": 0,
        "kept": (
            Kept(what=KeptThing.SUPPRESSION, why=KeptReason.NOTHING_RETURNS),
            Kept(what=KeptThing.KEY_BACKUPS, why=KeptReason.RECOVERY, until=date(2026, 12, 26)),
        ),
        "informed": (Informed(recipient="f" * 32, disclosures=2, told_at=None),),
        "unreadable_from": date(2026, 12, 26),
        "region": "cn",
    }
    return Receipt(**{**fields, **changes})


def signed(**changes: Any) -> SignedReceipt:
    """The same, signed."""
    return sign(receipt(**changes), KEY)


@pytest.fixture
def ordinary() -> SignedReceipt:
    """A signed receipt of an ordinary erasure."""
    return signed()


_digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
_ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
_codes = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
_counts = st.integers(0, 2**53 - 1)
_moments = st.datetimes(timezones=st.just(UTC))
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

receipts = st.builds(
    Receipt,
    order=_ids,
    scope=st.sampled_from(["account", "subject", "avatar", "upload"]),
    purpose=st.none() | st.sampled_from(Purpose),
    ground=st.sampled_from(ErasureGround),
    requester=st.sampled_from(Requester),
    reference=st.none() | _digests,
    ordered_at=_moments,
    due_at=_moments,
    steps=st.dictionaries(st.sampled_from(Step), _moments),
    removed=st.lists(
        st.builds(
            RemovedObject,
            object=_ids,
            kind=_codes,
            store_key=_text,
            sealed_bytes=_counts,
            sealed_sha256=_digests,
        ),
        max_size=4,
    ).map(tuple),
    removed_rows=st.dictionaries(_codes, _counts, max_size=4),
    narrowed=_counts,
    kept=st.lists(
        st.builds(
            Kept,
            what=st.sampled_from(KeptThing),
            count=_counts,
            why=st.sampled_from(KeptReason),
            until=st.none() | st.dates(),
        ),
        max_size=4,
    ).map(tuple),
    informed=st.lists(
        st.builds(Informed, recipient=_ids, disclosures=_counts, told_at=st.none() | _moments),
        max_size=3,
    ).map(tuple),
    unreadable_from=st.dates(),
    region=_text,
)
signed_receipts = st.builds(
    lambda made, seed, salt: sign(made, SigningKey(seed)).model_copy(update={"salt": salt}),
    receipts,
    st.binary(min_size=32, max_size=32),
    st.none() | _digests,
)
