"""The end of the service from the command line (Policy P14)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from tests.flows.conftest import House, Said

NOTICE = b"Dear all, our service ends."


def _in(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


@pytest.fixture
def notice(tmp_path: Path) -> str:
    """A notice; its path."""
    file = tmp_path / "notice.pdf"
    file.write_bytes(NOTICE)
    return str(file)


@pytest.fixture
def known(house: House) -> House:
    """A house that knows one person."""
    agreed = ("--purpose", "voice_cloning", "--evidence", "said yes", "--self")
    assert house.run("consent", "grant", "--subject", "s-1", *agreed).code == 0
    return house


def _end(house: House, notice: str, *more: str, days: int = 60) -> Said:
    return house.run("service", "end", "--on", _in(days), "--notice", notice, *more)


def test_the_end_is_announced_after_its_plan_was_confirmed(known: House, notice: str) -> None:
    assert _end(known, notice).code == 2, "it must be confirmed"
    assert known.run("service", "show").fields == {"ok": True, "service": None}
    said = _end(known, notice, "--yes")
    assert said.code == 0
    assert said.fields["without_order"] == {"accounts": 0, "people": 1}
    service = said.fields["service"]
    assert service["notice_digest"] == sha256(NOTICE).hexdigest()
    assert not service["ended"]
    assert known.run("service", "show").fields["service"] == service


def test_a_dry_run_announces_nothing_and_refuses_what_would_be_refused(
    known: House, notice: str
) -> None:
    shown = _end(known, notice, "--dry-run")
    assert (shown.code, shown.fields["without_order"]["people"]) == (0, 1)
    assert _end(known, notice, "--dry-run", days=20).code == 2
    assert known.run("service", "show").fields["service"] is None


def test_too_short_a_notice_is_refused_by_the_number_of_the_settings(
    known: House, notice: str
) -> None:
    refused = _end(known, notice, "--yes", days=20)
    assert refused.code == 2
    assert "30 days" in refused.fields["error"]["message"]
    on = ("--on", _in(60), "--notice", notice, "--yes")
    longer = {"LIKENESS_RETENTION__SERVICE_END_NOTICE_DAYS": "90"}
    assert known.run("service", "end", *on, **longer).code == 2


def test_the_notice_is_a_document(known: House) -> None:
    assert _end(known, "we end, sorry", "--yes").code == 2


def test_an_announced_end_can_be_called_off(known: House, notice: str) -> None:
    assert known.run("service", "call-off", "--yes").code == 2, "nothing was announced"
    _end(known, notice, "--yes")
    assert known.run("service", "call-off").code == 2, "it must be confirmed"
    assert known.run("service", "call-off", "--yes").code == 0
    assert known.run("service", "show").fields["service"] is None
