"""A disclosure from the question to the files that leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.rights.folder import new_folder
from flows.settings import settings
from models.consent.disclosure import Ground
from models.schema.errors import NotFound
from models.schema.kinds import Role, kind_named
from models.schema.purposes import Purpose
from storage.assembly import Storage
from storage.handles import Operation, Use
from storage.registers.evidence import Evidence

_ENDINGS: Final = {
    "application/vnd.safetensors": ".safetensors",
    "text/html; charset=utf-8": ".html",
    "application/octet-stream": "",
}


@dataclass(frozen=True)
class Made:
    """A recorded disclosure and what was written for it."""

    disclosure: str
    files: list[Path]


def disclose(
    storage: Storage,
    subject: str,
    recipient: str,
    *,
    ground: Ground,
    purpose: Purpose,
    kinds: frozenset[str],
    document: Evidence | None,
    out: Path,
) -> Made:
    """Decide, record, and write what the disclosure names to the new folder `out`.

    Raises NotFound where nothing of these kinds is held, ConsentRefused with every reason.
    """
    subject_id = storage.subjects.known(subject).id
    rows = [
        row
        for kind in sorted(kinds)
        for row in storage.uploads.objects_of_subject(subject_id, kind=kind)
        if purpose in row.basis
    ]
    if kinds and not rows:
        raise NotFound("Nothing of these kinds is held for this purpose.")
    recorded = storage.disclosures.disclose(
        subject, recipient, ground=ground, purpose=purpose, kinds=kinds, document=document
    )
    use = Use(Role.DISCLOSURE, Operation.DISCLOSE, frozenset({purpose}), recorded.id)
    with new_folder(out, outside=[settings().home]) as folder:
        for row in rows:
            name = f"{row.kind}-{row.id}{_ENDINGS[kind_named(row.kind).media_type]}"
            with storage.door.open(row.id, use) as reader:
                folder.write(name, reader)
    return Made(recorded.id, [out / written.file for written in folder.files])
