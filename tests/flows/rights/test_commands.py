"""The commands by which a person's rights are served, as others script them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.rights.conftest import CARD, Said

Command = Callable[..., Said]
WHO = ("--subject", "s-1")
VOICE = ("--purpose", "voice_cloning")


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """An export changes how this process takes a request to end."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def granted(command: Command) -> Command:
    """A home where s-1 agreed to voice cloning."""
    said = command("consent", "grant", *WHO, *VOICE, "--self", "--evidence", "said yes")
    assert said.code == 0
    return command


def test_an_export_is_made_under_a_request_and_not_without_one(
    granted: Command, tmp_path: Path
) -> None:
    out = ("--out", str(tmp_path / "out"))
    refused = granted("export", *WHO, *out)
    assert (refused.code, refused.fields["error"]["code"]) == (2, "bad_usage")
    assert granted("request", "list").fields["requests"] == []
    said = granted("export", *WHO, "--authenticated-by", CARD, *out, LIKENESS_LANGUAGE="zh")
    assert said.code == 0
    assert {file["file"] for file in said.fields["files"]} >= {"index.html", "index.en.html"}
    shown = granted("request", "show", "--request", said.fields["request"]).fields["request"]
    assert (shown["state"], shown["authenticated_by"]) == ("answered", CARD)
    again = granted("export", *WHO, "--authenticated-by", CARD, *out)
    assert (again.code, again.fields["error"]["code"]) == (2, "bad_input")
    assert granted("request", "list").fields["requests"] == []


def test_an_export_into_the_home_is_refused(granted: Command, tmp_path: Path) -> None:
    inside = tmp_path / "command-home" / "out"
    said = granted("export", *WHO, "--authenticated-by", CARD, "--out", str(inside))
    assert said.code == 2
    assert not inside.exists()


def test_a_switch_shows_its_cost_and_does_nothing_on_a_dry_run(granted: Command) -> None:
    for switch in ("withdraw", "refuse"):
        said = granted("consent", switch, *WHO, *VOICE, "--dry-run")
        assert said.code == 0
        assert said.fields["cost"]["purposes"] == ["voice_cloning"]
        assert said.fields["cost"]["due_at"]
    shown = granted("consent", "show", *WHO).fields
    assert [act["event"] for act in shown["consents"]] == ["grant"]


def test_a_switch_that_was_made_tells_what_it_cost(granted: Command) -> None:
    said = granted("consent", "withdraw", *WHO, *VOICE, "--yes")
    assert said.fields["cost"]["deleted"] == []
    (order,) = said.fields["orders"]
    assert order["due_at"] == said.fields["cost"]["due_at"]
    assert said.fields["stopped"][0]["order"] == order["order"]


def test_without_a_terminal_a_switch_asks_for_yes_and_changes_nothing(granted: Command) -> None:
    said = granted("consent", "withdraw", *WHO, *VOICE)
    assert said.code == 2
    assert granted("consent", "show", *WHO).fields["orders"] == []


def test_what_was_never_granted_fails_before_anything_is_withdrawn(granted: Command) -> None:
    both = (*VOICE, "--purpose", "digital_human")
    said = granted("consent", "withdraw", *WHO, *both, "--yes")
    assert said.code == 2
    assert granted("consent", "show", *WHO).fields["orders"] == []


def test_nobody_becomes_known_by_asking_what_a_switch_would_cost(command: Command) -> None:
    assert command("consent", "refuse", *WHO, *VOICE, "--dry-run").code == 0
    assert command("consent", "withdraw", *WHO, *VOICE, "--dry-run").code == 2
    assert command("subject", "show", *WHO).code == 2


def test_people_are_told_in_plain_words_in_their_language(granted: Command) -> None:
    for noun in ("consent", "subject"):
        english = granted(noun, "show", *WHO, plain=True, LIKENESS_LANGUAGE="en").lines
        chinese = granted(noun, "show", *WHO, plain=True, LIKENESS_LANGUAGE="zh").lines
        assert any("Agreed to voice cloning on" in line for line in english)
        assert any("同意用于声音克隆" in line for line in chinese)
        assert len(english) == len(chinese)


def test_everything_that_is_told_is_in_the_json_too(granted: Command) -> None:
    shown = granted("subject", "show", *WHO).fields
    assert set(shown) >= {
        *("uploads", "consents", "decisions", "artefacts", "orders"),
        *("freezes", "disclosures", "requests", "accesses"),
    }
    (act,) = shown["consents"]
    assert act["policy_version"] == "2025-11-11"
    assert act["evidence_level"] == "declared"
