"""Admission: what a received file is, by its content, before anything of it is decoded.

Runs in the caller's process, before Prefect is imported, so that a file that cannot be used is told
so in a second; the ingest flow asks it again, and finds the answer where it was already given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from models.media.limits import MediaLimits
from models.media.probe import probe
from models.media.unlinked import unlinked_file
from models.schema.errors import BadInput, NotFound, UnsupportedMedia
from models.schema.kinds import Role
from models.schema.media import MediaFacts
from models.schema.purposes import NEEDS_FACE, NEEDS_VOICE, Purpose
from storage.assembly import Storage
from storage.catalogue.objects import StoredRow
from storage.catalogue.uploads import WAITING, Upload, UploadState
from storage.handles import Operation, Use
from storage.registers.uploads import Conclusion


def admitted_facts(
    storage: Storage, upload: Upload, *, limits: MediaLimits, scratch: Path
) -> MediaFacts | None:
    """The file's facts when it is admitted, None when it was rejected or has ended otherwise.

    A rejected upload is concluded with the reason, and our copy is deleted.
    """
    if upload.state not in WAITING:
        return None
    known = upload.outcome.get("media")
    if known is not None:
        return MediaFacts.model_validate(known)
    purposes = allowed_purposes(storage, upload)
    if not purposes:
        return None
    try:
        with plain_copy(storage, upload, purposes, scratch=scratch) as file:
            facts = probe(file, limits)
        require_useful(facts, purposes)
    except BadInput as error:
        storage.uploads.end(upload.id, rejection(error))
        return None
    storage.uploads.note(upload.id, media=facts.model_dump(mode="json"))
    return facts


def allowed_purposes(storage: Storage, upload: Upload) -> frozenset[Purpose]:
    """The purposes of the upload that the decision allows now; ends it as refused without any."""
    decisions = storage.uploads.decisions(upload)
    allowed = frozenset(decision.purpose for decision in decisions if decision.allowed)
    if not allowed and upload.state in WAITING:
        reasons = [
            {"purpose": decision.purpose.value, **reason.model_dump()}
            for decision in decisions
            for reason in decision.reasons
        ]
        storage.uploads.end(upload.id, Conclusion(UploadState.REFUSED, reasons, upload.outcome))
    return allowed


@contextmanager
def plain_copy(
    storage: Storage, upload: Upload, purposes: frozenset[Purpose], *, scratch: Path
) -> Iterator[BinaryIO]:
    """The received file decrypted into an unlinked file: it has no name, and no process that dies
    leaves anything of it behind."""
    use = Use(Role.INGEST, Operation.PROCESS, purposes, upload.id)
    with unlinked_copy(storage, received_file(storage, upload.id), use, scratch=scratch) as file:
        yield file


@contextmanager
def unlinked_copy(
    storage: Storage, row: StoredRow, use: Use, *, scratch: Path
) -> Iterator[BinaryIO]:
    """A stored recording decrypted into a file without a name, read from its beginning."""
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    with unlinked_file(scratch) as file:
        with storage.door.open(row.id, use) as reader:
            for piece in reader:
                file.write(piece)
        file.flush()
        file.seek(0)
        yield file


def received_file(storage: Storage, upload_id: str) -> StoredRow:
    """What ingest reads: the copy in quarantine, or, once a reviewer has said whose recording it
    is, the original that was kept while it waited. Raises NotFound."""
    for kind in ("quarantined_upload", "original"):
        for row in storage.uploads.objects_of(upload_id, kind=kind):
            return row
    raise NotFound("The received file is not kept any more.", remedy="Upload it again.")


def rejection(error: BadInput) -> Conclusion:
    """The conclusion that an unusable file leads to."""
    reason = {"code": error.reason, "english": f"{error.message} {error.remedy}"}
    return Conclusion(UploadState.REJECTED, [reason], {})


def require_useful(facts: MediaFacts, purposes: frozenset[Purpose]) -> None:
    """A file without anything that a granted purpose needs is told so before the work."""
    if facts.sound is None and not (purposes & NEEDS_FACE and facts.picture):
        raise UnsupportedMedia(
            "The file has no sound, and no purpose it was uploaded for can use the picture alone."
            if facts.picture
            else "The file has neither sound nor moving picture.",
            remedy="Upload a recording with the person's voice.",
        )
    assert purposes & NEEDS_VOICE
