"""`likeness receipt` as others script it: anywhere, and where the erasure was carried out."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.receipts.signing import sign, written
from models.schema.receipt import SignedReceipt
from tests.flows.conftest import House
from tests.flows.receipts.conftest import Erased
from tests.flows.rights.conftest import Said
from tests.models.receipts.conftest import KEY, NAMED, SALT, receipt

Command = Callable[..., Said]


def _codes(said: Said) -> list[str]:
    return [finding["code"] for finding in said.fields["findings"]]


# --- anywhere ------------------------------------------------------------------------------------


def test_a_receipt_is_checked_without_a_home_and_none_is_made(
    command: Command, receipt_file: Path, tmp_path: Path
) -> None:
    said = command("receipt", "verify", str(receipt_file))
    assert (said.code, said.fields["valid"], said.fields["findings"]) == (0, True, [])
    assert (said.fields["stores_asked"], said.fields["key_known"]) == (False, False)
    assert said.fields["order"] == receipt().order
    assert list(tmp_path.iterdir()) == [receipt_file]


def test_people_are_told_that_no_store_was_asked_and_which_key_to_compare(
    command: Command, ordinary: SignedReceipt, receipt_file: Path
) -> None:
    lines = command("receipt", "verify", str(receipt_file), plain=True).lines
    assert any("The live stores were not asked" in line for line in lines)
    assert any(ordinary.key in line for line in lines)


def test_the_key_of_the_house_is_compared_where_it_is_given(
    command: Command, ordinary: SignedReceipt, receipt_file: Path
) -> None:
    verify = ("receipt", "verify", str(receipt_file), "--key")
    said = command(*verify, ordinary.key.upper())
    assert (said.code, said.fields["key_known"]) == (0, True)
    said = command(*verify, "0" * 64)
    assert (said.code, _codes(said)) == (5, ["foreign_key"])
    assert command(*verify, "not a key").code == 2


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        ("region", "elsewhere", "bad_signature"),
        ("narrowed", -1, "changed"),
        ("ground", "no such ground", "changed"),
        ("added", "a field", "changed"),
        ("format", "likeness.erasure-receipt/2", "unknown_format"),
    ],
)
def test_a_changed_receipt_exits_5_and_says_what_is_wrong(
    command: Command, receipt_file: Path, place: str, value: object, code: str
) -> None:
    fields = json.loads(receipt_file.read_text())
    fields["receipt"][place] = value
    receipt_file.write_text(json.dumps(fields))
    said = command("receipt", "verify", str(receipt_file))
    assert (said.code, said.fields["valid"], _codes(said)) == (5, False, [code])
    assert "error" not in said.fields
    assert all(finding["message"] for finding in said.fields["findings"])


def test_a_signed_receipt_that_contradicts_itself_exits_5(
    command: Command, receipt_file: Path
) -> None:
    receipt_file.write_text(written(sign(receipt(narrowed=5), KEY)))
    assert _codes(command("receipt", "verify", str(receipt_file))) == ["narrowed_not_kept"]


def test_what_is_no_receipt_exits_2(command: Command, tmp_path: Path) -> None:
    page = tmp_path / "receipt.html"
    page.write_text("<!doctype html>")
    for file in (page, tmp_path, tmp_path / "missing.json", Path(sys.executable)):
        said = command("receipt", "verify", str(file))
        assert (said.code, said.fields["error"]["code"]) == (2, "bad_input")
        assert file.name not in said.fields["error"]["message"]


def test_the_persons_copy_shows_whom_it_is_about(
    command: Command, ordinary: SignedReceipt, receipt_file: Path
) -> None:
    verify = ("receipt", "verify", str(receipt_file), "--about")
    assert command(*verify, NAMED).code == 2
    receipt_file.write_text(written(ordinary.model_copy(update={"salt": SALT.hex()})))
    said = command(*verify, NAMED)
    assert (said.code, said.fields["about"]) == (0, True)
    said = command(*verify, "s-18")
    assert (said.code, said.fields["about"], _codes(said)) == (5, False, ["about_somebody_else"])


def test_it_answers_in_under_a_second_without_torch_or_prefect(
    house: House, receipt_file: Path
) -> None:
    took = []
    for _ in range(3):  # the quickest, of the processor's time: a test is not alone on its machine
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = house.run("receipt", "verify", str(receipt_file))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert said.code == 0
    assert min(took) < 1
    assert not house.home.exists()
    program = (
        "import sys, flows.cli.receipt, flows.receipts.page, flows.receipts.copies\n"
        "print({'torch', 'prefect'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


# --- where the erasure was carried out --------------------------------------------------------


def test_the_receipt_of_an_erasure_is_written_and_holds_against_the_live_stores(
    erased: Erased, tmp_path: Path
) -> None:
    file, page = tmp_path / "receipt.json", tmp_path / "receipt.html"
    show = ("receipt", "show", "--order", erased.order, "--out", str(file), "--out", str(page))
    said = erased.run(*show, "--language", "zh")
    assert said.code == 0
    assert [each["file"] for each in said.fields["files"]] == [str(file), str(page)]
    assert [each["bytes"] for each in said.fields["files"]] == [
        file.stat().st_size,
        page.stat().st_size,
    ]
    assert '<html lang="zh-Hans">' in page.read_text()
    assert json.loads(file.read_text())["salt"] is None
    said = erased.run("receipt", "verify", str(file))
    assert (said.code, said.fields["valid"], said.fields["findings"]) == (0, True, [])
    assert (said.fields["stores_asked"], said.fields["key_known"]) == (True, True)
    offline = erased.run("receipt", "verify", str(file), "--offline")
    assert (offline.code, offline.fields["stores_asked"]) == (0, False)


def test_the_persons_copy_is_given_once_and_not_before_it_can_be_written(
    erased: Erased, tmp_path: Path
) -> None:
    show = ("receipt", "show", "--order", erased.order, "--person", "--out")
    assert erased.run(*show, str(tmp_path / "no such folder" / "receipt.json")).code == 2
    own = tmp_path / "own.json"
    said = erased.run(*show, str(own), "--out", str(tmp_path / "own.html"))
    assert (said.code, said.fields["person"]) == (0, True)
    salt = json.loads(own.read_text())["salt"]
    assert salt in (tmp_path / "own.html").read_text()
    assert salt not in json.dumps(said.fields)
    said = erased.run("receipt", "verify", str(own), "--about", "s-1")
    assert (said.code, said.fields["about"]) == (0, True)
    again = erased.run(*show, str(tmp_path / "again.json"))
    assert (again.code, again.fields["error"]["code"]) == (3, "already_given")
    assert not (tmp_path / "again.json").exists()


def test_a_receipt_fails_once_something_has_come_back(erased: Erased, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    erased.run("receipt", "show", "--order", erased.order, "--out", str(file))
    shutil.copytree(erased.objects_before, erased.home / "objects", dirs_exist_ok=True)
    said = erased.run("receipt", "verify", str(file))
    assert (said.code, said.fields["stores_asked"]) == (5, True)
    assert "bytes_came_back" in _codes(said)


def test_a_receipt_that_another_house_signed_is_not_taken_for_ours(
    erased: Erased, receipt_file: Path, tmp_path: Path
) -> None:
    said = erased.run("receipt", "verify", str(receipt_file))
    assert (said.code, said.fields["stores_asked"]) == (0, False)
    forged = erased.storage.receipts.of(erased.order).receipt
    file = tmp_path / "forged.json"
    file.write_text(written(sign(forged, KEY)))
    said = erased.run("receipt", "verify", str(file))
    assert (said.code, "foreign_key" in _codes(said), said.fields["key_known"]) == (5, True, False)


def test_an_order_without_a_receipt_has_none_to_show(erased: Erased, tmp_path: Path) -> None:
    show = ("receipt", "show", "--out", str(tmp_path / "receipt.json"), "--order")
    assert erased.run(*show, "0" * 32).fields["error"]["code"] == "not_found"
    assert erased.run(*show, "no id").code == 2
    assert erased.run(*show, erased.order, "--language", "fr").code == 2
