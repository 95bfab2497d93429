"""Erasing from the command line and from Python, as others script it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.flows.conftest import House, Said

WHO = ("--subject", "s-1")
VOICE = ("--purpose", "voice_cloning")
AGREED = ("--evidence", "said yes", "--self")


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory, house_in: Callable[..., House], tone: Path
) -> Path:
    """A home that holds an upload of s-1 under the account firm; copied, as ingest takes longer."""
    house = house_in(tmp_path_factory.mktemp("filled") / "home")
    said = house.run("ingest", str(tone), *WHO, *VOICE, *AGREED, "--account", "firm")
    assert said.code in {0, 2}, said.err
    return house.home


@pytest.fixture
def held(house: House, filled: Path) -> House:
    """The same in a house of the test's own."""
    shutil.copytree(filled, house.home)
    return house


def _orders(house: House) -> list[dict[str, object]]:
    return list(house.run("erase", "status").fields["orders"])


def test_a_dry_run_shows_the_plan_and_records_nothing(held: House) -> None:
    said = held.run("erase", *WHO, "--dry-run")
    assert said.code == 0
    assert said.fields["state"] == "planned"
    assert len(said.fields["plan"]["uploads"]) == 1
    assert _orders(held) == []


def test_without_yes_and_without_a_terminal_nothing_is_done(held: House) -> None:
    said = held.run("erase", *WHO)
    assert (said.code, said.fields["error"]["code"]) == (2, "bad_usage")
    assert _orders(held) == []


def test_an_order_is_carried_out_and_answers_the_same_when_asked_again(
    held: House, tmp_path: Path
) -> None:
    said = held.run("erase", *WHO, "--yes")
    assert (said.code, said.fields["state"]) == (0, "done")
    order = said.fields["order"]
    again = held.run("erase", *WHO, "--yes")
    assert (again.code, again.fields["order"]) == (0, order)
    (shown,) = _orders(held)
    assert (shown["order"], shown["ground"], shown["requested_by"]) == (
        order,
        "requested",
        "person",
    )
    assert held.run("subject", "show", *WHO).code == 2
    written = held.run("receipt", "show", "--order", order, "--out", str(tmp_path / "r.json"))
    assert written.code == 0
    verified = held.run("receipt", "verify", str(tmp_path / "r.json"))
    assert (verified.code, verified.fields["valid"], verified.fields["findings"]) == (0, True, [])


def test_a_receipt_that_was_changed_is_found_out(held: House, tmp_path: Path) -> None:
    order = held.run("erase", *WHO, "--yes").fields["order"]
    file = tmp_path / "receipt.json"
    held.run("receipt", "show", "--order", order, "--out", str(file))
    changed = json.loads(file.read_text())
    changed["receipt"]["region"] = "elsewhere"
    file.write_text(json.dumps(changed))
    assert held.run("receipt", "verify", str(file)).code == 5


def test_a_closed_account_takes_nothing_any_more(held: House, tone: Path) -> None:
    closed = held.run("erase", "--account", "firm", "--ground", "account_closed", "--yes")
    assert (closed.code, closed.fields["state"]) == (0, "done")
    said = held.run("ingest", str(tone), "--subject", "s-2", *VOICE, *AGREED, "--account", "firm")
    assert said.code == 3
    again = held.run("erase", "--account", "firm", "--yes")
    assert again.fields["order"] == closed.fields["order"]


def test_a_hold_keeps_an_order_waiting_until_it_is_lifted(held: House, tmp_path: Path) -> None:
    warrant = tmp_path / "warrant.pdf"
    warrant.write_bytes(b"a warrant")
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    placed = held.run(
        "hold", "place", *WHO, "--case", "d", "--document", str(warrant), "--until", until
    )
    assert placed.code == 0
    said = held.run("erase", *WHO, "--yes")
    assert (said.code, said.fields["state"], said.fields["error"]["code"]) == (3, "held", "held")
    assert held.run("sweep").code == 0
    assert _orders(held)[0]["state"] == "held"
    hold = placed.fields["holds"][0]["hold"]
    assert held.run("hold", "lift", "--hold", hold, "--yes").code == 0
    assert held.run("sweep").code == 0
    assert _orders(held)[0]["state"] == "done"


def test_a_withdrawal_is_carried_out_by_the_sweep(held: House) -> None:
    withdrawn = held.run("consent", "withdraw", *WHO, *VOICE, "--yes")
    assert withdrawn.code == 0
    swept = held.run("sweep")
    assert (swept.code, swept.fields["ok"]) == (0, True)
    (order,) = swept.fields["orders"]
    assert (order["purpose"], order["state"]) == ("voice_cloning", "done")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--subject", "s-1", "--account", "firm"),
        ("--subject", "s-1", "--ground", "because"),
        ("--subject", "s-1", "--requested-by", "nobody"),
        ("--subject", "s-1", "--keep-shared"),
        ("--subject", "s-1", "--purpose", "fun"),
        ("--subject", "nobody"),
        ("--avatar", "not-an-id"),
        ("--upload", "0" * 32),
    ],
)
def test_bad_usage_is_told_and_changes_nothing(held: House, arguments: tuple[str, ...]) -> None:
    said: Said = held.run("erase", *arguments, "--yes")
    assert said.code == 2
    assert said.fields["error"]["remedy"]
    assert _orders(held) == []


def test_an_account_service_closes_an_account_from_python(held: House) -> None:
    program = (
        "import json; from likeness import Likeness; house = Likeness()\n"
        "print(json.dumps([house.close_account('firm'), house.close_account('firm')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=held.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    first, second = json.loads(done.stdout)
    assert first["order"] == second["order"]
    assert (first["state"], first["ground"]) == ("pending", "account_closed")
    assert held.run("sweep").fields["orders"][0]["state"] == "done"
