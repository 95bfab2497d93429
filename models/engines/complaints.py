"""What the house says when an engine cannot go on."""

from __future__ import annotations

from typing import Final

from models.engines.contract import Complaint
from models.schema.errors import BadInput, EngineFailed, LikenessError, LimitExceeded

_ERRORS: Final[dict[Complaint, tuple[type[LikenessError], str, str]]] = {
    Complaint.TOO_LITTLE_SPEECH: (
        LimitExceeded,
        "The recordings hold too little speech for this engine.",
        "Upload more speech of the same person.",
    ),
    Complaint.TOO_LITTLE_VIDEO: (
        LimitExceeded,
        "The recordings hold too little usable video for this engine.",
        "Upload more video of the same person's face.",
    ),
    Complaint.UNUSABLE_SAMPLES: (
        BadInput,
        "The engine can learn nothing from these recordings.",
        "Upload clearer recordings, or choose another engine.",
    ),
    Complaint.UNUSABLE_TEXT: (
        BadInput,
        "The engine cannot speak this text.",
        "Write it in words of a language that the engine speaks.",
    ),
    Complaint.UNSUPPORTED_LANGUAGE: (
        BadInput,
        "The engine does not speak this language.",
        "Choose another language or another engine.",
    ),
    Complaint.CORRUPT_CHECKPOINT: (
        EngineFailed,
        "The checkpoint that the run was to go on from is damaged.",
        "Train again from the beginning.",
    ),
    Complaint.NOT_FINITE: (
        EngineFailed,
        "The training came to no finite result.",
        "Run it again with another seed or more recordings.",
    ),
    Complaint.OUT_OF_MEMORY: (
        EngineFailed,
        "The engine had too little memory.",
        "Give it a machine or a GPU with more memory, or less to learn from.",
    ),
}


def complaint_error(complaint: Complaint) -> LikenessError:
    """The error for a complaint; its `reason` is the complaint's own word."""
    kind, message, remedy = _ERRORS[complaint]
    return kind(message, remedy=remedy, code=complaint.value)
