"""What every step of a flow has in common: no results kept, and no retry but where it may help."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from models.schema.errors import ServiceUnavailable


def _worth_retrying(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Only a service that did not answer may answer the second time."""
    try:
        state.result()
    except ServiceUnavailable:
        return True
    except BaseException:
        return False
    return False


step = task(
    persist_result=False,
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[1, 10],
    retry_condition_fn=_worth_retrying,
    log_prints=False,
)
