"""The person's copy is taken only where it can be written, and written whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from flows.receipts.copies import give
from models.receipts.signing import written
from models.schema.errors import BadInput, BadUsage, Refused
from models.schema.receipt import SignedReceipt
from tests.models.receipts.conftest import SALT


class Salt:
    """Hands the salt out, and knows how often."""

    def __init__(self, plain: SignedReceipt) -> None:
        self.plain = plain
        self.taken = 0

    def __call__(self) -> SignedReceipt:
        self.taken += 1
        return self.plain.model_copy(update={"salt": SALT.hex()})


def _made(signed: SignedReceipt) -> bytes:
    return written(signed).encode()


def test_every_file_is_written_with_the_salt_for_its_owner_alone(
    ordinary: SignedReceipt, tmp_path: Path
) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    files[1].write_text("something longer that was there before" * 1000)
    salt = Salt(ordinary)
    sizes = give(dict.fromkeys(files, _made), ordinary, salt)
    assert salt.taken == 1
    for file in files:
        assert file.read_bytes() == _made(salt())
        assert sizes[file] == file.stat().st_size
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(tmp_path.iterdir()) == files


def test_where_one_file_cannot_be_written_nothing_is_taken_and_nothing_is_left(
    ordinary: SignedReceipt, tmp_path: Path
) -> None:
    salt = Salt(ordinary)
    good = tmp_path / "good.json"
    for bad, error in (
        (tmp_path / "no such folder" / "receipt.json", BadInput),
        (Path("/proc/receipt.json"), BadInput),
        (tmp_path, BadUsage),
        (Path("/dev/full"), BadUsage),
    ):
        with pytest.raises(error):
            give({good: _made, bad: _made}, ordinary, salt)
        assert (salt.taken, list(tmp_path.iterdir())) == (0, [])


def test_where_it_was_given_before_what_was_there_stays(
    ordinary: SignedReceipt, tmp_path: Path
) -> None:
    file = tmp_path / "receipt.json"
    file.write_text("the copy of the first time")

    def refused() -> SignedReceipt:
        raise Refused("given before")

    with pytest.raises(Refused):
        give({file: _made}, ordinary, refused)
    assert file.read_text() == "the copy of the first time"
    assert list(tmp_path.iterdir()) == [file]
