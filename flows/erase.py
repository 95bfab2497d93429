"""The erase flow: an order that is on record is carried out, from the plan to the signed receipt.

Its parameter is the order's random id alone, and so is all that Prefect learns (invariant 9). What
it does is written step by step by the storage room itself, so a run that dies is followed by any
other, of this flow, of the sweep or of the command (invariant 6).
"""

from __future__ import annotations

from prefect import flow

from flows.erasing import carry_out
from flows.shielding import shielded
from flows.steps import step
from models.schema.errors import Refused


@flow(name="erase", persist_result=False, log_prints=False, retries=0, validate_parameters=True)
def erase(order: str) -> str:
    """Carry an order out; returns its state, or the word for what it waits for, as `held`.

    An event only wakes this: a hold in force is no failure, and an order that is done stays as it
    is. What fails here is taken up again by the sweep.
    """
    return carried_out(order)


@step
@shielded
def carried_out(order: str) -> str:
    """The order's state afterwards."""
    try:
        return carry_out(order).order.state.value
    except Refused as refused:
        return refused.reason
