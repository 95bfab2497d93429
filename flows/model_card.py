"""The card of a model: what is known of it, and what its files were called when it was trained."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from models.engines.contract import File, FileRole, Metrics
from models.schema.errors import Tampered


class KeptFile(BaseModel):
    """A file that a training gave, and the object that it is kept as."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    object: str
    file: File


class ModelCard(BaseModel):
    """One trained model. Kept sealed as a `model_card`; generation reads it first."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    engine: str
    engine_version: str
    language: str | None
    samples: int
    seconds: float
    """Of sound that was learned from."""
    steps: int
    seed: int
    metrics: Metrics
    remarks: tuple[str, ...]
    """The engine's own lines, for people."""
    files: tuple[KeptFile, ...]

    def with_roles(self, roles: frozenset[FileRole]) -> list[KeptFile]:
        """The files of some roles, in the order in which the engine named them."""
        return [each for each in self.files if each.file.role in roles]


def card_from(content: bytes) -> ModelCard:
    """The card that is kept as these bytes; raises Tampered for any other bytes."""
    try:
        return ModelCard.model_validate_json(content)
    except ValidationError:
        raise Tampered("The card of a model is not readable.") from None
