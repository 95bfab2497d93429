"""Consent from the command line: grants, policy versions, minors, legal bases, disclosures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import House

WHO = ("--subject", "s-1")
VOICE = ("--purpose", "voice_cloning")
LATER = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()


@pytest.fixture
def letter(tmp_path: Path) -> str:
    """A document; its path."""
    file = tmp_path / "letter.pdf"
    file.write_bytes(b"the signed letter")
    return str(file)


@pytest.fixture
def granted(house: House) -> House:
    """A house where s-1 agreed to voice cloning."""
    said = house.run("consent", "grant", *WHO, *VOICE, "--evidence", "said yes", "--self")
    assert said.code == 0
    return house


def _voice(house: House, **environment: str) -> dict[str, Any]:
    decisions = house.run("consent", "show", *WHO, **environment).fields["decisions"]
    (voice,) = (each for each in decisions if each["purpose"] == "voice_cloning")
    return dict(voice)


def _codes(house: House, **environment: str) -> list[str]:
    return [reason["code"] for reason in _voice(house, **environment)["reasons"]]


def test_a_published_change_is_told_before_it_stops_anything(granted: House) -> None:
    said = granted.run(
        "policy", "publish", "--version", "2", "--effective", LATER, "--change", "a:voice_cloning"
    )
    assert said.code == 0
    assert said.fields["policy"]["stopped"] == [{"purpose": "voice_cloning", "people": 1}]
    assert granted.run("policy", "list").fields["in_force"] == "2025-11-11"
    assert _voice(granted)["allowed"]


def test_a_flagged_minor_is_stopped_until_the_guardian_writes(granted: House, letter: str) -> None:
    assert granted.run("minor", "flag", *WHO).code == 2, "it must be confirmed"
    flagged = granted.run("minor", "flag", *WHO, "--turns-18-on", "2038-01-01", "--yes")
    assert flagged.fields["erased_after"]
    assert _codes(granted) == ["guardian_consent_missing", "frozen"]
    guardian = ("consent", "grant", *WHO, *VOICE, "--evidence", letter, "--guardian")
    assert granted.run(*guardian, "s-1").code == 2, "nobody is their own guardian"
    assert granted.run(*guardian, "mother").code == 0
    assert granted.run("minor", "list").fields["waiting"] == []
    # At 12 the guardian's consent is the consent; the child's own counts for nothing.
    assert _voice(granted)["allowed"]


def test_a_legal_basis_names_what_it_permits_and_never_training(
    granted: House, letter: str
) -> None:
    record = ("basis", "record", *WHO, "--case", "c", "--invoked-by", "court")
    rest = ("--document", letter, "--expires", LATER, "--covers", "report")
    assert granted.run(*record, *rest, "--permits", "training").code == 2
    assert granted.run(*record, *rest, "--permits", "disclose").code == 0
    (basis,) = granted.run("basis", "list", *WHO).fields["bases"]
    assert granted.run("basis", "end", *WHO, "--basis", str(basis["basis"])).code == 0
    assert granted.run("basis", "list", *WHO).fields["bases"][0]["ended"]


def test_nothing_leaves_to_whom_nobody_registered(
    granted: House, letter: str, tmp_path: Path
) -> None:
    make = ("disclose", "make", *WHO, *VOICE, "--recipient", "Cloud Ltd", "--ground", "agreement")
    out = tmp_path / "out"
    assert granted.run(*make, "--kind", "report", "--out", str(out), "--yes").code == 2
    registered = granted.run(
        *("disclose", "register", "--recipient", "Cloud Ltd", "--as", "processor"),
        *("--region", "cn", *VOICE, "--kind", "report", "--agreement", letter),
    )
    assert registered.code == 0
    refused = granted.run(*make, "--out", str(out), "--yes")
    assert refused.code == 3
    assert [reason["code"] for reason in refused.fields["error"]["reasons"]] == [
        "nothing_named",
        "abroad_without_consent",
    ]
    assert not out.exists()
    assert granted.run("disclose", "list", *WHO).fields["disclosures"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        ("--acted-at", "2050-01-01"),
        ("--acted-at", "yesterday"),
        ("--until", "2020-01-01"),
        ("--policy-version", "of another firm"),
        ("--evidence-sha256", "0" * 64),
        ("--recipient", "Nobody Ltd"),
    ],
    ids=lambda options: options[0],
)
def test_a_grant_that_cannot_be_right_changes_nothing(
    house: House, letter: str, wrong: tuple[str, ...]
) -> None:
    grant = ("consent", "grant", *WHO, *VOICE, "--evidence", letter, "--self")
    said = house.run(*grant, *wrong)
    assert said.code == 2
    assert said.fields["error"]["remedy"]
    assert house.run("subject", "show", *WHO).code == 2, "nobody became known"


def test_the_right_digest_and_a_stated_end_are_kept(house: House, letter: str) -> None:
    digest = sha256(Path(letter).read_bytes()).hexdigest()
    grant = ("consent", "grant", *WHO, *VOICE, "--evidence", letter, "--self")
    assert house.run(*grant, "--evidence-sha256", digest, "--until", LATER).code == 0
    assert _voice(house)["allowed"]


def test_the_house_can_ask_for_stronger_evidence_by_purpose(granted: House) -> None:
    asked = {"LIKENESS_CONSENT__LEAST_EVIDENCE": '{"voice_cloning": "spoken"}'}
    assert _codes(granted, **asked) == ["evidence_too_weak"]
    assert _codes(granted) == []


def test_a_worker_of_another_region_is_refused(granted: House) -> None:
    said = granted.run("consent", "show", *WHO, LIKENESS_REGION="eu")
    assert (said.code, said.fields["error"]["code"]) == (3, "other_region")
