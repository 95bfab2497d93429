"""Holds from the command line (Policy P20)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import House, Said

WHO = ("--subject", "s-1")
VOICE = ("--purpose", "voice_cloning")
DOCUMENT = b"The warrant of the public prosecutor"
SOON = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()


@pytest.fixture
def warrant(tmp_path: Path) -> str:
    """A document; its path."""
    file = tmp_path / "warrant.pdf"
    file.write_bytes(DOCUMENT)
    return str(file)


@pytest.fixture
def granted(house: House) -> House:
    """A house where s-1 agreed to voice cloning."""
    said = house.run("consent", "grant", *WHO, *VOICE, "--evidence", "said yes", "--self")
    assert said.code == 0
    return house


@pytest.fixture
def owed(granted: House) -> tuple[House, str]:
    """The same after a withdrawal, and the id of the erasure order that is owed."""
    said = granted.run("consent", "withdraw", *WHO, *VOICE, "--yes")
    (stopped,) = said.fields["stopped"]
    return granted, stopped["order"]


def _place(house: House, warrant: str, *more: str, until: str = SOON) -> Said:
    scope = () if "--subject" in more or "--account" in more else WHO
    rest = ("--case", "d", "--document", warrant, "--until", until)
    return house.run("hold", "place", *scope, *rest, *more)


def _one(said: Said) -> dict[str, Any]:
    assert said.fields["ok"] is True
    (hold,) = said.fields["holds"]
    return dict(hold)


def test_a_hold_is_placed_with_case_digest_and_end_and_listed(granted: House, warrant: str) -> None:
    said = _place(granted, warrant)
    assert said.code == 0
    hold = _one(said)
    assert (hold["scope"], hold["case"], hold["in_force"]) == ("subject", "d", True)
    assert hold["document_digest"] == sha256(DOCUMENT).hexdigest()
    assert hold["expires_at"][:10] < SOON, "a day begins in China before it does in UTC"
    assert _one(granted.run("hold", "list")) == hold
    assert _one(granted.run("hold", "list", *WHO)) == hold


def test_a_hold_says_which_orders_wait_and_lifting_it_asks_before_they_run(
    owed: tuple[House, str], warrant: str
) -> None:
    house, order = owed
    placed = _one(_place(house, warrant))
    assert [each["order"] for each in placed["waiting"]] == [order]
    lift = ("hold", "lift", "--hold", placed["hold"])
    seen = house.run(*lift, "--dry-run")
    assert [each["order"] for each in seen.fields["released"]] == [order]
    assert house.run(*lift).code == 2, "it must be confirmed"
    assert _one(house.run("hold", "list"))["in_force"]
    lifted = house.run(*lift, "--yes")
    assert lifted.code == 0
    assert [each["order"] for each in lifted.fields["released"]] == [order]
    assert not _one(lifted)["in_force"]
    again = house.run(*lift)
    assert (again.code, again.fields["released"]) == (0, [])


def test_a_hold_for_which_nothing_waits_is_lifted_without_asking(
    granted: House, warrant: str
) -> None:
    hold = _one(_place(granted, warrant))["hold"]
    assert granted.run("hold", "lift", "--hold", hold).code == 0


def test_a_dry_run_records_nothing(owed: tuple[House, str], warrant: str) -> None:
    house, order = owed
    said = _place(house, warrant, "--dry-run")
    assert said.code == 0
    assert [each["order"] for each in said.fields["waiting"]] == [order]
    assert house.run("hold", "list").fields["holds"] == []


def test_scripts_may_give_yes_to_every_command(granted: House, warrant: str) -> None:
    assert _place(granted, warrant, "--yes").code == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ("--case", "z"),
        ("--document", "no such file"),
        ("--until", "2020-01-01"),
        ("--until", "2099-01-01"),
        ("--until", "soon"),
        ("--account", "a-1", "--subject", "s-1"),
        ("--account", "nobody"),
        ("--subject", "nobody"),
    ],
    ids=" ".join,
)
def test_a_hold_that_cannot_be_right_changes_nothing(
    granted: House, warrant: str, wrong: tuple[str, ...]
) -> None:
    said = _place(granted, warrant, *wrong)
    assert said.code == 2
    assert said.fields["error"]["remedy"]
    assert "nobody" not in said.out
    assert granted.run("hold", "list").fields["holds"] == []


def test_what_is_to_be_held_must_be_named(granted: House, warrant: str) -> None:
    rest = ("--case", "d", "--document", warrant, "--until", SOON)
    assert granted.run("hold", "place", *rest).code == 2


def test_the_longest_hold_is_a_setting(granted: House, warrant: str) -> None:
    rest = ("--case", "d", "--document", warrant, "--until", SOON)
    shorter = {"LIKENESS_RETENTION__HOLD_DAYS_MOST": "30"}
    said = granted.run("hold", "place", *WHO, *rest, **shorter)
    assert said.code == 2
    assert "30 days" in said.fields["error"]["message"]


def test_people_read_lines(owed: tuple[House, str], warrant: str) -> None:
    house, order = owed
    _place(house, warrant)
    told = house.plain("hold", "list").stdout.splitlines()
    assert len(told) == 2
    assert "case d" in told[0]
    assert order in told[1]
    assert told[1].endswith("waits")
