"""Collecting what one upload's report tells, while the run that writes it is still open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from flows.measured import Measured
from flows.report.content import ConsentLine, LineageLine, ReportContent
from models.consent.facts import Fact
from models.schema.kinds import Content, kind_named
from models.schema.media import MediaFacts
from models.schema.verdict import Verdict
from storage.assembly import Storage
from storage.catalogue.objects import Intent
from storage.catalogue.uploads import Upload, UploadState
from storage.clock import utc_now
from storage.handles import Run


def report_content(
    storage: Storage,
    upload: Upload,
    run: Run,
    measured: Measured,
    verdicts: Sequence[Verdict],
    *,
    waits: bool,
    seconds: float,
) -> ReportContent:
    """Everything the page needs; without pictures and plots while the upload `waits`."""
    state = UploadState.NEEDS_IDENTIFICATION if waits else UploadState.ADMITTED
    return ReportContent(
        upload=upload.id,
        received_at=upload.created_at,
        made_at=utc_now(),
        state=state.value,
        media=MediaFacts.model_validate(upload.outcome["media"]),
        decoded=measured.decoded,
        voice=None if waits else measured.voice,
        face=None if waits else measured.face,
        verdicts=tuple(verdicts),
        consent=_consent(storage, upload),
        lineage=_lineage(storage.door.writes(run), waits=waits),
        seconds=seconds,
    )


def _consent(storage: Storage, upload: Upload) -> tuple[ConsentLine, ...]:
    grants = {fact.sequence: fact for fact in storage.consents.history(upload.subject_id)}
    lines = []
    for decision in storage.uploads.decisions(upload):
        grant: Fact | None = grants.get(upload.basis[decision.purpose])
        lines.append(
            ConsentLine(
                purpose=decision.purpose,
                allowed=decision.allowed,
                granted_at=grant.acted_at if grant else None,
                uploader=grant.uploader.value if grant and grant.uploader else upload.uploader,
                evidence_level=grant.evidence_level.value
                if grant and grant.evidence_level
                else "declared",
                reasons_english=tuple(reason.english for reason in decision.reasons),
                reasons_chinese=tuple(reason.chinese for reason in decision.reasons),
                policy_version=grant.policy_version if grant else None,
                expires_at=grant.expires_at if grant else None,
            )
        )
    return tuple(lines)


def _lineage(intents: Sequence[Intent], *, waits: bool) -> tuple[LineageLine, ...]:
    """One line a kind, in the order in which they were made; the report itself is the next one."""
    by_kind: dict[str, list[Intent]] = defaultdict(list)
    for intent in intents:
        if not (waits and kind_named(intent.kind).content is Content.MEASUREMENTS):
            by_kind[intent.kind].append(intent)
    return tuple(
        LineageLine(
            kind=name,
            about=kind_named(name).about,
            count=len(found),
            bytes=sum(intent.plain_bytes or 0 for intent in found),
            comes_from=kind_named(name).comes_from,
            expires_at=found[0].expires_at,
        )
        for name, found in by_kind.items()
    )
