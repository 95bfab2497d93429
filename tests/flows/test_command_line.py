"""The contract of the command line: exit codes, one JSON object, nothing personal, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.conftest import House

SELF = ("--evidence", "agreed at the desk", "--self")
VOICE = ("--purpose", "voice_cloning")


def _ingest(house: House, file: Path | str, *more: str, subject: str = "s-1") -> tuple[int, dict]:
    said = house.run("ingest", str(file), "--subject", subject, *(more or (*VOICE, *SELF)))
    return said.code, said.fields


def test_no_purpose_at_all_is_bad_usage(house: House, tone: Path) -> None:
    code, fields = _ingest(house, tone, *SELF)
    assert code == 2
    assert fields["error"]["remedy"]
    assert not house.home.exists() or not list((house.home / "objects").rglob("*/*/*"))


@pytest.mark.parametrize(
    "options",
    [
        (*VOICE, "--evidence", "yes"),
        (*VOICE, "--evidence", "yes", "--self", "--authorised-by", "nowhere.pdf"),
        (*VOICE, "--self"),
        ("--purpose", "fun", *SELF),
        (*VOICE, "--evidence", "yes", "--authorised-by", "nowhere.pdf"),
    ],
    ids=["nobody acts", "two act", "no evidence", "unknown purpose", "no such document"],
)
def test_an_incomplete_declaration_is_bad_input_and_receives_nothing(
    house: House, tone: Path, options: tuple[str, ...]
) -> None:
    code, fields = _ingest(house, tone, *options)
    assert code == 2
    assert fields.get("error") or fields["uploads"][0]["reasons"]
    assert house.run("upload", "list").fields["uploads"] == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("picture.png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 64),
        ("empty.mp4", b""),
        ("text.wav", b"RIFF is what this only says it is"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile /etc/passwd\n"),
    ],
)
def test_what_is_no_recording_is_rejected_in_one_clear_line_and_our_copy_goes(
    house: House, tmp_path: Path, name: str, content: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    code, fields = _ingest(house, file)
    assert code == 2
    assert fields["uploads"][0]["state"] == "rejected"
    assert fields["uploads"][0]["reasons"][0]["english"]
    assert file.read_bytes() == content
    assert not [p for p in (house.home / "objects").rglob("*") if p.is_file()]


def test_a_fifo_a_folder_and_a_missing_file_are_bad_input_and_never_hang(
    house: House, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", tmp_path, tmp_path / "absent.wav", Path("/dev/zero")):
        assert _ingest(house, path)[0] == 2, path


def test_a_withdrawn_purpose_is_refused_before_a_byte_is_taken(house: House, tone: Path) -> None:
    assert house.run("consent", "grant", "--subject", "s-1", *VOICE, *SELF).code == 0
    assert house.run("consent", "withdraw", "--subject", "s-1", *VOICE, "--yes").code == 0
    code, fields = _ingest(house, tone)
    assert code == 3
    assert fields["uploads"][0]["state"] == "refused"
    assert "withdrawn" in {reason["code"] for reason in fields["uploads"][0]["reasons"]}
    assert tone.is_file()
    assert not [p for p in (house.home / "objects").rglob("*") if p.is_file()]


def test_the_dry_run_says_what_would_happen_and_keeps_nothing(house: House, tone: Path) -> None:
    code, fields = _ingest(house, tone, *VOICE, *SELF, "--dry-run")
    assert (code, fields["uploads"][0]["state"]) == (0, "admitted")
    assert house.run("upload", "list").fields["uploads"] == []
    assert (
        house.run("consent", "show", "--subject", "s-1").fields["decisions"][0]["allowed"] is False
    )


def test_switches_show_what_holds_and_why_not(house: House) -> None:
    house.run("consent", "grant", "--subject", "s-1", *VOICE, *SELF)
    house.run("consent", "refuse", "--subject", "s-1", "--purpose", "model_improvement", "--yes")
    said = house.run("consent", "show", "--subject", "s-1")
    answers = {row["purpose"]: row for row in said.fields["decisions"]}
    assert answers["voice_cloning"]["allowed"] is True
    assert [r["code"] for r in answers["digital_human"]["reasons"]] == ["never_granted"]
    assert "refused" in {r["code"] for r in answers["model_improvement"]["reasons"]}


def test_withdrawing_records_an_erasure_that_is_owed(house: House) -> None:
    house.run("consent", "grant", "--subject", "s-1", *VOICE, *SELF)
    stopped = house.run("consent", "withdraw", "--subject", "s-1", *VOICE, "--yes")
    (order,) = house.run("subject", "show", "--subject", "s-1").fields["orders"]
    assert order["order"] == stopped.fields["stopped"][0]["order"]
    assert (order["state"], order["purpose"]) == ("pending", "voice_cloning")


def test_a_destructive_command_without_yes_or_terminal_changes_nothing(house: House) -> None:
    house.run("consent", "grant", "--subject", "s-1", *VOICE, *SELF)
    assert house.run("consent", "withdraw", "--subject", "s-1", *VOICE).code == 2
    shown = house.run("consent", "show", "--subject", "s-1").fields["decisions"]
    assert next(d for d in shown if d["purpose"] == "voice_cloning")["allowed"] is True


def test_what_is_unknown_exits_2_with_one_json_object(house: House) -> None:
    for arguments in (
        ("upload", "show", "--upload", "0" * 32),
        ("upload", "show", "--upload", "../../etc/passwd"),
        ("subject", "show", "--subject", "nobody"),
        ("consent", "withdraw", "--subject", "nobody", *VOICE, "--yes"),
        ("no-such-command",),
        ("upload", "show"),
    ):
        said = house.run(*arguments)
        assert said.code == 2, arguments
        assert set(said.fields["error"]) >= {"code", "message", "remedy"}, arguments
        assert "Traceback" not in said.err


def test_errors_for_people_say_what_was_wrong_and_what_to_do(house: House) -> None:
    done = house.plain("upload", "show", "--upload", "0" * 32)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("likeness: There is no upload with this id.")
    assert "What to do:" in done.stderr


def test_a_changed_ledger_entry_exits_5_and_is_named(house: House) -> None:
    house.run("consent", "grant", "--subject", "s-1", *VOICE, *SELF)
    assert house.run("ledger", "verify").code == 0
    import sqlite3

    with sqlite3.connect(house.home / "catalogue.db") as connection:
        connection.execute("UPDATE ledger_payloads SET payload = replace(payload, 'self', 'none')")
    said = house.run("ledger", "verify")
    assert said.code == 5
    assert said.fields["findings"] == [{"sequence": 1, "code": "payload_changed"}]


def test_a_home_with_rows_but_no_key_is_refused_and_gets_no_new_key(house: House) -> None:
    house.run("consent", "grant", "--subject", "s-1", *VOICE, *SELF)
    (house.home / "keys" / "master.key").unlink()
    assert house.run("consent", "show", "--subject", "s-1").code == 5
    assert not (house.home / "keys" / "master.key").exists()


def test_a_store_that_does_not_answer_exits_4(house: House) -> None:
    said = house.run(
        "upload", "list", LIKENESS_CATALOGUE_URL="postgresql://nobody@127.0.0.1:1/nothing"
    )
    assert said.code == 4
    assert "nothing" not in said.fields["error"]["message"]


def test_every_command_has_help_with_an_example(house: House) -> None:
    for command in (
        ("ingest",),
        ("doctor",),
        ("reconcile",),
        ("upload", "list"),
        ("upload", "show"),
        ("upload", "report"),
        ("subject", "show"),
        ("consent", "grant"),
        ("consent", "refuse"),
        ("consent", "withdraw"),
        ("consent", "show"),
        ("weights", "pull"),
        ("weights", "list"),
        ("weights", "verify"),
        ("ledger", "verify"),
    ):
        done = house.plain(*command, "--help")
        assert done.returncode == 0, command
        assert "Example: likeness" in " ".join(done.stdout.split()), command


def test_quick_commands_import_neither_torch_nor_prefect(house: House) -> None:
    code = (
        "import sys; sys.argv=['likeness','consent','show','--subject','s']\n"
        "from flows.cli.application import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch','prefect','cv2','onnxruntime','librosa'}\n"
        "print(sorted(heavy & set(sys.modules)), flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=house.environment,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_answer_that_cannot_be_written_is_a_fault_in_one_line(house: House) -> None:
    command = [str(Path(sys.executable).with_name("likeness")), "weights", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=house.environment,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "likeness: The answer cannot be written (No space left on device)."
    ]


def test_the_variable_that_names_the_tests_recordings_is_no_setting(
    house: House, tmp_path: Path
) -> None:
    assert house.run("consent", "show", "--subject", "s", LIKENESS_MEDIA=str(tmp_path)).code == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIKENESS_RETENTION__REQUEST_DAYS", "soon"),
        ("LIKENESS_LANGUAGE", "xx"),
        ("LIKENESS_CONSENT", "no json"),
        ("LIKENESS_CONSENT__LEAST_EVIDENCE", '{"fun": "spoken"}'),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_its_value_is_not(
    house: House, variable: str, value: str
) -> None:
    said = house.run("consent", "show", "--subject", "s", **{variable: value})
    assert said.code == 2
    assert "LIKENESS_" in said.fields["error"]["message"] or "nested" in said.out
    assert value not in said.out + said.err
    assert not house.home.exists()
