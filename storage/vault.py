"""Keys: making, wrapping, destroying.

    master key (a file, 0600)  wraps  scope keys (a subject's, an artefact's)
    scope key                  wraps  data keys, one for every object

Wrapped keys lie in the key store; the master key lies in neither database. Destroying a scope key
makes everything under it unreadable in one step; a narrow erasure destroys single data keys and
moves the survivors under a new scope key (invariant 5). Wrapping is XChaCha20-Poly1305 with the
wrapped key's own id as associated data, so that a wrapped key cannot pose as another.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from nacl.encoding import RawEncoder
from nacl.exceptions import CryptoError
from nacl.hash import blake2b
from nacl.secret import Aead
from nacl.signing import SigningKey
from nacl.utils import random as random_bytes
from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from models.schema.errors import CheckFailed, KeyDestroyed, Tampered
from storage.clock import Clock, utc_now
from storage.identifiers import random_id
from storage.key_store import METADATA, OBJECT_KEYS, SCOPE_KEYS, SERVICE_KEYS, KeyStore
from storage.sealing import KEY_BYTES

_MASTER_FILE: Final = "master.key"
_PSEUDONYM: Final = "pseudonym"
_SIGNING: Final = "ledger_signing"
_LEDGER_TAG: Final = "ledger_tag"


class Vault:
    """The house's keys, over one key store and one master key."""

    def __init__(self, store: KeyStore, master: bytes, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._master = master
        self._clock = clock
        self._pseudonym_key = self._service_key(_PSEUDONYM)

    @classmethod
    def open(cls, store: KeyStore, keys_folder: Path, *, clock: Clock = utc_now) -> Vault:
        """Read the master key, or make one where the key store is still empty.

        Raises CheckFailed when there are wrapped keys but no master key: a new one could open
        nothing, and making it would hide that the old one is lost.
        """
        file = keys_folder / _MASTER_FILE
        # Asked before the file is looked for: of processes that start an empty home together, one
        # may make the file and its first keys in between.
        held = store.database.has_tables(METADATA) and holds_keys(store)
        if not file.exists():
            if held:
                raise CheckFailed(
                    "There are encrypted records but no master key.",
                    remedy="Put the master key file back from its backup; "
                    "a new key could not open what is stored.",
                )
            _create_master(file)
        return cls(store, _read_master(file), clock=clock)

    # --- scope keys ---------------------------------------------------------------------------

    def new_scope_key(self, owner_id: str) -> str:
        """Make the scope key of a subject or artefact, and the key of its personal columns.

        Returns the scope key's id. The columns' key bears the owner's id.
        """
        scope_key_id, scope_key = random_id(), random_bytes(KEY_BYTES)
        now = self._clock()
        with self._store.database.writing() as writing:
            writing.connection.execute(
                insert(SCOPE_KEYS).values(
                    id=scope_key_id,
                    owner_id=owner_id,
                    wrapped=_wrap(self._master, scope_key, scope_key_id),
                    created_at=now,
                )
            )
            writing.connection.execute(
                insert(OBJECT_KEYS).values(
                    object_id=owner_id,
                    scope_key_id=scope_key_id,
                    wrapped=_wrap(scope_key, random_bytes(KEY_BYTES), owner_id),
                    created_at=now,
                )
            )
        return scope_key_id

    def destroy_scope_keys(self, owner_id: str) -> None:
        """Destroy the owner's scope keys and every data key under them; idempotent."""
        now = self._clock()
        with self._store.database.writing() as writing:
            ids = select(SCOPE_KEYS.c.id).where(SCOPE_KEYS.c.owner_id == owner_id)
            writing.connection.execute(
                update(OBJECT_KEYS)
                .where(OBJECT_KEYS.c.scope_key_id.in_(ids), OBJECT_KEYS.c.destroyed_at.is_(None))
                .values(wrapped=None, destroyed_at=now)
            )
            writing.connection.execute(
                update(SCOPE_KEYS)
                .where(SCOPE_KEYS.c.owner_id == owner_id, SCOPE_KEYS.c.destroyed_at.is_(None))
                .values(wrapped=None, destroyed_at=now)
            )
        self._store.database.truncate_log()

    def renew_scope_key(self, owner_id: str) -> str | None:
        """Move the owner's living data keys under a new scope key and destroy the old one.

        After this, a copy of the old scope key opens none of the data keys in the store. Does
        nothing for an owner whose keys are all destroyed; else returns the new one's id.
        """
        new_id = random_id()
        new_key = random_bytes(KEY_BYTES)
        now = self._clock()
        with self._store.database.writing() as writing:
            connection = writing.connection
            old = connection.execute(
                select(SCOPE_KEYS.c.id, SCOPE_KEYS.c.wrapped)
                .where(SCOPE_KEYS.c.owner_id == owner_id, SCOPE_KEYS.c.destroyed_at.is_(None))
                .with_for_update()
            ).all()
            if not old:
                return None
            connection.execute(
                insert(SCOPE_KEYS).values(
                    id=new_id,
                    owner_id=owner_id,
                    wrapped=_wrap(self._master, new_key, new_id),
                    created_at=now,
                )
            )
            for scope in old:
                old_key = _unwrap(self._master, scope.wrapped, scope.id)
                moved = [
                    {
                        "moved": row.object_id,
                        "wrapped": _wrap(
                            new_key, _unwrap(old_key, row.wrapped, row.object_id), row.object_id
                        ),
                    }
                    for row in connection.execute(
                        select(OBJECT_KEYS.c.object_id, OBJECT_KEYS.c.wrapped).where(
                            OBJECT_KEYS.c.scope_key_id == scope.id,
                            OBJECT_KEYS.c.destroyed_at.is_(None),
                        )
                    )
                ]
                if moved:
                    connection.execute(
                        update(OBJECT_KEYS)
                        .where(OBJECT_KEYS.c.object_id == bindparam("moved"))
                        .values(scope_key_id=new_id, wrapped=bindparam("wrapped")),
                        moved,
                    )
                connection.execute(
                    update(SCOPE_KEYS)
                    .where(SCOPE_KEYS.c.id == scope.id)
                    .values(wrapped=None, destroyed_at=now)
                )
        self._store.database.truncate_log()
        return new_id

    def living_keys(self, *, objects: Iterable[str] = (), owners: Iterable[str] = ()) -> int:
        """How many data keys of some objects, and scope keys of some owners, are not destroyed."""
        found = 0
        with self._store.database.reading() as connection:
            for table, column, ids in (
                (OBJECT_KEYS, OBJECT_KEYS.c.object_id, sorted(objects)),
                (SCOPE_KEYS, SCOPE_KEYS.c.owner_id, sorted(owners)),
            ):
                for start in range(0, len(ids), 500):
                    found += connection.execute(
                        select(func.count())
                        .select_from(table)
                        .where(column.in_(ids[start : start + 500]), table.c.wrapped.is_not(None))
                    ).scalar_one()
        return found

    # --- data keys ----------------------------------------------------------------------------

    def new_object_key(self, object_id: str, owner_id: str) -> bytes:
        """Make the data key of one object under its owner's scope key; 32 bytes.

        Raises KeyDestroyed for an owner who was erased.
        """
        data_key = random_bytes(KEY_BYTES)
        with self._store.database.writing() as writing:
            scope_key_id, scope_key = self._scope_key(writing.connection, owner_id)
            writing.connection.execute(
                insert(OBJECT_KEYS).values(
                    object_id=object_id,
                    scope_key_id=scope_key_id,
                    wrapped=_wrap(scope_key, data_key, object_id),
                    created_at=self._clock(),
                )
            )
        return data_key

    def object_key(self, object_id: str) -> bytes:
        """The data key; raises KeyDestroyed when it or its scope key is gone."""
        with self._store.database.reading() as connection:
            row = connection.execute(
                select(OBJECT_KEYS.c.wrapped, SCOPE_KEYS.c.id, SCOPE_KEYS.c.wrapped.label("scope"))
                .join(SCOPE_KEYS, SCOPE_KEYS.c.id == OBJECT_KEYS.c.scope_key_id)
                .where(OBJECT_KEYS.c.object_id == object_id)
            ).first()
        if row is None or row.wrapped is None or row.scope is None:
            raise KeyDestroyed("The key of this object was destroyed.")
        return _unwrap(_unwrap(self._master, row.scope, row.id), row.wrapped, object_id)

    def destroy_object_keys(self, object_ids: Iterable[str]) -> None:
        """Destroy data keys; ids that have none, or none any more, are passed over."""
        ids = list(object_ids)
        if not ids:
            return
        with self._store.database.writing() as writing:
            for start in range(0, len(ids), 500):
                writing.connection.execute(
                    update(OBJECT_KEYS)
                    .where(
                        OBJECT_KEYS.c.object_id.in_(ids[start : start + 500]),
                        OBJECT_KEYS.c.destroyed_at.is_(None),
                    )
                    .values(wrapped=None, destroyed_at=self._clock())
                )
        self._store.database.truncate_log()

    # --- personal columns, pseudonyms, digests ------------------------------------------------

    def seal_column(self, owner_id: str, value: bytes, *, context: str) -> bytes:
        """Encrypt a personal column of an owner; `context` names row and column.

        The owner's columns have one data key of their own, wrapped as every other: it moves with
        the survivors of a narrow erasure and goes with the scope key.
        """
        return owner_id.encode() + _wrap(self.object_key(owner_id), value, context)

    def unseal_column(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal_column` made; raises KeyDestroyed once the owner is erased."""
        owner_id = sealed[:32].decode("ascii", errors="replace")
        return _unwrap(self.object_key(owner_id), sealed[32:], context)

    def pseudonym(self, kind: str, external_id: str) -> str:
        """Keyed pseudonym of a caller's own id (Policy P25): 64 hexadecimal digits.

        `kind` ("subject", "account") keeps equal ids of different things apart.
        """
        message = f"{kind}\x00{external_id}".encode()
        return blake2b(message, key=self._pseudonym_key, encoder=RawEncoder).hex()

    def subject_digest_key(self, subject_id: str) -> bytes:
        """The key under which a subject's uploads are digested.

        Equal files of different subjects get different digests, so that nobody can learn that two
        people hold the same file.
        """
        return blake2b(
            subject_id.encode(), key=self._pseudonym_key, person=b"upload", encoder=RawEncoder
        )

    def suppression_digest(self, kind: str, pseudonym: str) -> str:
        """What the suppression list knows somebody by once their pseudonym is gone; 64 digits."""
        message = f"{kind}\x00{pseudonym}".encode()
        return blake2b(
            message, key=self._pseudonym_key, person=b"suppression", encoder=RawEncoder
        ).hex()

    def signing_key(self) -> SigningKey:
        """The Ed25519 key that signs ledger checkpoints and receipts."""
        return SigningKey(self._service_key(_SIGNING))

    def ledger_key(self) -> bytes:
        """The key of the tags that tell the ledger's own entries from others; 32 bytes."""
        return self._service_key(_LEDGER_TAG)

    # --- inside -------------------------------------------------------------------------------

    def _scope_key(self, connection: Connection, owner_id: str) -> tuple[str, bytes]:
        """The owner's scope key, held so that nobody renews it before the caller's commit."""
        living = (
            select(SCOPE_KEYS.c.id, SCOPE_KEYS.c.wrapped)
            .where(SCOPE_KEYS.c.owner_id == owner_id, SCOPE_KEYS.c.destroyed_at.is_(None))
            .order_by(SCOPE_KEYS.c.created_at.desc())
            .with_for_update(read=True)
        )
        # Twice: a renewal that was waited for has taken away the key that the first look found.
        row = connection.execute(living).first() or connection.execute(living).first()
        if row is None:
            raise KeyDestroyed("The key of this person's records was destroyed.")
        return row.id, _unwrap(self._master, row.wrapped, row.id)

    def _service_key(self, name: str) -> bytes:
        wrapped = self._wrapped_service_key(name)
        if wrapped is None:
            key = random_bytes(KEY_BYTES)
            try:
                with self._store.database.writing() as writing:
                    writing.connection.execute(
                        insert(SERVICE_KEYS).values(
                            name=name,
                            wrapped=_wrap(self._master, key, name),
                            created_at=self._clock(),
                        )
                    )
                return key
            except IntegrityError:  # another process made it in between
                wrapped = self._wrapped_service_key(name)
        try:
            return _unwrap(self._master, wrapped or b"", name)
        except Tampered:
            raise CheckFailed(
                "The master key does not open this key store.",
                remedy="Put back the master key that belongs to this key store.",
            ) from None

    def _wrapped_service_key(self, name: str) -> bytes | None:
        with self._store.database.reading() as connection:
            return connection.execute(
                select(SERVICE_KEYS.c.wrapped).where(SERVICE_KEYS.c.name == name)
            ).scalar()


def holds_keys(store: KeyStore) -> bool:
    """False where the key store is still empty; every opened one has the keys of the service."""
    with store.database.reading() as connection:
        return connection.execute(select(SERVICE_KEYS.c.name)).first() is not None


def _create_master(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{_MASTER_FILE}.{random_id()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(random_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        # link, not rename: of two processes that start an empty home, the first one's key stands.
        try:
            os.link(temporary, file)
        except FileExistsError:
            return
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_master(file: Path) -> bytes:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise CheckFailed(
            f"The master key file can be read by others (mode {mode:04o}).",
            remedy="Set its mode to 0600, and consider the key known to whoever could read it.",
        )
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise CheckFailed("The master key file is damaged.", remedy="Put it back from its backup.")
    return key


def _wrap(key: bytes, value: bytes, context: str) -> bytes:
    return bytes(Aead(key).encrypt(value, context.encode()))


def _unwrap(key: bytes, wrapped: bytes, context: str) -> bytes:
    try:
        return bytes(Aead(key).decrypt(wrapped, context.encode()))
    except CryptoError:
        raise Tampered("A wrapped key is not what was written.") from None
