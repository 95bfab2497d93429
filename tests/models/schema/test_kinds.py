"""Every kind of object declares whose it is, when it goes and how it is erased (invariant 7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from models.engines.contract import TRAINED_ROLES, FileRole
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
def test_only_workers_write_never_people_or_review(kind: Kind) -> None:
    assert kind.written_by <= {Role.INTAKE, Role.INGEST, Role.TRAINING, Role.GENERATION}


@every_kind
def test_training_alone_writes_what_is_of_a_model_and_nothing_of_an_upload(kind: Kind) -> None:
    of_a_model = kind.content is Content.MODEL or kind.name == "model_sample"
    assert (Role.TRAINING in kind.written_by) == of_a_model
    assert not of_a_model or kind.written_by == {Role.TRAINING}


@every_kind
def test_only_generation_and_evaluation_make_what_is_generated_and_no_training_reads_it(
    kind: Kind,
) -> None:
    if kind.content is Content.GENERATED:
        assert kind.written_by <= {Role.GENERATION, Role.TRAINING}
        assert Role.TRAINING not in kind.read_by


@every_kind
def test_reports_are_read_by_the_person_and_by_review_alone(kind: Kind) -> None:
    if kind.content is Content.REPORT:
        assert kind.read_by == {Role.PERSON, Role.REVIEW}


@every_kind
def test_training_reads_features_originals_and_bases_and_nothing_about_the_person(
    kind: Kind,
) -> None:
    if Role.TRAINING in kind.read_by:
        assert kind.content in {Content.RAW, Content.FEATURES, Content.MODEL}
        assert kind.name not in {"quarantined_upload", "model_weights", "model_material"}


@every_kind
def test_the_person_has_access_to_everything_of_theirs_that_is_kept_in_the_end(
    kind: Kind,
) -> None:
    """What comes before it goes by itself: a received file, a training as it stood."""
    before = kind.expiry in {Expiry.QUARANTINE, Expiry.TRAINING}
    assert (Role.PERSON in kind.read_by) == (kind.owner is Owner.SUBJECT and not before)


def test_the_picture_is_needed_by_no_purpose_but_a_digital_human() -> None:
    assert frozenset({Purpose.DIGITAL_HUMAN}) == NEEDS_FACE
    for name in ("face_segment", "face_profile"):
        assert KINDS[name].purposes == NEEDS_FACE
    for name in ("voice_segment", "voice_profile"):
        assert KINDS[name].purposes == NEEDS_VOICE


@every_kind
def test_what_training_reads_at_random_is_at_most_16_mebibytes(kind: Kind) -> None:
    assert FEATURE_BYTES_MOST == 16 * 1024 * 1024
    if kind.content not in {Content.RAW, Content.MODEL, Content.GENERATED}:
        assert kind.bytes_most <= FEATURE_BYTES_MOST


@every_kind
def test_what_is_of_one_person_is_under_that_persons_key_and_nothing_else_is(kind: Kind) -> None:
    """None of several people's keys alone may open what was made of them all (invariant 5)."""
    of_many = kind.name.startswith("base_")
    assert kind.owner is (Owner.ARTEFACT if of_many else Owner.SUBJECT)
    assert (kind.purposes == {Purpose.MODEL_IMPROVEMENT}) == of_many


@every_kind
def test_a_shared_base_never_comes_from_a_model_of_one_person(kind: Kind) -> None:
    """That model's erasure would not reach it."""
    if kind.owner is Owner.ARTEFACT:
        of_one = {name for name in KINDS if name.startswith(("model_", "generated_"))}
        assert not of_one & set(kind.comes_from)


@every_kind
def test_a_training_as_it_stood_goes_by_itself(kind: Kind) -> None:
    assert (kind.expiry is Expiry.TRAINING) == kind.name.endswith("_checkpoint")


def test_a_file_of_every_role_that_a_training_may_give_has_a_kind() -> None:
    kinds = {FileRole.PLOT: "training_plot"}
    for role in TRAINED_ROLES:
        assert kinds.get(role, f"model_{role.value}") in KINDS


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
