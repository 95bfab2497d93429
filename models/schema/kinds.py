"""Every kind of object that is kept, and how it goes away (invariant 7).

A kind says whose it is, what it comes from, which purposes can need it, who may touch it, when it
expires and how it is erased. The door refuses to write a kind that is not declared here, so an
object that nobody planned to erase cannot exist. Engines add no kinds: what they make is declared
here too.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from models.schema.errors import BadUsage
from models.schema.purposes import NEEDS_FACE, NEEDS_VOICE, Purpose

MEBIBYTE: Final = 1024 * 1024
FEATURE_BYTES_MOST: Final = 16 * MEBIBYTE
"""A feature object is read whole and at random by training; this bounds what one read costs."""
MODEL_BYTES_MOST: Final = 16 * 1024 * MEBIBYTE
"""Weights of one model, or what it needs beside them; written and read as a stream."""
CHECKPOINT_BYTES_MOST: Final = 4 * MODEL_BYTES_MOST
"""Weights, their gradients, and the two moments that an optimiser such as Adam keeps of each."""
GENERATED_BYTES_MOST: Final = 4 * 1024 * MEBIBYTE
"""An hour, the longest that an engine may generate, at 9 Mbit/s."""

KEY_BACKUP_DAYS: Final = 30
"""Backups of the key store are kept at most this long (invariant 5)."""


class Content(StrEnum):
    """What the bytes are; access is granted by content (Policy P11)."""

    RAW = "raw"
    FEATURES = "features"
    MEASUREMENTS = "measurements"
    REPORT = "report"
    EVIDENCE = "evidence"
    """What shows that a person agreed. Kept as long as the consent it proves, read by people."""
    MODEL = "model"
    """What a training learned of people, and what generation needs beside it (invariant 8)."""
    GENERATED = "generated"
    """What was generated with a model of a person."""


class Owner(StrEnum):
    """Whose scope key wraps the object's data key."""

    SUBJECT = "subject"
    ARTEFACT = "artefact"
    """Made of several people; none of their keys alone may open it (invariant 5)."""


class Expiry(StrEnum):
    """When an object goes by itself, without an order."""

    QUARANTINE = "quarantine"
    """A fixed time after it was received."""
    RAW = "raw"
    """Some days after ingest, at most some days after upload (Policy P25)."""
    WITH_CONSENT = "with_consent"
    """Lives as long as the consent it rests on (Policy P07, P25)."""
    TRAINING = "training"
    """Needed while a training may still go on from it; some days at most (Policy P28)."""


class Erasure(StrEnum):
    """How an object is erased."""

    SHRED_AND_DELETE = "shred_and_delete"
    """Destroy its data key, delete every version, verify by listing, keep a tombstone row."""


class Role(StrEnum):
    """Who acts at the door (Policy P11): the least that each needs stands in the kinds."""

    INTAKE = "intake"
    INGEST = "ingest"
    TRAINING = "training"
    GENERATION = "generation"
    STEWARD = "steward"
    """Deletes and reconciles; never reads."""
    PERSON = "person"
    """The data subject's own access (Policy P16): report and export."""
    REVIEW = "review"
    DISCLOSURE = "disclosure"
    """Hands out what the person themselves may have, where a disclosure names it (Policy P08a)."""
    AUDITOR = "auditor"
    """Tries to open what was erased, and must fail."""


class Kind(BaseModel):
    """One declared kind of object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    about: str = Field(min_length=1)
    content: Content
    media_type: str
    owner: Owner
    comes_from: tuple[str, ...]
    """Kinds it is made of; empty for what a person hands in."""
    purposes: frozenset[Purpose] = Field(min_length=1)
    """Purposes that can need it; an object's own purposes are a subset (Policy P28)."""
    expiry: Expiry
    erasure: Erasure
    bytes_most: int = Field(gt=0)
    written_by: frozenset[Role] = Field(min_length=1)
    read_by: frozenset[Role]


_ALL = frozenset(Purpose)
_OF_ONE = frozenset({Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN})
"""Purposes that a model of one person serves."""
_OF_MANY = frozenset({Purpose.MODEL_IMPROVEMENT})
_RAW_BYTES_MOST = 1024**4
_HEARD = ("voice_segment", "voice_profile", "original")
_TRAINED_ON = (*_HEARD, "face_segment", "face_profile")

_DECLARED = (
    Kind(
        name="quarantined_upload",
        about="A file as it was received, before anything is known of it.",
        content=Content.RAW,
        media_type="application/octet-stream",
        owner=Owner.SUBJECT,
        comes_from=(),
        purposes=_ALL,
        expiry=Expiry.QUARANTINE,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=_RAW_BYTES_MOST,
        written_by=frozenset({Role.INTAKE}),
        read_by=frozenset({Role.INGEST}),
    ),
    Kind(
        name="original",
        about="The admitted recording, byte for byte as uploaded.",
        content=Content.RAW,
        media_type="application/octet-stream",
        owner=Owner.SUBJECT,
        comes_from=("quarantined_upload",),
        purposes=_ALL,
        expiry=Expiry.RAW,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=_RAW_BYTES_MOST,
        written_by=frozenset({Role.INGEST}),
        read_by=frozenset({Role.INGEST, Role.TRAINING, Role.PERSON, Role.REVIEW}),
    ),
    Kind(
        name="voice_segment",
        about="One utterance: log-mel, F0, voicing, energy, samples, transcript.",
        content=Content.FEATURES,
        media_type="application/vnd.safetensors",
        owner=Owner.SUBJECT,
        comes_from=("quarantined_upload", "original"),
        purposes=NEEDS_VOICE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.INGEST}),
        read_by=frozenset({Role.INGEST, Role.TRAINING, Role.PERSON}),
    ),
    Kind(
        name="spoken_statement",
        about="The recording in which a person reads their consent aloud, as it was handed in.",
        content=Content.EVIDENCE,
        media_type="application/octet-stream",
        owner=Owner.SUBJECT,
        comes_from=(),
        purposes=_ALL,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.INGEST}),
        read_by=frozenset({Role.PERSON, Role.REVIEW}),
    ),
    Kind(
        name="voice_profile",
        about="The speaker embedding of one upload, with the backend that made it.",
        content=Content.FEATURES,
        media_type="application/vnd.safetensors",
        owner=Owner.SUBJECT,
        comes_from=("quarantined_upload", "original", "spoken_statement"),
        purposes=NEEDS_VOICE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.INGEST}),
        read_by=frozenset({Role.INGEST, Role.TRAINING, Role.PERSON}),
    ),
    Kind(
        name="face_segment",
        about="Some seconds of one person's track: landmarks, pose, mouth, aligned crops.",
        content=Content.FEATURES,
        media_type="application/vnd.safetensors",
        owner=Owner.SUBJECT,
        comes_from=("quarantined_upload", "original"),
        purposes=NEEDS_FACE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.INGEST}),
        read_by=frozenset({Role.INGEST, Role.TRAINING, Role.PERSON}),
    ),
    Kind(
        name="face_profile",
        about="Identity embedding and best portraits of one upload, with the backend.",
        content=Content.FEATURES,
        media_type="application/vnd.safetensors",
        owner=Owner.SUBJECT,
        comes_from=("quarantined_upload", "original"),
        purposes=NEEDS_FACE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.INGEST}),
        read_by=frozenset({Role.INGEST, Role.TRAINING, Role.PERSON, Role.REVIEW}),
    ),
    Kind(
        name="measurements",
        about="The numbers and small plots of one upload that verdicts and the report read.",
        content=Content.MEASUREMENTS,
        media_type="application/vnd.safetensors",
        owner=Owner.SUBJECT,
        comes_from=("quarantined_upload", "original"),
        purposes=_ALL,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.INGEST}),
        read_by=frozenset({Role.INGEST, Role.PERSON, Role.REVIEW}),
    ),
    Kind(
        name="report",
        about="The page that tells a person what became of one upload.",
        content=Content.REPORT,
        media_type="text/html; charset=utf-8",
        owner=Owner.SUBJECT,
        comes_from=("measurements",),
        purposes=_ALL,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.INGEST}),
        read_by=frozenset({Role.PERSON, Role.REVIEW}),
    ),
    Kind(
        name="model_weights",
        about="What a training learned of one person's voice or face.",
        content=Content.MODEL,
        media_type="application/vnd.safetensors",
        owner=Owner.SUBJECT,
        comes_from=(*_TRAINED_ON, "base_weights", "model_checkpoint"),
        purposes=_OF_ONE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=MODEL_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.GENERATION, Role.PERSON}),
    ),
    Kind(
        name="model_material",
        about="Recorded speech or footage of the person that generation itself needs.",
        content=Content.MODEL,
        media_type="application/octet-stream",
        owner=Owner.SUBJECT,
        comes_from=_TRAINED_ON,
        purposes=_OF_ONE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=MODEL_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.GENERATION, Role.PERSON}),
    ),
    Kind(
        name="model_card",
        about="What is known of a model: its evaluation, its engine's remarks, names of its files.",
        content=Content.MODEL,
        media_type="application/json",
        owner=Owner.SUBJECT,
        comes_from=_TRAINED_ON,
        purposes=_OF_ONE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.GENERATION, Role.PERSON}),
    ),
    Kind(
        name="model_checkpoint",
        about="A training of one person's model as it stood, from which it goes on exactly.",
        content=Content.MODEL,
        media_type="application/vnd.safetensors",
        owner=Owner.SUBJECT,
        comes_from=(*_TRAINED_ON, "base_weights"),
        purposes=_OF_ONE,
        expiry=Expiry.TRAINING,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=CHECKPOINT_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.TRAINING}),
    ),
    Kind(
        name="model_sample",
        about="An example that a model spoke or showed when it was evaluated.",
        content=Content.GENERATED,
        media_type="application/octet-stream",
        owner=Owner.SUBJECT,
        comes_from=("model_weights", "model_material"),
        purposes=_OF_ONE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=GENERATED_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.PERSON}),
    ),
    Kind(
        name="training_plot",
        about="A picture of how a training went.",
        content=Content.MODEL,
        media_type="image/png",
        owner=Owner.SUBJECT,
        comes_from=_TRAINED_ON,
        purposes=_OF_ONE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.PERSON}),
    ),
    Kind(
        name="base_weights",
        about="What a training learned of the voices of several people together.",
        content=Content.MODEL,
        media_type="application/vnd.safetensors",
        owner=Owner.ARTEFACT,
        comes_from=(*_HEARD, "base_checkpoint"),
        purposes=_OF_MANY,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=MODEL_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.TRAINING, Role.GENERATION}),
    ),
    Kind(
        name="base_card",
        about="What is known of a shared base: its evaluation and the names of its files.",
        content=Content.MODEL,
        media_type="application/json",
        owner=Owner.ARTEFACT,
        comes_from=_HEARD,
        purposes=_OF_MANY,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=FEATURE_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.TRAINING, Role.GENERATION}),
    ),
    Kind(
        name="base_checkpoint",
        about="The training of a shared base as it stood, from which it goes on exactly.",
        content=Content.MODEL,
        media_type="application/vnd.safetensors",
        owner=Owner.ARTEFACT,
        comes_from=_HEARD,
        purposes=_OF_MANY,
        expiry=Expiry.TRAINING,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=CHECKPOINT_BYTES_MOST,
        written_by=frozenset({Role.TRAINING}),
        read_by=frozenset({Role.TRAINING}),
    ),
    Kind(
        name="generated_speech",
        about="Speech in the person's voice, generated and labelled as such.",
        content=Content.GENERATED,
        media_type="audio/wav",
        owner=Owner.SUBJECT,
        comes_from=("model_weights", "model_material", "base_weights"),
        purposes=_OF_ONE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=GENERATED_BYTES_MOST,
        written_by=frozenset({Role.GENERATION}),
        read_by=frozenset({Role.GENERATION, Role.PERSON}),
    ),
    Kind(
        name="generated_video",
        about="A video of the person's likeness, generated and labelled as such.",
        content=Content.GENERATED,
        media_type="video/mp4",
        owner=Owner.SUBJECT,
        comes_from=("model_weights", "model_material", "base_weights", "generated_speech"),
        purposes=NEEDS_FACE,
        expiry=Expiry.WITH_CONSENT,
        erasure=Erasure.SHRED_AND_DELETE,
        bytes_most=GENERATED_BYTES_MOST,
        written_by=frozenset({Role.GENERATION}),
        read_by=frozenset({Role.PERSON}),
    ),
)

KINDS: Final = MappingProxyType({kind.name: kind for kind in _DECLARED})


def kind_named(name: str) -> Kind:
    """The declared kind; raises BadUsage for any other name, so nothing undeclared is written."""
    try:
        return KINDS[name]
    except KeyError:
        raise BadUsage(
            f"'{name}' is not a declared kind of object.",
            remedy="Declare it in models/schema/kinds.py, with its owner, expiry and erasure.",
        ) from None
