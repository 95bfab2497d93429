"""The ledger's commands: an auditor keeps a checkpoint, and later asks whether it still agrees."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from tests.flows.conftest import House

GRANT = ("consent", "grant", "--subject", "s-1", "--evidence", "agreed in writing", "--self")


def test_a_checkpoint_kept_elsewhere_agrees_until_history_before_it_is_changed(
    house: House, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint.json"
    assert house.run("ledger", "checkpoint").code == 2
    assert house.run(*GRANT, "--purpose", "voice_cloning").code == 0
    made = house.run("ledger", "checkpoint", "--out", str(kept))
    assert made.code == 0
    assert json.loads(kept.read_text()) == made.fields["checkpoint"]
    assert made.fields["checkpoint"]["key"] == house.run("ledger", "key").fields["key"]
    assert house.run("ledger", "verify", "--checkpoint", str(kept)).fields["ok"] is True

    (shown,) = house.run("ledger", "show", "--from", "1", "--limit", "1").fields["entries"]
    assert set(shown) == {"sequence", "at", "event", "hash"}
    assert (shown["sequence"], shown["event"]) == (1, "grant")
    assert house.run("ledger", "anchor").fields == {"ok": True, "anchored": 0}
    assert house.run("ledger", "correct-clock", "--yes").code == 2

    with sqlite3.connect(house.home / "catalogue.db") as connection:
        connection.execute("DELETE FROM checkpoints")
        connection.execute("UPDATE ledger_entries SET hash = ?", ("f" * 64,))
    said = house.run("ledger", "verify", "--checkpoint", str(kept))
    assert said.code == 5
    assert {"sequence": 1, "code": "checkpoint_contradicted"} in said.fields["findings"]
