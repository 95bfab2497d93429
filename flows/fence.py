"""The fence of a long run, as an engine asks it before each step."""

from __future__ import annotations

import time
from typing import Final

from models.schema.errors import FenceLost
from storage.door import Door
from storage.handles import ArtefactRun

RENEWAL_SECONDS: Final = 60.0
"""How often the lease is lengthened; without that it ends 15 minutes after (storage.runs.LEASE)."""


class Fence:
    """Tells whether a run was stopped, and keeps its lease for as long as somebody asks."""

    def __init__(self, door: Door, run: ArtefactRun) -> None:
        self._door = door
        self._run = run
        self._renew_at = time.monotonic() + RENEWAL_SECONDS

    def is_stopped(self) -> bool:
        """Whether the run may not go on. Raises FenceLost when it ended between two looks."""
        if self._door.is_stopped(self._run):
            return True
        if time.monotonic() >= self._renew_at:
            self._door.renew(self._run)
            self._renew_at = time.monotonic() + RENEWAL_SECONDS
        return False

    def require_open(self) -> None:
        """Pass while the run may go on; raises FenceLost."""
        if self.is_stopped():
            raise FenceLost("The run was stopped; nothing of it was kept.")
