"""Reading everything that is held about a person (Policy P16): one folder, readable without us.

Recordings and reports as they are, features as safetensors, every record as JSON, what the person
agreed to with its evidence, and a first page in plain language. Making it is a request of its own
(Policy P19), and each object it opens is in the access log under that request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from flows.report.words import LANGUAGES, Language
from flows.rights import page, records
from flows.rights.endings import ending
from flows.rights.folder import Folder, Written, new_folder
from flows.rights.page import Given, NotGiven, PageContent
from flows.times import stamp, stamp_or_none
from models.schema.errors import Frozen, KeyDestroyed, NotFound, Tampered
from models.schema.kinds import Content, Role, kind_named
from storage.assembly import Storage
from storage.catalogue.objects import StoredRow
from storage.catalogue.requests import Request, RequestKind
from storage.catalogue.uploads import UploadState
from storage.handles import Operation, Use
from storage.registers.requests import Handling
from storage.registers.subject_access import Held

_FOLDERS: Final = {
    Content.RAW: "recordings",
    Content.FEATURES: "features",
    Content.MEASUREMENTS: "features",
    Content.REPORT: "reports",
    Content.EVIDENCE: "documents",
    Content.MODEL: "models",
    Content.GENERATED: "generated",
}
_ENDINGS: Final = {
    "application/vnd.safetensors": ".safetensors",
    "text/html; charset=utf-8": ".html",
}


@dataclass(frozen=True)
class Exported:
    """What the folder holds, and what could not be given."""

    request: str
    answered: Sequence[str]
    """Every request that this answers: its own, and older ones that were interrupted."""
    files: Sequence[dict[str, Any]]
    not_given: Sequence[dict[str, Any]]


def export(
    storage: Storage,
    subject: str,
    handling: Handling,
    out: Path,
    *,
    language: Language,
    outside: Sequence[Path],
) -> Exported:
    """Write everything that is held about a person into a new or empty folder.

    `handling` says who does it and how the person was authenticated. Works while the person's data
    is frozen; what is erased meanwhile is told, not fatal. The folder appears complete or not at
    all, and never inside one of `outside`; then the request stays open.

    Raises BadUsage without authentication, BadInput for the folder, NotFound for an unknown person.
    """
    handling.checked()
    storage.subjects.known(subject)
    with new_folder(out, outside=outside) as folder:
        request = storage.requests.open(subject, RequestKind.ACCESS, handling)
        before = storage.subject_access.held(subject)
        given, not_given = _objects(storage, folder, before, request)
        # Read again: the accesses of this export are part of what is held.
        held = storage.subject_access.held(subject)
        documents = _documents(storage, folder, held)
        content = PageContent(
            held=held,
            request=request,
            handling=handling,
            given=given,
            not_given=not_given,
            documents=documents,
            file_names={
                each.id: clean(storage.subject_access.file_name(each)) for each in held.uploads
            },
            avatar_names={
                each.id: storage.subject_access.avatar_name(each) for each in held.avatars
            },
        )
        _records(storage, folder, content)
        for each in LANGUAGES:
            suffix = "" if each == language else f".{each}"
            folder.write(f"index{suffix}.html", [_bytes(page.index(content, each, language))])
            folder.write(f"README{suffix}.txt", [_bytes(page.readme(content, each))])
        of = {each.written.file: each.row for each in given}
        files = [_file(written, of.get(written.file)) for written in folder.files]
    return Exported(
        request=request.id,
        answered=storage.requests.answer(request),
        files=files,
        not_given=[_not_given(each) for each in not_given],
    )


def clean(text: str | None) -> str | None:
    """What a person wrote, as UTF-8 can hold it."""
    if text is None:
        return None
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# --- objects and documents ----------------------------------------------------------------------


def _objects(
    storage: Storage, folder: Folder, held: Held, request: Request
) -> tuple[list[Given], list[NotGiven]]:
    given: list[Given] = []
    not_given: list[NotGiven] = []
    use = Use(Role.PERSON, Operation.ACCESS, frozenset(), request.id)
    doubtful = {
        upload.id for upload in held.uploads if upload.state is UploadState.NEEDS_IDENTIFICATION
    }
    for row in held.objects:
        kind = kind_named(row.kind)
        if Role.PERSON not in kind.read_by:
            not_given.append(NotGiven(row, "not_for_reading"))
        elif row.upload_id in doubtful and kind.content is not Content.REPORT:
            # It could be somebody else's voice or face (invariant 11).
            not_given.append(NotGiven(row, "not_identified"))
        else:
            try:
                with storage.door.open(row.id, use) as reader:
                    given.append(Given(row, _decrypted(folder, row, iter(reader))))
            except (NotFound, Frozen, KeyDestroyed):
                not_given.append(NotGiven(row, "erased"))
            except Tampered:
                not_given.append(NotGiven(row, "damaged"))
    return given, not_given


def _decrypted(folder: Folder, row: StoredRow, pieces: Iterator[bytes]) -> Written:
    kind = kind_named(row.kind)
    first = next(pieces, b"")
    name = f"{_FOLDERS[kind.content]}/{row.kind}-{row.id}"
    name += _ENDINGS.get(kind.media_type) or ending(first)
    return folder.write(name, chain([first], pieces))


def _documents(storage: Storage, folder: Folder, held: Held) -> dict[int, list[str]]:
    """The evidence of every entry, by its sequence."""
    found: dict[int, list[str]] = {}
    for entry in held.entries:
        try:
            documents = storage.subject_access.documents(entry)
        except KeyDestroyed:
            continue
        for number, document in enumerate(documents, 1):
            name = f"documents/entry-{entry.sequence}-{number}{ending(document)}"
            found.setdefault(entry.sequence, []).append(folder.write(name, [document]).file)
    return found


# --- records ------------------------------------------------------------------------------------


def _records(storage: Storage, folder: Folder, content: PageContent) -> None:
    held, documents = content.held, content.documents
    files = {given.row.id: given.written.file for given in content.given}
    why = {each.row.id: each.why for each in content.not_given}
    tables: dict[str, Any] = {
        "person": {
            "made_at": stamp(held.at),
            "region": held.subject.region,
            "ages": [age.model_dump(mode="json") for age in held.ages],
            "request": content.request.id,
        },
        "decisions": [records.decision(each) for each in held.decisions],
        "consents": [
            {**records.consent(fact), "documents": documents.get(fact.sequence, [])}
            for fact in held.facts
        ],
        "history": [
            {**records.entry(entry), "documents": documents.get(entry.sequence, [])}
            for entry in held.entries
        ],
        "uploads": list(_uploads(storage, content)),
        "avatars": [records.avatar(content.avatar_names[row.id], row) for row in held.avatars],
        "artefacts": [records.artefact(row) for row in held.artefacts],
        "generations": [
            {
                **records.generation(row),
                "request": clean(storage.subject_access.generation_request(row)),
            }
            for row in held.generations
        ],
        "objects": [
            {
                **records.stored(row),
                "file": files.get(row.id),
                "not_given": None if row.id in files else why.get(row.id, "arrived_since"),
            }
            for row in _united(held.objects, content)
        ],
        "accesses": [records.access(each) for each in held.accesses],
        "disclosures": [records.disclosure(name, each) for name, each in held.disclosures],
        "freezes": [records.freeze(row) for row in held.freezes],
        "orders": [records.order(row) for row in held.orders],
        "requests": [
            {
                **records.request(row),
                "authenticated_by": clean(storage.subject_access.handling(row).authenticated_by),
            }
            for row in held.requests
        ],
    }
    for name, table in tables.items():
        folder.write(
            f"records/{name}.json", [_bytes(json.dumps(table, ensure_ascii=False, indent=2) + "\n")]
        )


def _uploads(storage: Storage, content: PageContent) -> Iterator[dict[str, Any]]:
    for upload in content.held.uploads:
        yield {
            "upload": upload.id,
            "state": upload.state.value,
            "file_name": content.file_names[upload.id],
            "transcript": clean(storage.subject_access.transcript(upload)),
            "received_at": stamp(upload.created_at),
            "ended_at": stamp_or_none(upload.ended_at),
            "expires_at": stamp_or_none(upload.expires_at),
            "size_bytes": upload.size_bytes,
            "uploader": upload.uploader,
            "purposes": {p.value: sequence for p, sequence in sorted(upload.basis.items())},
            "duplicate_of": upload.duplicate_of,
            "reasons": upload.reasons,
            "outcome": upload.outcome,
        }


def _united(now: Iterable[StoredRow], content: PageContent) -> list[StoredRow]:
    """What is held now, and what was given or sought before it was erased."""
    rows = {row.id: row for row in now}
    for row in (*(g.row for g in content.given), *(n.row for n in content.not_given)):
        rows.setdefault(row.id, row)
    return list(rows.values())


def _file(written: Written, of: StoredRow | None) -> dict[str, Any]:
    return {
        "file": written.file,
        "bytes": written.bytes,
        "sha256": written.sha256,
        "kind": of.kind if of else None,
        "object": of.id if of else None,
    }


def _not_given(each: NotGiven) -> dict[str, Any]:
    return {"object": each.row.id, "kind": each.row.kind, "why": each.why}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
