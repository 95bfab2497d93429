"""Operating thresholds of the speaker encoders, from `thresholds.toml` beside this file."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.schema.errors import BadUsage


class SpeakerThresholds(BaseModel):
    """Cosines of one encoder; where they were measured stands in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    same_voice_in_few_windows: float
    same_voice_in_many_windows: float
    same_voice_in_turns: float
    same_voice_across_uploads: float


@cache
def speaker_thresholds(encoder: str) -> SpeakerThresholds:
    """Thresholds of the encoder called `encoder`; raises BadUsage where none were measured."""
    text = Path(__file__).with_name("thresholds.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    if encoder not in table:
        raise BadUsage(
            f"'{encoder}' has no measured thresholds.",
            remedy="Measure them and enter them in models/voice/thresholds.toml.",
        )
    return SpeakerThresholds.model_validate(table[encoder])
