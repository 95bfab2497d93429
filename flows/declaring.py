"""From what a caller says to what the ledger records: purposes, evidence, who acts."""

from __future__ import annotations

from pathlib import Path

from models.consent.facts import EvidenceLevel, Source, Uploader
from models.schema.errors import BadInput, BadUsage, LimitExceeded
from models.schema.purposes import Purpose
from storage.clock import utc_now
from storage.registers.consents import Grant
from storage.registers.evidence import EVIDENCE_BYTES_MOST, Evidence


def grant_from(
    evidence: str,
    *,
    himself: bool,
    authorised_by: Path | None,
    explicit: bool,
    guardian: str | None = None,
    evidence_sha256: str | None = None,
) -> Grant:
    """The act of agreeing that is described; raises BadUsage or BadInput.

    Either the person acts `himself`, or `authorised_by` names the document of who acts for them, or
    a minor's `guardian` does. `explicit` tells an act of its own from the act of uploading.
    """
    if [himself, authorised_by is not None, guardian is not None].count(True) != 1:
        raise BadUsage(
            "Say who acts: the person themselves, somebody they authorised, or a minor's guardian.",
            remedy="Give --self, or --authorised-by with the document that authorises, or "
            "--guardian (P03, P21).",
        )
    uploader = Uploader.SELF
    if authorised_by is not None:
        uploader = Uploader.AUTHORISED
    if guardian is not None:
        uploader = Uploader.GUARDIAN
    given = evidence_from(evidence)
    if evidence_sha256 is not None and evidence_sha256.lower() != given.digest:
        raise BadInput(
            "The evidence does not match its digest; nothing was recorded.",
            remedy="Give the document that the digest was taken of.",
        )
    return Grant(
        evidence=given,
        uploader=uploader,
        authorisation=None if authorised_by is None else _document(authorised_by),
        source=Source.EXPLICIT if explicit else Source.UPLOAD,
        acted_at=utc_now(),
        guardian=guardian,
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
