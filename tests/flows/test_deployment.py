"""Ingest as a deployment: a real PostgreSQL, S3 server, Prefect server and worker together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.conftest import House
from tests.servers.prefect import prefect_server
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.services, pytest.mark.media, pytest.mark.weights]

SUBJECT = "subject-anna-kowalska"

TAKE_IN = """
import sys
from pathlib import Path
from flows.declaring import grant_from
from flows.intake import take_in
from flows.opening import storage
from flows.settings import settings
from models.schema.purposes import Purpose
from storage.registers.uploads import Declaration
grant = grant_from("agreed at the desk", himself=True, authorised_by=None, explicit=False)
declaration = Declaration(sys.argv[2], None, frozenset({Purpose.VOICE_CLONING}), grant, sys.argv[1])
print(take_in(storage(), Path(sys.argv[1]), declaration, settings().media_limits).id)
"""


@pytest.mark.timeout(560)
def test_a_worker_ingests_what_an_upload_service_took_in_and_prefect_learns_only_random_ids(
    media: Path,
    tmp_path: Path,
    fresh_postgres: Callable[[], str],
    s3: S3Server,
    house_in: Callable[..., House],
) -> None:
    house = house_in(
        tmp_path / "home",
        LIKENESS_CATALOGUE_URL=fresh_postgres(),
        LIKENESS_KEYS_URL=fresh_postgres(),
        LIKENESS_OBJECTS_URL=f"s3://{s3.bucket('versioned')}?endpoint={s3.endpoint}&secure=false",
        LIKENESS_S3_ACCESS_KEY=s3.access_key,
        LIKENESS_S3_SECRET_KEY=s3.secret_key,
    )
    file = tmp_path / "Anna Kowalska.flac"
    shutil.copyfile(media / "voices" / "ls2609" / "2609-156975-0007.flac", file)
    taken = subprocess.run(
        [sys.executable, "-c", TAKE_IN, str(file), SUBJECT],
        check=True,
        capture_output=True,
        text=True,
        env=house.environment,
    )
    upload = taken.stdout.strip()
    assert house.run("upload", "show", "--upload", upload).fields["state"] == "received"

    folder = tmp_path / "prefect"
    folder.mkdir()
    with prefect_server(folder, house.environment) as server:
        run = server.prefect(
            "deployment", "run", "ingest/ingest", "-p", f"upload={upload}", "--watch", seconds=300
        )
        assert run.returncode == 0, run.stdout + run.stderr
        again = server.prefect(
            "deployment", "run", "ingest/ingest", "-p", f"upload={upload}", "--watch", seconds=300
        )
        assert again.returncode == 0, again.stdout + again.stderr

    shown = house.run("upload", "show", "--upload", upload).fields
    assert shown["state"] == "admitted"
    kinds = [row["kind"] for row in shown["objects"]]
    assert kinds.count("original") == 1, "a redelivered event must not process twice"
    assert {"voice_segment", "voice_profile", "report"} <= set(kinds)
    personal = (SUBJECT.encode(), b"Anna Kowalska", b"agreed at the desk", b"log_mel")
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [word for word in personal if word in content], path
    assert upload.encode() in (folder / "prefect.db").read_bytes()
    assert json.dumps(shown)
