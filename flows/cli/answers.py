"""How a command answers: one JSON object or lines for people, an exit code, never a traceback."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Annotated, Any, Final, ParamSpec

import typer

from models.schema.errors import ConsentRefused, LikenessError

P = ParamSpec("P")

EXIT_BY_STATE: Final = {"rejected": 2, "abandoned": 2, "refused": 3}
"""Exit codes of what became of an upload; 0 for every other state."""

Json = Annotated[
    bool, typer.Option("--json", help="Print exactly one JSON object on standard output.")
]


@dataclass
class Answer:
    """What a command says: fields for programs, lines for people, and how it ended."""

    fields: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    exit_code: int = 0
    error: LikenessError | None = None


def answering(command: Callable[P, Answer]) -> Callable[P, None]:
    """Turn a function that returns an Answer into a command; it must have a `json_output`."""

    @wraps(command)
    def inner(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("json_output"))
        try:
            answer = command(*args, **kwargs)
        except LikenessError as error:
            answer = Answer({}, exit_code=error.exit_code, error=error)
        except (KeyboardInterrupt, typer.Abort):
            answer = Answer({}, exit_code=130, error=_interrupted())
        except Exception as error:
            if os.environ.get("LIKENESS_DEBUG") == "1":
                raise
            answer = Answer({}, exit_code=1, error=_foreign(error))
        _print(answer, as_json=as_json)
        raise typer.Exit(answer.exit_code)

    return inner


def say(message: str) -> None:
    """A message for people, on standard error."""
    print(message, file=sys.stderr, flush=True)


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        fields = dict(answer.fields)
        if answer.error is not None:
            fields["error"] = error_fields(answer.error)
        print(json.dumps(fields, ensure_ascii=False, indent=2), flush=True)
        return
    for line in answer.lines:
        print(line)
    if answer.error is not None:
        say(f"likeness: {answer.error.message}")
        if answer.error.remedy:
            say(f"What to do: {answer.error.remedy}")


def error_fields(error: LikenessError) -> dict[str, Any]:
    """An error as the JSON contract has it."""
    fields: dict[str, Any] = {
        "code": error.reason,
        "message": error.message,
        "remedy": error.remedy,
    }
    if isinstance(error, ConsentRefused):
        fields["reasons"] = error.reasons
    return fields


def _interrupted() -> LikenessError:
    return LikenessError("Interrupted; nothing half-done is kept.", remedy="", code="interrupted")


def _foreign(error: Exception) -> LikenessError:
    return LikenessError(
        f"An unforeseen {type(error).__name__}.",
        remedy="Set LIKENESS_DEBUG=1 to see where, and report it.",
    )
