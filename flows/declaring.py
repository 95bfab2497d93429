"""From what a caller says to what the ledger records: purposes, evidence, who acts."""

from __future__ import annotations

from pathlib import Path

from models.consent.facts import EvidenceLevel, Source, Uploader
from models.schema.errors import BadInput, BadUsage, LimitExceeded
from models.schema.purposes import Purpose
from storage.clock import utc_now
from storage.consents import EVIDENCE_BYTES_MOST, Evidence, Grant


def grant_from(
    evidence: str, *, himself: bool, authorised_by: Path | None, source: Source
) -> Grant:
    """The act of agreeing that is described; raises BadUsage or BadInput.

    Either the person acts `himself`, or `authorised_by` names the document of who acts for them.
    """
    if himself == (authorised_by is not None):
        raise BadUsage(
            "Say who uploads: the person themselves, or somebody they authorised.",
            remedy="Give --self, or --authorised-by with the document that authorises (P03).",
        )
    return Grant(
        evidence=evidence_from(evidence),
        uploader=Uploader.SELF if himself else Uploader.AUTHORISED,
        authorisation=None if authorised_by is None else _document(authorised_by),
        source=source,
        acted_at=utc_now(),
    )


def evidence_from(text_or_file: str) -> Evidence:
    """A document where the text names a file that exists, else the text itself."""
    try:
        is_file = Path(text_or_file).is_file()
    except (OSError, ValueError):
        is_file = False
    if is_file:
        return _document(Path(text_or_file))
    return Evidence(text_or_file.encode("utf-8", "surrogateescape"), EvidenceLevel.DECLARED)


def purposes_from(names: list[str]) -> frozenset[Purpose]:
    """The named purposes; raises BadUsage for none or for one that is not on the closed list."""
    if not names:
        raise BadUsage(
            "No purpose was named.",
            remedy=f"Give --purpose once for each of: {', '.join(Purpose)}.",
        )
    known = {purpose.value for purpose in Purpose}
    for name in names:
        if name not in known:
            raise BadUsage(
                "A purpose was named that does not exist.",
                remedy=f"The purposes are: {', '.join(Purpose)}.",
            )
    return frozenset(Purpose(name) for name in names)


def _document(file: Path) -> Evidence:
    try:
        size = file.stat().st_size
        if size > EVIDENCE_BYTES_MOST:
            raise LimitExceeded(
                f"A document of evidence may hold at most {EVIDENCE_BYTES_MOST} bytes."
            )
        return Evidence(file.read_bytes(), EvidenceLevel.DOCUMENT)
    except OSError as error:
        raise BadInput(
            f"The document cannot be read ({error.strerror}).", remedy="Check its path."
        ) from None
