"""The export holds everything of the person, nothing of anybody else, and leaves its record."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.report.words import LANGUAGES, Language
from flows.rights import records
from flows.rights.page import page_words, unreadable_kinds, why_not_read
from models.consent.facts import Event, EvidenceLevel, Fact, Source, Uploader
from models.schema.errors import BadInput, BadUsage, NotFound
from models.schema.kinds import KINDS, Expiry, Owner, Role
from models.schema.purposes import Purpose
from models.schema.tasks import Task
from storage.assembly import Storage
from storage.catalogue.uploads import UploadState
from storage.handles import ArtefactRun
from storage.registers.uploads import Conclusion
from tests.flows.rights.conftest import CARD, ExportFactory
from tests.storage.conftest import (
    AGREED,
    FILE_NAME,
    RECORDING,
    SEGMENT,
    TRANSCRIPT,
    AdmittedFactory,
    DeclareFactory,
    GrantFactory,
    MovableClock,
    PlanFactory,
    ReceivedFactory,
)

ALL = frozenset(Purpose)
OTHERS = b"words that only the second person said"


@pytest.fixture
def everything(storage: Storage, received: ReceivedFactory, planned: PlanFactory) -> dict[str, str]:
    """One object of the person of every kind; ids by kind."""
    upload = received(purposes=ALL)
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=ALL)
    made = {
        name: storage.door.put(run, name, [RECORDING if name == "original" else SEGMENT])
        for name, kind in KINDS.items()
        if Role.INGEST in kind.written_by
    }
    ended = Conclusion(UploadState.ADMITTED, [], {})
    storage.door.commit(run, also=lambda w: storage.uploads.conclude(w, upload.id, ended))
    storage.uploads.release_quarantine(upload.id)
    waiting = received(purposes=ALL)
    (row,) = storage.uploads.objects_of(waiting.id)
    return {**made, row.kind: row.id, **_of_a_model(storage, made["voice_segment"], planned)}


def _of_a_model(storage: Storage, segment: str, planned: PlanFactory) -> dict[str, str]:
    """What a training and a generation leave, and what a training that still runs has kept."""
    avatar = storage.avatars.create("s-1", "Reader")
    plan = planned(avatar, segment, task=Task.HUMAN, purpose=Purpose.DIGITAL_HUMAN)
    made: dict[str, str] = {}

    def put(run: ArtefactRun) -> None:
        for name, kind in KINDS.items():
            mine = kind.owner is Owner.SUBJECT and kind.expiry is not Expiry.TRAINING
            if mine and run.role in kind.written_by:
                made[name] = storage.door.put(run, name, [SEGMENT])
        storage.door.commit(run)

    training = storage.door.begin_training(plan)
    put(training)
    put(storage.door.begin_generation(training.artefact_id))
    running = storage.door.begin_training(plan)
    checkpoint = storage.door.put(running, "model_checkpoint", [SEGMENT])
    storage.door.keep(running, checkpoint)
    return {**made, "model_checkpoint": checkpoint}


def _table(out: Path, name: str) -> Any:
    return json.loads((out / "records" / f"{name}.json").read_text("utf-8"))


def _all_bytes(out: Path) -> Iterator[tuple[Path, bytes]]:
    return ((file, file.read_bytes()) for file in sorted(out.rglob("*")) if file.is_file())


# --- everything of the person -----------------------------------------------------------------


def test_every_kind_that_a_person_may_read_is_there_and_any_other_is_explained(
    everything: dict[str, str], exported: ExportFactory, tmp_path: Path
) -> None:
    mine = {name for name, kind in KINDS.items() if kind.owner is Owner.SUBJECT}
    assert set(everything) == mine, "a new kind must be made here too"
    answer = exported(tmp_path / "out")
    given = {file["kind"] for file in answer.files if file["kind"]}
    assert given == {name for name, kind in KINDS.items() if Role.PERSON in kind.read_by}
    assert {each["kind"] for each in answer.not_given} == mine - given
    readme = (tmp_path / "out" / "README.txt").read_text("utf-8")
    for kind in set(KINDS) - given:
        assert why_not_read(kind, "en") in readme
    listed = {row["object"]: row for row in _table(tmp_path / "out", "objects")}
    assert set(listed) == set(everything.values())
    assert all(bool(row["file"]) != bool(row["not_given"]) for row in listed.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_kind_that_is_never_given_has_an_explanation_of_its_own(language: Language) -> None:
    keys = page_words(language).keys
    assert {f"not_read.{kind}" for kind in unreadable_kinds()} <= keys


def test_every_file_is_listed_and_objects_are_byte_for_byte_what_was_kept(
    everything: dict[str, str], exported: ExportFactory, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    files = exported(out).files
    assert {file["file"] for file in files} == {
        str(file.relative_to(out)) for file, _ in _all_bytes(out)
    }
    for file in files:
        content = (out / file["file"]).read_bytes()
        assert len(content) == file["bytes"]
        assert sha256(content).hexdigest() == file["sha256"]
        if file["kind"]:
            assert content == (RECORDING if file["kind"] == "original" else SEGMENT)


def test_files_have_names_of_ours_and_the_person_reads_their_own(
    admitted: AdmittedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    admitted()
    out = tmp_path / "out"
    names = [file["file"] for file in exported(out).files]
    assert not any("Zhang" in name for name in names)
    (upload,) = _table(out, "uploads")
    assert (upload["file_name"], upload["transcript"]) == (FILE_NAME, TRANSCRIPT)
    assert FILE_NAME in (out / "index.html").read_text("utf-8")


def test_consents_are_exactly_the_acts_that_the_ledger_holds(
    storage: Storage,
    admitted: AdmittedFactory,
    grant: GrantFactory,
    clock: MovableClock,
    exported: ExportFactory,
    tmp_path: Path,
) -> None:
    upload = admitted().upload
    storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN)
    storage.consents.refuse("s-1", Purpose.MODEL_IMPROVEMENT)
    clock.advance(timedelta(hours=1))
    storage.consents.grant("s-1", frozenset({Purpose.DIGITAL_HUMAN}), grant(b"a new form"))
    out = tmp_path / "out"
    exported(out)
    told = _table(out, "consents")
    facts = storage.consents.history(upload.subject_id)
    assert [{k: v for k, v in row.items() if k != "documents"} for row in told] == [
        records.consent(fact) for fact in facts
    ]
    assert len(told) == 5
    for row in told:
        digests = {sha256((out / name).read_bytes()).hexdigest() for name in row["documents"]}
        assert digests == ({row["evidence_digest"]} if row["evidence_digest"] else set())


moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
facts = st.builds(
    Fact,
    sequence=st.integers(1, 2**31),
    event=st.sampled_from(Event),
    purpose=st.sampled_from(Purpose),
    acted_at=moments,
    source=st.sampled_from(Source),
    uploader=st.sampled_from(Uploader),
    evidence_level=st.none() | st.sampled_from(EvidenceLevel),
    evidence_digest=st.none() | st.just("ab" * 32),
    authorisation_digest=st.none() | st.just("cd" * 32),
    policy_version=st.none() | st.text(min_size=1, max_size=32),
    expires_at=st.none() | moments,
    recipient=st.none() | st.just("ef" * 16),
    region=st.none() | st.just("cn"),
)


@given(fact=facts)
def test_no_part_of_an_act_is_lost_or_changed_in_its_record(fact: Fact) -> None:
    told = json.loads(json.dumps(records.consent(fact)))
    read = {**told, "sequence": told.pop("entry"), "acted_at": told.pop("at")}
    assert Fact.model_validate({k: v for k, v in read.items() if k not in {"entry", "at"}}) == fact


# --- nothing of anybody else ------------------------------------------------------------------


def test_nothing_of_a_second_person_is_in_it(
    storage: Storage,
    admitted: AdmittedFactory,
    received: ReceivedFactory,
    declare: DeclareFactory,
    grant: GrantFactory,
    exported: ExportFactory,
    tmp_path: Path,
) -> None:
    admitted("s-1")
    second = declare("s-2", given=grant(b"the form of the second"), file_name="Li-Na.wav")
    storage.uploads.receive(second, [OTHERS * 100])
    admitted("s-2", content=[OTHERS * 100])
    out = tmp_path / "out"
    exported(out)
    theirs = [
        second.subject_id,
        *(upload.id for upload in storage.uploads.of_subject(second.subject_id)),
    ]
    for upload_id in theirs[1:]:
        theirs += [row.id for row in storage.uploads.objects_of(upload_id)]
    assert len(theirs) > 5
    for secret in (*(each.encode() for each in theirs), OTHERS, b"Li-Na", b"form of the second"):
        assert [file for file, content in _all_bytes(out) if secret in content] == []


def test_what_may_be_somebody_elses_voice_is_not_given_out(
    storage: Storage, received: ReceivedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    upload = received()
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
    storage.door.put(run, "original", [RECORDING])
    storage.door.put(run, "report", [SEGMENT])
    ended = Conclusion(UploadState.NEEDS_IDENTIFICATION, [], {})
    storage.door.commit(run, also=lambda w: storage.uploads.conclude(w, upload.id, ended))
    storage.uploads.release_quarantine(upload.id)
    answer = exported(tmp_path / "out")
    assert [each["why"] for each in answer.not_given] == ["not_identified"]
    assert {file["kind"] for file in answer.files} - {None} == {"report"}
    assert "could be somebody else" in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_a_guardians_pseudonym_is_not_handed_on() -> None:
    from storage.registers.subject_access import Entry

    entry = Entry(1, datetime.now(UTC), "guardian_consent", {"guardian": "ab" * 32, "purpose": "x"})
    assert records.entry(entry)["payload"] == {"purpose": "x"}


# --- the request and the record ---------------------------------------------------------------


def test_without_authentication_there_is_no_export_and_no_request(
    storage: Storage, admitted: AdmittedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    admitted()
    with pytest.raises(BadUsage):
        exported(tmp_path / "out", authenticated_by=" ")
    assert not (tmp_path / "out").exists()
    assert storage.subject_access.held("s-1").requests == []


def test_each_opened_object_is_on_record_under_the_request(
    storage: Storage, admitted: AdmittedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    features = admitted().features
    before = storage.subject_access.held("s-1").accesses
    answer = exported(tmp_path / "out")
    after = storage.subject_access.held("s-1").accesses[len(before) :]
    assert {access.object_id for access in after} == set(features.values())
    assert {(a.role, a.operation, a.reference) for a in after} == {
        ("person", "access", answer.request)
    }
    told = {row["object"] for row in _table(tmp_path / "out", "accesses")}
    assert told >= set(features.values()), "the export tells of itself"


def test_an_export_opens_a_request_and_answers_it(
    storage: Storage, admitted: AdmittedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    admitted()
    answer = exported(tmp_path / "out")
    request = storage.requests.by_id(answer.request)
    assert request.answered_at is not None
    assert storage.requests.handling(request).authenticated_by == CARD
    (told,) = _table(tmp_path / "out", "requests")
    assert told["authenticated_by"] == CARD
    assert "clerk-lin" not in (tmp_path / "out" / "records" / "requests.json").read_text("utf-8")


def test_a_failed_export_leaves_the_request_open_and_the_next_one_answers_it(
    storage: Storage,
    admitted: AdmittedFactory,
    exported: ExportFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admitted()
    with monkeypatch.context() as interrupted:
        interrupted.setattr("flows.rights.page.index", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            exported(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    (waiting,) = storage.requests.waiting()
    answer = exported(tmp_path / "out")
    assert set(answer.answered) == {waiting.id, answer.request}
    assert storage.requests.waiting() == []


def _interrupt(*_: object) -> str:
    raise KeyboardInterrupt


def test_somebody_unknown_leaves_no_trace(exported: ExportFactory, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        exported(tmp_path / "out", "nobody")
    assert not (tmp_path / "out").exists()


def test_a_folder_inside_the_house_is_refused_before_anything_is_recorded(
    storage: Storage, admitted: AdmittedFactory, exported: ExportFactory, home: Path
) -> None:
    admitted()
    with pytest.raises(BadInput, match="own data"):
        exported(home / "objects" / "out")
    assert storage.requests.waiting() == []


# --- while things happen ----------------------------------------------------------------------


def test_it_works_while_everything_is_withdrawn_and_frozen(
    storage: Storage, admitted: AdmittedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    admitted()
    storage.consents.withdraw("s-1", Purpose.VOICE_CLONING)
    storage.consents.withdraw("s-1", Purpose.DIGITAL_HUMAN)
    answer = exported(tmp_path / "out")
    assert answer.not_given == []
    assert {file["kind"] for file in answer.files} - {None} == {
        "voice_segment",
        "face_segment",
        "report",
    }
    assert len(_table(tmp_path / "out", "orders")) == len(_table(tmp_path / "out", "freezes")) == 2


def test_what_expired_or_is_damaged_is_told_and_the_rest_is_given(
    storage: Storage,
    everything: dict[str, str],
    clock: MovableClock,
    exported: ExportFactory,
    home_files: Callable[[str], None],
    tmp_path: Path,
) -> None:
    rows = {row.id: row for row in storage.subject_access.held("s-1").objects}
    home_files(rows[everything["voice_profile"]].store_key or "")
    clock.advance(timedelta(days=31))  # the original's time is over (Policy P25)
    answer = exported(tmp_path / "out")
    why = {each["kind"]: each["why"] for each in answer.not_given}
    assert (why["original"], why["voice_profile"]) == ("erased", "damaged")
    assert {"voice_segment", "face_profile"} <= {file["kind"] for file in answer.files}
    assert not list((tmp_path / "out").rglob("voice_profile*"))


def test_an_event_that_nobody_foresaw_is_told_by_its_name(
    storage: Storage, admitted: AdmittedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    subject = admitted().upload.subject_id
    with storage.catalogue.writing() as writing:
        storage.ledger.append(
            writing, "moon_landing", {"subject": subject, "purpose": "lunar"}, subject_id=subject
        )
    exported(tmp_path / "out")
    for page in ("index.html", "index.zh.html"):
        assert "moon_landing" in (tmp_path / "out" / page).read_text("utf-8")
    assert "moon_landing" in {row["event"] for row in _table(tmp_path / "out", "history")}


def test_memory_does_not_grow_with_the_recording(
    admitted: AdmittedFactory,
    storage: Storage,
    received: ReceivedFactory,
    exported: ExportFactory,
    tmp_path: Path,
) -> None:
    piece = bytes(1024 * 1024)
    upload = received()
    run = storage.door.begin(upload.id, role=Role.INGEST, purposes=upload.purposes)
    storage.door.put(run, "original", (piece for _ in range(32)))
    ended = Conclusion(UploadState.ADMITTED, [], {})
    storage.door.commit(run, also=lambda w: storage.uploads.conclude(w, upload.id, ended))
    tracemalloc.start()
    try:
        answer = exported(tmp_path / "out")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(file["bytes"] for file in answer.files) == 32 * len(piece)
    assert peak < 12 * len(piece)


# --- the page ---------------------------------------------------------------------------------


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.language = ""
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        if tag == "html":
            self.language = given.get("lang") or ""
        if tag == "a":
            self.links.append(given.get("href") or "")


def test_the_first_page_is_in_the_chosen_language_and_links_to_the_other(
    admitted: AdmittedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    admitted()
    exported(tmp_path / "en", language="en")
    exported(tmp_path / "zh", language="zh")
    for chosen, other in (("en", "zh"), ("zh", "en")):
        first = _Page((tmp_path / chosen / "index.html").read_text("utf-8"))
        second = _Page((tmp_path / chosen / f"index.{other}.html").read_text("utf-8"))
        assert (first.language[:2], second.language[:2]) == (chosen, other)
        assert f"index.{other}.html" in first.links
        assert "index.html" in second.links


def test_the_page_needs_nothing_from_outside_and_every_link_leads_somewhere(
    everything: dict[str, str], exported: ExportFactory, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    exported(out)
    for name in ("index.html", "index.zh.html"):
        text = (out / name).read_text("utf-8")
        page = _Page(text)
        assert not page.tags & {"script", "img", "iframe", "form"}
        for link in page.links:
            assert f'id="{link[1:]}"' in text if link.startswith("#") else (out / link).is_file()
        assert re.findall(r"https?://", text) == []


def test_a_file_name_that_is_markup_or_no_text_is_shown_and_does_nothing(
    storage: Storage,
    declare: DeclareFactory,
    exported: ExportFactory,
    tmp_path: Path,
) -> None:
    declare(file_name="<script>alert(1)</script>\x1b[2J.wav")
    declare(file_name=b"gr\xfc\xdf.wav".decode("utf-8", "surrogateescape"))
    out = tmp_path / "out"
    exported(out)
    text = (out / "index.html").read_text("utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text
    assert {row["file_name"] for row in _table(out, "uploads")} >= {"gr\ufffd\ufffd.wav"}


def test_the_evidence_can_be_read_from_the_page(
    admitted: AdmittedFactory, exported: ExportFactory, tmp_path: Path
) -> None:
    admitted()
    out = tmp_path / "out"
    exported(out)
    page = _Page((out / "index.html").read_text("utf-8"))
    documents = [link for link in page.links if link.startswith("documents/")]
    assert {(out / document).read_bytes() for document in documents} == {AGREED}
