"""What callers of the door hold: the use they ask for, the run they write in, the opened object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from models.schema.errors import LimitExceeded
from models.schema.kinds import Kind, Role
from models.schema.purposes import Purpose
from storage.catalogue.objects import Intent, StoredRow


class Operation(StrEnum):
    """What an opened object is wanted for."""

    PROCESS = "process"
    """Use for the named purposes; needs consent now."""
    ACCESS = "access"
    """The person's own access (Policy P16): open while frozen, until the purge begins."""
    IDENTIFY = "identify"
    """Asking whose voice or face it is (invariant 11): stopped by a freeze and by a withdrawal."""
    DISCLOSE = "disclose"
    """Handing out what a recorded disclosure names (Policy P08a); `reference` is its id."""
    INSPECT = "inspect"
    """Looking under a recorded legal basis that permits it (Policy P06)."""


@dataclass(frozen=True)
class Use:
    """Who wants to read, for what, on whose behalf; `reference` is the random id of the run."""

    role: Role
    operation: Operation
    purposes: frozenset[Purpose]
    reference: str


@dataclass(frozen=True)
class Run:
    """A handle on an open run that works on an upload; its id is the fence token."""

    id: str
    subject_id: str
    upload_id: str
    role: Role
    purposes: frozenset[Purpose]


@dataclass(frozen=True)
class ArtefactRun:
    """A handle on an open run that trains an artefact or generates with it."""

    id: str
    subject_id: str | None
    """None for a shared base, which is several people's."""
    artefact_id: str
    role: Role
    purposes: frozenset[Purpose]


AnyRun = Run | ArtefactRun


class Reader:
    """An opened object: iterate for its pieces, or read it whole when it is small."""

    def __init__(self, row: StoredRow | Intent, pieces: Iterator[bytes]) -> None:
        self.plain_bytes = row.plain_bytes or 0
        self.kind = row.kind
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of at most 1 MiB, each released only after its own check."""
        return self._pieces

    def read(self) -> bytes:
        """The whole object; only for kinds whose size is bounded."""
        return b"".join(self._pieces)


class Counted:
    """Counts what passes, and refuses more than the kind allows."""

    def __init__(self, pieces: Iterable[bytes], kind: Kind) -> None:
        self.count = 0
        self._pieces = pieces
        self._kind = kind

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.count += len(piece)
            if self.count > self._kind.bytes_most:
                raise LimitExceeded(
                    f"A {self._kind.name} may hold at most {self._kind.bytes_most} bytes."
                )
            yield piece
