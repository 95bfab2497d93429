"""What a voice or face may be used for: a closed list (Policy P08e).

Biometric data needs separate consent (PIPL art. 29): a purpose is a flag of its own and never
follows from another (Policy P03).
"""

from __future__ import annotations

from enum import StrEnum


class Purpose(StrEnum):
    """A use that a person can allow or refuse by itself."""

    VOICE_CLONING = "voice_cloning"
    """Learn the voice and generate speech that is highly similar to it (Policy P01)."""
    DIGITAL_HUMAN = "digital_human"
    """Learn appearance and voice, to make and train a digital human (Policy P02)."""
    MODEL_IMPROVEMENT = "model_improvement"
    """Let shared base models learn from the recordings."""


NEEDS_VOICE = frozenset(Purpose)
"""Purposes that need voice features; a digital human has its person's voice (Policy P02)."""

NEEDS_FACE = frozenset({Purpose.DIGITAL_HUMAN})
"""Purposes that need the picture. Voice cloning never decodes it (Policy P28); shared bases are
voice models, so `model_improvement` alone does not need it either."""
