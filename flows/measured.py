"""Measurements read back from the object that extraction stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.schema.face import FaceMeasurements, MeasuredFace
from models.schema.media import DecodeSummary
from models.schema.tensors import unpacked
from models.schema.voice import MeasuredVoice, Tensors, VoiceMeasurements


@dataclass(frozen=True)
class Measured:
    """What one pass over a recording found."""

    decoded: DecodeSummary
    voice: MeasuredVoice | None
    face: MeasuredFace | None

    @classmethod
    def from_bytes(cls, content: bytes) -> Measured:
        """Read a `measurements` object; raises Tampered where it is not one."""
        tensors, record = unpacked(content)
        voice = face = None
        if record["voice"] is not None:
            voice = MeasuredVoice(
                measurements=VoiceMeasurements.model_validate(record["voice"]),
                embedding=_float(tensors.get("voice:embedding")),
                plots=_plots(tensors, "voice."),
            )
        if record["face"] is not None:
            face = MeasuredFace(
                measurements=FaceMeasurements.model_validate(record["face"]),
                embedding=_float(tensors.get("face:embedding")),
                portraits=tensors["face:portraits"].astype(np.uint8, copy=False),
                plots=_plots(tensors, "face."),
            )
        return cls(DecodeSummary.model_validate(record["decoded"]), voice, face)


def _plots(tensors: Tensors, prefix: str) -> Tensors:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _float(value: NDArray[np.generic] | None) -> NDArray[np.float32] | None:
    return None if value is None else value.astype(np.float32, copy=False)
