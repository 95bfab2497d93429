"""The contract refuses what could not be kept, and never repeats what it was given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.engines.contract import (
    MEDIA_TYPES,
    Complaint,
    Declaration,
    File,
    FileRole,
    Generated,
    Generation,
    MediaType,
    Progress,
    Sample,
    Trained,
    Training,
)
from models.engines.messages import Asked, Said

WAV, TENSORS = MediaType.WAV, MediaType.SAFETENSORS
SOUND = File(name="a.wav", role=FileRole.SOUND, media_type=WAV)
WEIGHTS = File(name="voice", role=FileRole.WEIGHTS, media_type=TENSORS)
KEPT = File(name="kept", role=FileRole.CHECKPOINT, media_type=TENSORS)
OUTPUT = File(name="out.wav", role=FileRole.OUTPUT, media_type=WAV)
SAMPLE = Sample(number=0, seconds=1, sample_rate_hz=24_000, files=(SOUND,))
DECLARATION: dict[str, Any] = {
    "name": "hum",
    "version": "1",
    "licence": "MIT",
    "task": "voice",
    "resources": {"memory_mebibytes": 1},
    "deterministic": True,
}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "../a",
            "/a",
            "a/../b",
            "a//b",
            "a/",
            ".a",
            "a/.b",
            "a\n",
            "a\0",
            "ü",
            "-rf",
        ),
        *("a" * 101, "a/b/c/d/e"),
    ],
)
def test_a_name_cannot_leave_the_folder(name: str) -> None:
    with pytest.raises(ValidationError):
        File(name=name, role=FileRole.WEIGHTS, media_type=TENSORS)


@given(role=st.sampled_from(list(FileRole)), media_type=st.sampled_from(list(MediaType)))
def test_a_role_has_its_forms(role: FileRole, media_type: MediaType) -> None:
    if media_type in MEDIA_TYPES[role]:
        assert File(name="a", role=role, media_type=media_type).role is role
    else:
        with pytest.raises(ValidationError):
            File(name="a", role=role, media_type=media_type)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Declaration, DECLARATION | {"gives": ["checkpoint"]}),
        (Declaration, DECLARATION | {"gives": ["weights", "output"]}),
        (Declaration, DECLARATION | {"name": "Not A Name"}),
        (Declaration, DECLARATION | {"more": 1}),
        (Sample, {"number": 0, "seconds": 1, "files": [SOUND]}),
        (Sample, {"number": 0, "seconds": 1, "files": [WEIGHTS]}),
        (Sample, {"number": 0, "seconds": 0, "sample_rate_hz": 8_000, "files": [SOUND]}),
        (
            Sample,
            {
                "number": 0,
                "seconds": 1,
                "sample_rate_hz": 8_000,
                "files": [SOUND, SOUND.model_copy(update={"name": "b.wav"})],
            },
        ),
        (Training, {"samples": [], "seconds_most": 1}),
        (Training, {"samples": [SAMPLE, SAMPLE], "seconds_most": 1}),
        (Training, {"samples": [SAMPLE], "seconds_most": 1, "resume_from": WEIGHTS}),
        (Training, {"samples": [SAMPLE], "seconds_most": 1, "base": [KEPT]}),
        (Training, {"samples": [SAMPLE], "seconds_most": float("inf")}),
        (Trained, {"files": [KEPT, WEIGHTS], "steps": 1}),
        (Trained, {"files": [], "steps": 1}),
        (Trained, {"files": [WEIGHTS, WEIGHTS], "steps": 1}),
        (Trained, {"files": [WEIGHTS], "steps": 1, "metrics": {"loss": float("nan")}}),
        (Progress, {"step": 1, "fraction": 0.5, "checkpoint": WEIGHTS}),
        (Progress, {"step": 1, "fraction": 1.1}),
        (Generation, {"trained": [WEIGHTS], "seconds_most": 1}),
        (Generation, {"trained": [KEPT], "seconds_most": 1, "text": "a"}),
        (Generation, {"trained": [WEIGHTS], "seconds_most": 1, "text": "a", "driving": SOUND}),
        (Generation, {"trained": [WEIGHTS], "seconds_most": 1, "driving": OUTPUT}),
        (Generated, {"file": SOUND, "seconds": 1, "sample_rate_hz": 1}),
        (Generated, {"file": OUTPUT, "seconds": 1}),
        (Asked, {}),
        (Asked, {"declare": {}, "go_on": True}),
        (Said, {"complaint": "too_little_speech", "progress": {"step": 1, "fraction": 0}}),
    ],
)
def test_what_could_not_be_kept_is_refused(kind: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(values)


def test_an_error_does_not_repeat_what_was_said() -> None:
    with pytest.raises(ValidationError) as refused:
        Sample.model_validate({"number": -1, "transcript": "the secret words", "files": "secret"})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "message",
    [
        Asked(train=Training(samples=(SAMPLE,), seconds_most=1, resume_from=KEPT)),
        Asked(generate=Generation(trained=(WEIGHTS,), text="早上好\n", seconds_most=1)),
        Asked(go_on=True),
        Said(declaration=Declaration.model_validate(DECLARATION)),
        Said(progress=Progress(step=1, fraction=0.5, metrics={"loss": 0.1}, checkpoint=KEPT)),
        Said(trained=Trained(files=(WEIGHTS,), steps=3, card=("a line\n",))),
        Said(generated=Generated(file=OUTPUT, seconds=1.5, sample_rate_hz=24_000)),
        Said(complaint=Complaint.NOT_FINITE),
    ],
)
def test_a_message_is_one_line_and_comes_back_as_it_was(message: Asked | Said) -> None:
    line = message.line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert type(message).model_validate_json(line) == message
