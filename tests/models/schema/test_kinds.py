"""Every kind of object declares whose it is, when it goes and how it is erased (invariant 7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from models.schema.errors import BadUsage
from models.schema.kinds import (
    FEATURE_BYTES_MOST,
    KINDS,
    Content,
    Erasure,
    Expiry,
    Kind,
    Owner,
    Role,
    kind_named,
)
from models.schema.purposes import NEEDS_FACE, NEEDS_VOICE, Purpose
from models.schema.retention import Retention

NOW = datetime(2026, 5, 1, tzinfo=UTC)
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@every_kind
def test_a_kind_declares_everything_itself(kind: Kind) -> None:
    assert kind.model_fields_set == set(Kind.model_fields)


@pytest.mark.parametrize("left_out", sorted(Kind.model_fields))
def test_a_kind_that_leaves_anything_out_cannot_be_declared(left_out: str) -> None:
    whole = dict(KINDS["voice_segment"])
    del whole[left_out]
    with pytest.raises(ValidationError, match=left_out):
        Kind(**whole)


def test_an_undeclared_kind_is_refused_by_name_and_with_what_to_do() -> None:
    with pytest.raises(BadUsage, match="'cache' is not a declared kind") as refused:
        kind_named("cache")
    assert "kinds.py" in refused.value.remedy


def test_kinds_cannot_be_added_or_changed_while_running() -> None:
    with pytest.raises(TypeError):
        KINDS["cache"] = KINDS["report"]  # type: ignore[index]
    with pytest.raises(ValidationError):
        KINDS["report"].owner = Owner.ARTEFACT  # type: ignore[misc]


@every_kind
def test_a_kind_comes_only_from_declared_kinds_and_in_the_end_from_what_a_person_hands_in(
    kind: Kind,
) -> None:
    assert set(kind.comes_from) <= set(KINDS)
    seen: set[str] = set()
    open_ends = [kind.name]
    while open_ends:
        name = open_ends.pop()
        if name not in seen:
            seen.add(name)
            open_ends.extend(KINDS[name].comes_from)
    assert kind.name not in kind.comes_from
    assert seen & {"quarantined_upload", "spoken_statement"}


@every_kind
def test_evidence_of_consent_is_read_by_people_alone(kind: Kind) -> None:
    if kind.content is Content.EVIDENCE:
        assert kind.read_by == {Role.PERSON, Role.REVIEW}


@every_kind
def test_stewards_and_auditors_read_nothing(kind: Kind) -> None:
    assert not kind.read_by & {Role.STEWARD, Role.AUDITOR, Role.INTAKE}


@every_kind
def test_only_workers_write_never_people_training_or_review(kind: Kind) -> None:
    assert kind.written_by <= {Role.INTAKE, Role.INGEST}


@every_kind
def test_reports_are_read_by_the_person_and_by_review_alone(kind: Kind) -> None:
    if kind.content is Content.REPORT:
        assert kind.read_by == {Role.PERSON, Role.REVIEW}


@every_kind
def test_training_reads_features_and_originals_and_nothing_about_the_person(kind: Kind) -> None:
    if Role.TRAINING in kind.read_by:
        assert kind.content in {Content.RAW, Content.FEATURES}
        assert kind.name != "quarantined_upload"


@every_kind
def test_the_person_has_access_to_everything_that_outlives_quarantine(kind: Kind) -> None:
    assert (Role.PERSON in kind.read_by) == (kind.name != "quarantined_upload")


def test_the_picture_is_needed_by_no_purpose_but_a_digital_human() -> None:
    assert frozenset({Purpose.DIGITAL_HUMAN}) == NEEDS_FACE
    for name in ("face_segment", "face_profile"):
        assert KINDS[name].purposes == NEEDS_FACE
    for name in ("voice_segment", "voice_profile"):
        assert KINDS[name].purposes == NEEDS_VOICE


@every_kind
def test_what_training_reads_at_random_is_at_most_16_mebibytes(kind: Kind) -> None:
    assert FEATURE_BYTES_MOST == 16 * 1024 * 1024
    if kind.content is not Content.RAW:
        assert kind.bytes_most <= FEATURE_BYTES_MOST


@every_kind
def test_what_one_person_uploaded_is_under_that_persons_key(kind: Kind) -> None:
    assert kind.owner is Owner.SUBJECT


@every_kind
def test_raw_recordings_expire_by_themselves(kind: Kind) -> None:
    if kind.content is Content.RAW:
        assert kind.expiry is not Expiry.WITH_CONSENT


@pytest.mark.parametrize("rule", Expiry)
def test_retention_knows_every_expiry(rule: Expiry) -> None:
    """Only what lives with the consent has no day of its own."""
    day = Retention().expires_at(rule, now=NOW, uploaded_at=NOW)
    assert (day is None) == (rule is Expiry.WITH_CONSENT)
    assert day is None or day > NOW


def test_there_is_one_way_of_erasing_and_every_kind_uses_it() -> None:
    """The door's `delete` is that way; a second one needs a second implementation there."""
    assert set(Erasure) == {Erasure.SHRED_AND_DELETE}
    assert {kind.erasure for kind in KINDS.values()} == set(Erasure)


def test_quarantine_empties_itself_after_24_hours() -> None:
    day = Retention().expires_at(Expiry.QUARANTINE, now=NOW, uploaded_at=NOW)
    assert day == NOW + timedelta(hours=24)


def test_raw_recordings_go_30_days_after_ingest_and_180_days_after_upload_at_the_latest() -> None:
    soon = Retention().expires_at(Expiry.RAW, now=NOW, uploaded_at=NOW)
    assert soon == NOW + timedelta(days=30)
    uploaded = NOW - timedelta(days=170)
    late = Retention().expires_at(Expiry.RAW, now=NOW, uploaded_at=uploaded)
    assert late == uploaded + timedelta(days=180)


@pytest.mark.parametrize("name", list(Retention.model_fields))
def test_a_period_of_nothing_or_less_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Retention(**{name: 0})
