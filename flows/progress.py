"""How far a piece of work has come, told to whoever watches.

The terminal watches with a bar, a Prefect worker with a progress artifact. Only a fraction and the
name of the step are told (invariant 9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str, float], None]
"""Called with the step's name and how much of it is done, from 0 to 1."""

_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tell this watcher too, inside the block."""
    token = _watchers.set((*_watchers.get(), watcher))
    try:
        yield
    finally:
        _watchers.reset(token)


def tell(step: str, fraction: float) -> None:
    """Tell every watcher."""
    for watcher in _watchers.get():
        watcher(step, min(max(fraction, 0.0), 1.0))
