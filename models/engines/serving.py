"""The far end of the pipe: serves one engine as a child process of the core.

A foreign engine written in Python ends with

    if __name__ == "__main__":
        serve(MyEngine())

and needs nothing of the house but pydantic and the modules `models.engines.contract`, `.messages`,
`.serving` and `models.schema.errors`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import IO

from models.engines.contract import CannotGoOn, Engine, Progress, Work
from models.engines.messages import Asked, Said


def serve(engine: Engine) -> None:
    """Answer the one request that comes on standard input, on standard output."""
    # Whatever a library prints must not get among the answers.
    with os.fdopen(os.dup(1), "wb", buffering=0) as answers:
        os.dup2(2, 1)
        requests = sys.stdin.buffer
        answers.write(_answer(engine, requests, answers).line())


def _answer(engine: Engine, requests: IO[bytes], answers: IO[bytes]) -> Said:
    asked = Asked.model_validate_json(requests.readline())

    def tell(progress: Progress) -> None:
        answers.write(Said(progress=progress).line())
        # The core answers when it has read the checkpoint; gone, it says nothing any more.
        if not requests.readline():
            sys.exit(1)

    # The core asks the fence itself, and ends this process when the run was stopped.
    work = Work(Path.cwd(), Path(tempfile.gettempdir()), told=tell, should_stop=lambda: False)
    try:
        if asked.train is not None:
            return Said(trained=engine.train(asked.train, work))
        if asked.generate is not None:
            return Said(generated=engine.generate(asked.generate, work))
        return Said(declaration=engine.declaration)
    except CannotGoOn as complaint:
        return Said(complaint=complaint.complaint)
