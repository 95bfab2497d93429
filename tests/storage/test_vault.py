"""Keys: found or refused, never silently replaced; destroyed for good (invariant 5)."""

from __future__ import annotations

import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from nacl.exceptions import CryptoError
from nacl.secret import Aead
from sqlalchemy import select, update

from models.schema.errors import CheckFailed, KeyDestroyed, Tampered
from storage.assembly import Storage, StorageAddresses
from storage.key_store import OBJECT_KEYS, SCOPE_KEYS
from storage.vault import Vault
from tests.storage.conftest import AdmittedFactory

AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
PlainInHome = Callable[..., list[str]]


@pytest.fixture
def vault(storage: Storage) -> Vault:
    return storage.vault


@pytest.fixture
def master(storage: Storage, addresses: StorageAddresses) -> Path:
    assert storage.vault is not None
    return addresses.keys_folder / "master.key"


def _scope_row(storage: Storage, scope_key_id: str) -> Any:
    with storage.keys.database.reading() as connection:
        return connection.execute(select(SCOPE_KEYS).where(SCOPE_KEYS.c.id == scope_key_id)).one()


def _wrapped_object_key(storage: Storage, object_id: str) -> bytes | None:
    with storage.keys.database.reading() as connection:
        return connection.execute(
            select(OBJECT_KEYS.c.wrapped).where(OBJECT_KEYS.c.object_id == object_id)
        ).scalar_one()


# --- the master key ---------------------------------------------------------------------------


def test_an_empty_home_gets_a_master_key_that_only_its_owner_reads(master: Path) -> None:
    assert len(master.read_bytes()) == 32
    assert stat.S_IMODE(master.stat().st_mode) == 0o600
    assert stat.S_IMODE(master.parent.stat().st_mode) == 0o700
    assert [file.name for file in master.parent.iterdir()] == ["master.key"]


def test_a_missing_master_key_is_refused_and_never_replaced(
    master: Path, addresses: StorageAddresses
) -> None:
    master.unlink()
    with pytest.raises(CheckFailed, match="encrypted records but no master key") as refused:
        Storage.open(addresses)
    assert "backup" in refused.value.remedy
    assert not master.exists()


def test_another_homes_master_key_is_refused(master: Path, addresses: StorageAddresses) -> None:
    master.write_bytes(b"x" * 32)
    with pytest.raises(CheckFailed, match="does not open this key store") as refused:
        Storage.open(addresses)
    assert type(refused.value) is CheckFailed
    assert "belongs to this key store" in refused.value.remedy


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_master_key_is_refused(
    master: Path, addresses: StorageAddresses, content: bytes
) -> None:
    master.write_bytes(content)
    with pytest.raises(CheckFailed, match="master key file is damaged"):
        Storage.open(addresses)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_master_key_that_others_can_reach_is_refused(
    master: Path, addresses: StorageAddresses, mode: int
) -> None:
    master.chmod(mode)
    with pytest.raises(CheckFailed, match=f"can be read by others .mode {mode:04o}") as refused:
        Storage.open(addresses)
    assert "0600" in refused.value.remedy


def test_the_key_put_back_from_its_backup_opens_everything_again(
    master: Path, addresses: StorageAddresses, vault: Vault
) -> None:
    vault.new_scope_key("p" * 32)
    key = vault.new_object_key("o" * 32, "p" * 32)
    backup = master.read_bytes()
    master.unlink()
    with pytest.raises(CheckFailed):
        Storage.open(addresses)
    master.write_bytes(backup)
    master.chmod(0o600)
    assert Storage.open(addresses).vault.object_key("o" * 32) == key


def test_a_home_with_people_whose_key_store_is_lost_is_refused_with_or_without_master_key(
    storage: Storage, master: Path, addresses: StorageAddresses, admitted: AdmittedFactory
) -> None:
    admitted()
    file = storage.keys.database.file
    assert file is not None
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
    with pytest.raises(CheckFailed, match="key store is empty"):
        Storage.open(addresses)
    master.unlink()
    with pytest.raises(CheckFailed, match="key store is empty"):
        Storage.open(addresses)
    assert not master.exists()


def test_processes_that_start_an_empty_home_together_agree_on_one_key(
    addresses: StorageAddresses, at_once: AtOnce
) -> None:
    def pseudonym() -> str:
        return Storage.open(addresses).vault.pseudonym("subject", "s-1")

    assert len(set(at_once([pseudonym] * 4))) == 1
    assert [file.name for file in addresses.keys_folder.iterdir()] == ["master.key"]


# --- destroying -------------------------------------------------------------------------------


def test_a_destroyed_data_key_is_gone_and_its_neighbours_are_not(vault: Vault) -> None:
    vault.new_scope_key("p" * 32)
    vault.new_object_key("a" * 32, "p" * 32)
    kept = vault.new_object_key("b" * 32, "p" * 32)
    vault.destroy_object_keys(["a" * 32, "f" * 32])
    vault.destroy_object_keys(["a" * 32])
    with pytest.raises(KeyDestroyed):
        vault.object_key("a" * 32)
    assert vault.object_key("b" * 32) == kept


def test_destroying_a_persons_key_shreds_all_that_is_theirs_and_nothing_of_others(
    vault: Vault,
) -> None:
    for person in ("p" * 32, "q" * 32):
        vault.new_scope_key(person)
    vault.new_object_key("a" * 32, "p" * 32)
    other = vault.new_object_key("b" * 32, "q" * 32)
    column = vault.seal_column("p" * 32, b"a file name", context="upload:1")
    vault.destroy_scope_keys("p" * 32)
    vault.destroy_scope_keys("p" * 32)
    with pytest.raises(KeyDestroyed):
        vault.object_key("a" * 32)
    with pytest.raises(KeyDestroyed):
        vault.unseal_column(column, context="upload:1")
    with pytest.raises(KeyDestroyed):
        vault.new_object_key("c" * 32, "p" * 32)
    assert vault.object_key("b" * 32) == other


def test_a_destroyed_key_lies_in_no_file_any_more_not_even_wrapped(
    storage: Storage, vault: Vault, plain_in_home: PlainInHome
) -> None:
    scope = vault.new_scope_key("p" * 32)
    vault.new_object_key("a" * 32, "p" * 32)
    wrapped = _wrapped_object_key(storage, "a" * 32)
    scope_wrapped = _scope_row(storage, scope).wrapped
    assert plain_in_home(wrapped)
    assert plain_in_home(scope_wrapped)
    vault.destroy_object_keys(["a" * 32])
    assert plain_in_home(wrapped) == []
    vault.destroy_scope_keys("p" * 32)
    assert plain_in_home(scope_wrapped) == []


def test_renewing_a_persons_key_keeps_survivors_and_makes_old_copies_of_it_useless(
    storage: Storage, vault: Vault, master: Path
) -> None:
    """The backup of a narrow erasure: the old scope row, put back, opens nothing that is left."""
    old_id = vault.new_scope_key("p" * 32)
    kept = vault.new_object_key("a" * 32, "p" * 32)
    vault.new_object_key("b" * 32, "p" * 32)
    old_row = _scope_row(storage, old_id)
    vault.destroy_object_keys(["b" * 32])

    new_id = vault.renew_scope_key("p" * 32)
    assert new_id != old_id
    assert vault.object_key("a" * 32) == kept
    with pytest.raises(KeyDestroyed):
        vault.object_key("b" * 32)
    assert _scope_row(storage, old_id).wrapped is None

    old_scope_key = Aead(master.read_bytes()).decrypt(old_row.wrapped, old_id.encode())
    left = _wrapped_object_key(storage, "a" * 32)
    assert left is not None
    with pytest.raises(CryptoError):
        Aead(old_scope_key).decrypt(left, b"a" * 32)

    with storage.keys.database.writing() as writing:
        writing.connection.execute(
            update(SCOPE_KEYS)
            .where(SCOPE_KEYS.c.id == old_id)
            .values(wrapped=old_row.wrapped, destroyed_at=None)
        )
    with pytest.raises(KeyDestroyed):
        vault.object_key("b" * 32)
    assert vault.object_key("a" * 32) == kept


def test_new_objects_come_under_the_renewed_key(vault: Vault, storage: Storage) -> None:
    vault.new_scope_key("p" * 32)
    new_id = vault.renew_scope_key("p" * 32)
    vault.new_object_key("c" * 32, "p" * 32)
    with storage.keys.database.reading() as connection:
        under = connection.execute(
            select(OBJECT_KEYS.c.scope_key_id).where(OBJECT_KEYS.c.object_id == "c" * 32)
        ).scalar_one()
    assert under == new_id


def test_one_objects_wrapped_key_does_not_pose_as_anothers(storage: Storage, vault: Vault) -> None:
    vault.new_scope_key("p" * 32)
    vault.new_object_key("a" * 32, "p" * 32)
    vault.new_object_key("b" * 32, "p" * 32)
    wrapped = _wrapped_object_key(storage, "a" * 32)
    with storage.keys.database.writing() as writing:
        writing.connection.execute(
            update(OBJECT_KEYS).where(OBJECT_KEYS.c.object_id == "b" * 32).values(wrapped=wrapped)
        )
    with pytest.raises(Tampered):
        vault.object_key("b" * 32)


def test_a_sealed_column_opens_only_in_its_own_row_and_column(vault: Vault) -> None:
    vault.new_scope_key("p" * 32)
    sealed = vault.seal_column("p" * 32, b"a file name", context="upload:1:file_name")
    assert vault.unseal_column(sealed, context="upload:1:file_name") == b"a file name"
    for elsewhere in ("upload:2:file_name", "upload:1:transcript"):
        with pytest.raises(Tampered):
            vault.unseal_column(sealed, context=elsewhere)


# --- pseudonyms -------------------------------------------------------------------------------


def test_pseudonyms_are_stable_in_a_home_and_differ_between_kinds_people_and_homes(
    vault: Vault,
    addresses: StorageAddresses,
    addresses_in: Callable[[Path], StorageAddresses],
    tmp_path: Path,
) -> None:
    pseudonym = vault.pseudonym("subject", "s-1")
    assert len(bytes.fromhex(pseudonym)) == 32
    assert Storage.open(addresses).vault.pseudonym("subject", "s-1") == pseudonym
    elsewhere = Storage.open(addresses_in(tmp_path / "elsewhere")).vault
    others = {
        vault.pseudonym("account", "s-1"),
        vault.pseudonym("subject", "s-2"),
        elsewhere.pseudonym("subject", "s-1"),
        sha256(b"s-1").hexdigest(),
    }
    assert len(others | {pseudonym}) == 5


def test_each_person_has_a_digest_key_of_their_own(vault: Vault) -> None:
    keys = {vault.subject_digest_key("p" * 32), vault.subject_digest_key("q" * 32)}
    assert len(keys) == 2
    assert vault.subject_digest_key("p" * 32) in keys


def test_no_key_lies_in_any_file_in_plain_but_the_master_key_in_its_own(
    vault: Vault, storage: Storage, master: Path, plain_in_home: PlainInHome
) -> None:
    scope_id = vault.new_scope_key("p" * 32)
    data_key = vault.new_object_key("a" * 32, "p" * 32)
    row = _scope_row(storage, scope_id)
    scope_key = Aead(master.read_bytes()).decrypt(row.wrapped, scope_id.encode())
    derived = vault.subject_digest_key("p" * 32)
    assert plain_in_home(data_key, scope_key, derived, bytes(vault.signing_key())) == []
    assert plain_in_home(master.read_bytes()) == [
        f"{master.read_bytes()!r} in {master.relative_to(master.parent.parent)}"
    ]


def test_personal_columns_survive_a_renewed_scope_key_and_go_with_the_person(vault: Vault) -> None:
    vault.new_scope_key("p" * 32)
    sealed = vault.seal_column("p" * 32, b"a file name", context="upload:1")
    vault.renew_scope_key("p" * 32)
    assert vault.unseal_column(sealed, context="upload:1") == b"a file name"
    vault.destroy_scope_keys("p" * 32)
    with pytest.raises(KeyDestroyed):
        vault.unseal_column(sealed, context="upload:1")


def test_nobody_else_may_look_into_the_home_or_at_the_keys(storage: Storage, home: Path) -> None:
    assert storage.vault
    for place, most in ((home, 0o700), (home / "keys", 0o700), (home / "keys/master.key", 0o600)):
        assert stat.S_IMODE(place.stat().st_mode) == most, place
