"""Signed checkpoints of the ledger: what its hash was, and how far it had come.

A checkpoint is what Certificate Transparency calls a signed tree head (RFC 6962, 3.5; C2SP
tlog-checkpoint): whoever keeps one elsewhere can show later that history before it was rewritten,
even by somebody who holds both databases. Each one names the one before it, so that none can be
taken out, and the newest is in the key store too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from sqlalchemy import Connection, func, insert, select

from models.schema.errors import BadInput, CheckFailed
from storage.catalogue.decisions import CHECKPOINTS, LEDGER_TIP
from storage.chain import canonical, stamp
from storage.clock import Clock, utc_now
from storage.database import Database, Writing
from storage.key_store import KeyStore

_CONTEXT: Final = b"likeness ledger checkpoint\n"
"""Before the signed JSON, because the same key signs receipts: neither can pose as the other."""


@dataclass(frozen=True)
class Checkpoint:
    """The ledger's sequence and hash at a time, signed (Ed25519, RFC 8032); all hexadecimal."""

    sequence: int
    hash: str
    at: str
    key: str
    """The public key."""
    previous: int
    """Sequence of the checkpoint before; 0 for the first."""
    signature: str

    @property
    def signed(self) -> bytes:
        """What the signature is over: a fixed line, then canonical JSON."""
        return signed_text(self.sequence, self.hash, self.at, self.key, self.previous)

    def is_genuine(self) -> bool:
        """Whether its key made its signature; whose key that is, the caller must know."""
        try:
            VerifyKey(bytes.fromhex(self.key)).verify(self.signed, bytes.fromhex(self.signature))
        except (BadSignatureError, ValueError, TypeError):
            return False
        return True

    def as_json(self) -> str:
        """The checkpoint as a file holds it."""
        return json.dumps(vars(self), indent=2)


class Checkpoints:
    """Signs and keeps checkpoints."""

    def __init__(
        self,
        catalogue: Database,
        keys: KeyStore,
        *,
        signing_key: SigningKey,
        every: int = 100,
        clock: Clock = utc_now,
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._signing_key = signing_key
        self._every = every
        self._clock = clock

    @property
    def public_key(self) -> str:
        """The key that checks every checkpoint and receipt of this house, hexadecimal."""
        return bytes(self._signing_key.verify_key).hex()

    def sign(self) -> Checkpoint | None:
        """Sign where the ledger is now; None for an empty one. Signing again changes nothing."""
        with self._catalogue.writing() as writing:
            sequence, digest = tip(writing.connection)
            if not sequence:
                return None
            row = writing.connection.execute(
                select(CHECKPOINTS).where(CHECKPOINTS.c.sequence == sequence)
            ).first()
            if row is not None:
                return Checkpoint(**row._mapping)
            return self._sign(writing, sequence, digest, stamp(self._clock()))

    def sign_when_due(self, writing: Writing, sequence: int, digest: str, at: str) -> None:
        """Sign every so-and-so-many-th entry, inside the transaction that appends it."""
        if sequence % self._every == 0:
            self._sign(writing, sequence, digest, at)

    def _sign(self, writing: Writing, sequence: int, digest: str, at: str) -> Checkpoint:
        newest = writing.connection.execute(select(func.max(CHECKPOINTS.c.sequence))).scalar() or 0
        text = signed_text(sequence, digest, at, self.public_key, newest)
        signature = self._signing_key.sign(text).signature.hex()
        made = Checkpoint(sequence, digest, at, self.public_key, newest, signature)
        writing.connection.execute(insert(CHECKPOINTS).values(**vars(made)))
        writing.after_commit.append(partial(self._keys.record_checkpoint, **vars(made)))
        return made


def signed_text(sequence: int, digest: str, at: str, key: str, previous: int) -> bytes:
    """What a checkpoint's signature is over."""
    fields: dict[str, Any] = {
        "sequence": sequence,
        "hash": digest,
        "at": at,
        "key": key,
        "previous": previous,
    }
    return _CONTEXT + canonical(fields).encode()


def checkpoint_from(text: str) -> Checkpoint:
    """A checkpoint from its file; raises BadInput, and CheckFailed for a false signature."""
    try:
        fields = json.loads(text)
        made = Checkpoint(**{name: fields[name] for name in Checkpoint.__dataclass_fields__})
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadInput(
            "The file is not a checkpoint.",
            remedy="Give a file that `likeness ledger checkpoint --out` wrote.",
        ) from None
    if type(made.sequence) is not int or not 0 < made.sequence < 2**31 or not made.is_genuine():
        raise CheckFailed(
            "The checkpoint's signature is false.", remedy="Somebody changed the file; ask why."
        )
    return made


def tip(connection: Connection) -> tuple[int, str]:
    """The newest entry, held until the transaction ends, so that writers follow one another."""
    row = connection.execute(
        select(LEDGER_TIP.c.sequence, LEDGER_TIP.c.hash).with_for_update()
    ).first()
    if row is None:
        raise RuntimeError("The ledger was never begun; its migration is incomplete.")
    return row.sequence, row.hash
