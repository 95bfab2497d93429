"""The receipt of an erasure: what a regulator and the person are given (Policy P15, P17).

It holds no personal data. Who it is about stands in it as a salted reference, SHA-256 of the salt
and the person's own id; the salt is in the person's copy alone. Every field has one way of being
written, so that what is signed and what a file says are the same text.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from models.schema.erasure import ErasureGround, Requester, Step
from models.schema.purposes import Purpose

FORMAT: Final = "likeness.erasure-receipt/1"


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a time that every zone has") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time; always in UTC."""
RandomId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Bytes32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest, a public key or a salt: 32 bytes as hexadecimal digits."""
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Count = Annotated[int, Field(ge=0, lt=2**53)]
"""Canonical JSON knows no larger whole numbers (RFC 8785, 3.2.2.3)."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RemovedObject(_Part):
    """One object that is gone: its address in the object store and its ciphertext's digest."""

    object: RandomId
    kind: Code
    store_key: str = Field(max_length=64)
    """Random; what is listed as absent is listed under it."""
    sealed_bytes: Count
    """Length of the ciphertext."""
    sealed_sha256: Bytes32


class KeptThing(StrEnum):
    """What an erasure leaves (Policy P14, P20)."""

    SUPPRESSION = "suppression"
    """Keyed digests of whom nothing may come back of (Policy P18)."""
    LEDGER_CHAIN = "ledger_chain"
    ACCESS_LOG = "access_log"
    TOMBSTONES = "tombstones"
    RECEIPT = "receipt"
    KEY_BACKUPS = "key_backups"
    SHARED_UPLOADS = "shared_uploads"
    """Of a deleted avatar, where another one needs them (Policy P15)."""
    OTHER_PURPOSES = "other_purposes"
    """What lost a purpose and stays for another one (invariant 2)."""
    TAINTED_BASE = "tainted_base"
    """Shared bases that learned from several people (invariant 8)."""


class KeptReason(StrEnum):
    """Why something is left."""

    NOTHING_RETURNS = "nothing_returns"
    PROOF = "proof"
    NETWORK_LOGS = "network_logs"
    """Kept at least six months (Policy P05, P14)."""
    RECOVERY = "recovery"
    CHOSEN = "chosen"
    STILL_AGREED = "still_agreed"
    RETRAINED = "retrained"


class Kept(_Part):
    """Something that stays, and why."""

    what: KeptThing
    count: Count = 1
    why: KeptReason
    until: date | None = None
    """None: no day is set."""


class Informed(_Part):
    """A recipient of earlier disclosures, who was told to delete too (Policy P08a)."""

    recipient: RandomId
    """Of the registered recipient, an organisation."""
    disclosures: Count
    told_at: Moment | None
    """None: still to be told when the receipt was signed; `disclose notices` lists it."""


class Receipt(_Part):
    """What is signed."""

    format: Literal["likeness.erasure-receipt/1"] = FORMAT
    order: RandomId
    scope: Literal["account", "subject", "avatar", "upload"]
    purpose: Purpose | None
    """The purpose that was ended; None: everything in the scope."""
    ground: ErasureGround
    requester: Requester
    reference: Bytes32 | None
    """Salted SHA-256 of whom or what the order named; None where nobody outside named it."""
    ordered_at: Moment
    due_at: Moment
    steps: dict[Step, Moment]
    """When each step was done."""
    removed: tuple[RemovedObject, ...]
    removed_rows: dict[Code, Count]
    """Rows reduced or deleted, by group: subjects, uploads, avatars, artefacts, generations..."""
    narrowed: Count
    """Objects that lost a purpose and stay for another one."""
    kept: tuple[Kept, ...]
    informed: tuple[Informed, ...]
    unreadable_from: date
    """From this day no backup of the key store can hold a key of what was removed."""
    region: str = Field(max_length=64)


class SignedReceipt(_Part):
    """The file that is handed out: the receipt, and an Ed25519 signature of its canonical JSON
    (RFC 8785)."""

    receipt: Receipt
    key: Bytes32
    """Public key, 64 hexadecimal digits."""
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")
    """Of the canonical JSON of `receipt`, 128 hexadecimal digits."""
    salt: Bytes32 | None = None
    """Only in the person's copy, handed out once; 64 hexadecimal digits."""
