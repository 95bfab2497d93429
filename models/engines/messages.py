"""What the core and a foreign engine say to each other: one JSON object a line, in UTF-8.

    core -> engine   {"declare": {}} | {"train": Training} | {"generate": Generation}, once
                     {"go_on": true}                          after each progress
    engine -> core   {"progress": Progress}                   after each step, then it waits
                     {"declaration": ...} | {"trained": ...} | {"generated": ...} |
                     {"complaint": "..."}                     once, as its last word

One process answers one request. It runs in the scratch folder, and names files relative to it.
"""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from models.engines.contract import (
    Complaint,
    Declaration,
    Generated,
    Generation,
    Progress,
    Trained,
    Training,
)

LINE_BYTES: Final = 16 * 1024**2
"""The longest line of an engine: the phones of four hours of speech are half of it."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(value is not None for _, value in self) != 1:
            raise ValueError("a message says exactly one thing")
        return self

    def line(self) -> bytes:
        """The message as it is sent."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


class Nothing(BaseModel):
    """An object without fields, which a later version may give some."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(_Message):
    """A line from the core."""

    declare: Nothing | None = None
    train: Training | None = None
    generate: Generation | None = None
    go_on: Literal[True] | None = None


class Said(_Message):
    """A line from the engine."""

    declaration: Declaration | None = None
    progress: Progress | None = None
    trained: Trained | None = None
    generated: Generated | None = None
    complaint: Complaint | None = None
