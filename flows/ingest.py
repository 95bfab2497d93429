"""The ingest flow: a received file becomes gated, encrypted, traceable features and a report.

The parameter is the upload's random id alone, and tasks hand each other random ids (invariant 9):
what they have in common lies in the run, behind the door, and exists for nobody until the last step
commits it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.admission import (
    admitted_facts,
    allowed_purposes,
    plain_copy,
    received_file,
    rejection,
)
from flows.extraction import Extraction
from flows.judgement import identification_needed, verdicts_on
from flows.measured import Measured
from flows.opening import storage
from flows.progress import tell
from flows.report.gathering import report_content
from flows.report.page import render
from flows.settings import settings
from flows.shielding import shielded
from flows.steps import step
from models.schema.errors import BadInput, FenceLost, Refused
from models.schema.kinds import Content, Role
from models.schema.media import MediaFacts
from models.schema.verdict import Verdict
from storage.catalogue.uploads import WAITING, UploadState
from storage.database import Writing
from storage.handles import Operation, Run, Use
from storage.registers.reviews import settled_codes
from storage.registers.uploads import Conclusion

RENEWAL_SECONDS = 60.0
SHOWN_EVERY_SECONDS = 5.0
"""How often the Prefect UI hears of progress: a call to the server each time."""


@flow(name="ingest", persist_result=False, log_prints=False, retries=0, validate_parameters=True)
def ingest(upload: str) -> str:
    """Admit, decide, decode once, extract, judge, keep, report; returns the upload's state.

    A withdrawal while this runs makes its next read or commit fail: nothing of the run is kept,
    and it starts over for the purposes that are left, if any are.
    """
    if not admit(upload):
        return state_of(upload)
    run = decide(upload)
    if run is None:
        return state_of(upload)
    try:
        if recognise_duplicate(upload, run):
            return state_of(upload)
        measurements = extract(upload, run)
        judge(upload, run, measurements)
        keep_original(upload, run)
        write_report(upload, run, measurements)
        conclude(upload, run)
    except (Refused, FenceLost):
        return start_over(upload, run)
    except BadInput as error:
        return reject(upload, run, error)
    except BaseException:
        storage().door.abandon(storage().door.handle(run))
        raise
    return state_of(upload)


@step
@shielded
def admit(upload: str) -> bool:
    """Whether the file is something that can be processed; a rejected one is concluded."""
    house = storage()
    facts = admitted_facts(
        house,
        house.uploads.by_id(upload),
        limits=settings().media_limits,
        scratch=settings().scratch,
    )
    return facts is not None


@step
@shielded
def decide(upload: str) -> str | None:
    """Ask the decision for every purpose; begin a run for those allowed, or conclude as refused."""
    house = storage()
    purposes = allowed_purposes(house, house.uploads.by_id(upload))
    if not purposes:
        return None
    purposes &= frozenset(received_file(house, upload).basis)
    house.uploads.note(upload, begun=time.time())
    return house.door.begin(upload, role=Role.INGEST, purposes=purposes).id


@step
@shielded
def recognise_duplicate(upload: str, run: str) -> bool:
    """Whether the same person's same file is admitted already, for at least these purposes."""
    house = storage()
    row = house.uploads.by_id(upload)
    handle = house.door.resume(run)
    earlier = house.uploads.duplicate_of(row, handle.purposes)
    if earlier is None:
        return False
    house.door.abandon(handle)
    house.uploads.end(
        upload,
        Conclusion(UploadState.DUPLICATE, [DUPLICATE], row.outcome, duplicate_of=earlier),
    )
    return True


@step
@shielded
def extract(upload: str, run: str) -> str:
    """Decode once; voice and face features go into the run. Returns the measurements' id."""
    house = storage()
    row = house.uploads.by_id(upload)
    facts = MediaFacts.model_validate(row.outcome["media"])
    handle = house.door.resume(run)
    extraction = Extraction(
        house.door,
        handle,
        facts,
        settings(),
        parents=(received_file(house, upload).id,),
        transcript=house.uploads.transcript(row),
        told=_teller(handle, facts),
    )
    with plain_copy(house, row, handle.purposes, scratch=settings().scratch) as file:
        return extraction.extract(file)


@step
@shielded
def judge(upload: str, run: str, measurements: str) -> None:
    """What the recording is good for, and whether it is one person, the one it should be.

    Features of an upload that waits for identification are removed before anybody can read them
    (invariant 11).
    """
    house = storage()
    handle = house.door.resume(run)
    with house.door.open_own(handle, measurements) as reader:
        measured = Measured.from_bytes(reader.read())
    codes = settled_codes(house.uploads.by_id(upload))
    verdicts = verdicts_on(house, handle, measured, settings(), settled_codes=codes)
    house.uploads.note(
        upload,
        verdicts=[verdict.model_dump(mode="json") for verdict in verdicts],
        **_numbers(measured),
    )
    if identification_needed(verdicts):
        house.door.discard(handle, house.door.written_by(handle, Content.FEATURES))


@step
@shielded
def keep_original(upload: str, run: str) -> str:
    """Encrypt the recording again, as an object of its own; the one it is read from goes with the
    run's end, out of quarantine or from where it waited."""
    house = storage()
    handle = house.door.resume(run)
    row = house.uploads.by_id(upload)
    received = received_file(house, upload)
    use = Use(Role.INGEST, Operation.PROCESS, handle.purposes, run)
    waits = identification_needed(_verdicts(row.outcome))
    with house.door.open(received.id, use) as reader:
        return house.door.put(
            handle,
            "original",
            reader,
            parents=house.uploads.lineage_of(received),
            expires_at=house.uploads.identification_deadline() if waits else None,
        )


@step
@shielded
def write_report(upload: str, run: str, measurements: str) -> str:
    """The page for the person; one that waits for identification tells why, without pictures."""
    house = storage()
    handle = house.door.resume(run)
    row = house.uploads.by_id(upload)
    with house.door.open_own(handle, measurements) as reader:
        measured = Measured.from_bytes(reader.read())
    verdicts = _verdicts(row.outcome)
    waits = identification_needed(verdicts)
    content = report_content(
        house,
        row,
        handle,
        measured,
        verdicts,
        waits=waits,
        seconds=_elapsed_seconds(row.outcome),
    )
    page = render(content, settings().language, voice=settings().voice, face=settings().face)
    deadline = house.uploads.identification_deadline() if waits else None
    report = house.door.put(
        handle, "report", [page.encode()], parents=(measurements,), expires_at=deadline
    )
    if waits:
        house.door.discard(handle, [measurements])
    house.uploads.note(upload, report=report)
    return report


@step
@shielded
def conclude(upload: str, run: str) -> None:
    """Make everything exist in one transaction with the upload's state; in the same one, what the
    run was read from, and what was kept while the upload waited, goes out of use."""
    house = storage()
    row = house.uploads.by_id(upload)
    open_questions = [v for v in _verdicts(row.outcome) if identification_needed([v])]
    conclusion = Conclusion(
        UploadState.NEEDS_IDENTIFICATION if open_questions else UploadState.ADMITTED,
        [_reason(verdict) for verdict in open_questions] or row.reasons,
        {**row.outcome, "seconds": round(_elapsed_seconds(row.outcome), 3)},
    )

    earlier = [held.id for held in house.uploads.objects_of(upload)]

    def write(writing: Writing) -> None:
        if not house.uploads.conclude(writing, upload, conclusion):
            raise FenceLost("This upload was ended while it was processed; nothing is kept.")
        house.uploads.retire(writing, earlier)

    house.door.commit(house.door.resume(run), also=write)
    house.door.delete(earlier)


def start_over(upload: str, run: str) -> str:
    """After consent was narrowed: nothing of the run stays; begin again with what is allowed."""
    house = storage()
    house.door.abandon(house.door.handle(run))
    row = house.uploads.by_id(upload)
    if row.state in WAITING:
        remaining = allowed_purposes(house, row)  # concludes the upload where none is left
        if remaining and remaining < house.door.handle(run).purposes:
            return ingest.fn(upload)
    return state_of(upload)


def reject(upload: str, run: str, error: BadInput) -> str:
    """The decoder found what the probe could not see: nothing of the run or the file stays."""
    house = storage()
    house.door.abandon(house.door.handle(run))
    house.uploads.end(upload, rejection(error))
    return state_of(upload)


def _teller(run: Run, facts: MediaFacts) -> Callable[[float], None]:
    """Tells terminal and Prefect UI how far extraction is, and keeps the run's lease alive."""
    door = storage().door
    length = facts.claimed_seconds or 0.0
    artifact = create_progress_artifact(progress=0.0, description="extract")
    assert isinstance(artifact, UUID)
    renewed = shown = time.monotonic()

    def told(done: float) -> None:
        nonlocal renewed, shown
        fraction = min(done / length, 1.0) if length else 0.0
        tell("extract", fraction)
        now = time.monotonic()
        if now - shown > SHOWN_EVERY_SECONDS:
            update_progress_artifact(artifact_id=artifact, progress=100 * fraction)
            shown = now
        if now - renewed > RENEWAL_SECONDS:
            door.renew(run)
            renewed = now

    return told


def _elapsed_seconds(outcome: dict[str, Any]) -> float:
    """Wall time since the decision let the work begin."""
    now = time.time()
    return now - float(outcome.get("begun", now))


def _verdicts(outcome: dict[str, Any]) -> list[Verdict]:
    return [Verdict.model_validate(verdict) for verdict in outcome.get("verdicts", [])]


def _reason(verdict: Verdict) -> dict[str, str]:
    return {"code": verdict.code, "english": verdict.english, "chinese": verdict.chinese}


def _numbers(measured: Measured) -> dict[str, Any]:
    """What the command line tells of a recording: lengths and counts, nothing of the person."""
    decoded = measured.decoded
    length = max(decoded.sound_seconds, decoded.picture_seconds)
    numbers: dict[str, Any] = {
        "decoded": decoded.model_dump(mode="json"),
        "media_seconds": round(length, 3),
        "voice": None,
        "face": None,
    }
    if measured.voice is not None:
        voice = measured.voice.measurements
        numbers["voice"] = {
            "speech_seconds": round(voice.speech_seconds, 3),
            "utterances": len(voice.utterances),
            "speakers": voice.speakers,
            "language": voice.language,
        }
    if measured.face is not None:
        face = measured.face.measurements
        numbers["face"] = {
            "frames": face.frames,
            "frames_with_face": face.frames_with_face,
            "faces": face.faces,
            "shots": face.shots,
            "frontal_fraction": round(face.frontal_fraction, 3),
        }
    return numbers


def state_of(upload: str) -> str:
    """The upload's state, a word of the command line."""
    return storage().uploads.by_id(upload).state.value


DUPLICATE = {
    "code": "duplicate",
    "english": "This person's same file was admitted before; the earlier upload stands.",
    "chinese": "同一个人的同一文件此前已被接收；以先前的上传为准。",
}
