"""Where else something of a person may lie, which the storage room itself does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

Concerned = Mapping[str, Sequence[str]]
"""Group (`runs`, `uploads`, `artefacts`, `avatars`, `subjects`...) to random ids."""


class Elsewhere(Protocol):
    """One such place: the scratch folders of a machine, the orchestrator's records."""

    @property
    def name(self) -> str:
        """What the place is called in a message."""
        ...

    def remove(self, concerned: Concerned) -> None:
        """Remove all that lies there of what an erasure concerns; idempotent."""
        ...

    def left(self, concerned: Concerned) -> int:
        """How much still lies there."""
        ...
