"""What may leave a task as an error: our own exceptions, and of any other only its type and place.

Prefect writes exceptions to its logs and its database. The message of a foreign exception can hold
values (a path, a transcript, numbers of a tensor), so it stays here (invariant 9).
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import PurePath
from typing import ParamSpec, TypeVar

from models.schema.errors import LikenessError

_HOUSE = PurePath(__file__).parent.parent

P = ParamSpec("P")
R = TypeVar("R")


def shielded(function: Callable[P, R]) -> Callable[P, R]:
    """Let LikenessError pass and turn anything else into one that tells no values.

    With LIKENESS_DEBUG=1, for a developer's own recordings, foreign exceptions pass as they are.
    """

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except LikenessError:
            raise
        except Exception as error:
            if os.environ.get("LIKENESS_DEBUG") == "1":
                raise
            raise LikenessError(
                f"{type(error).__name__} {_place(error)} while the step '{function.__name__}' ran.",
                remedy="Report this message; it holds nothing of the recording.",
            ) from None

    return inner


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if PurePath(frame.filename).is_relative_to(_HOUSE)]
    if not ours:
        return ""
    return f"at {PurePath(ours[-1].filename).relative_to(_HOUSE)}:{ours[-1].lineno}"
