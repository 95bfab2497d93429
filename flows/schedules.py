"""The flows that a schedule starts: the sweep, reconcile, retention.

They have no parameters and give back nothing but counts. A run that fails says in its message how
much failed; which order, `likeness erase status` says.
"""

from __future__ import annotations

from prefect import flow

from flows.opening import storage
from flows.settings import settings
from flows.shielding import shielded
from flows.steward.reconcile import reconcile_all
from flows.steward.retention import let_expire
from flows.steward.sweep import exit_code_of, sweep_orders
from models.schema.errors import LikenessError, ServiceUnavailable

_LATER = "The next sweep tries again; `likeness erase status` shows the orders."


@flow(name="sweep", persist_result=False, log_prints=False, retries=0)
@shielded
def sweep() -> int:
    """Carry out every order that is due, and raise the alarm before one is late.

    Returns how many were due. Fails, once all had their turn, where one could not be carried out.
    """
    swept = sweep_orders(storage())
    if swept.failed:
        kind = ServiceUnavailable if exit_code_of(swept.failed) == 4 else LikenessError
        reasons = ", ".join(sorted({each.error.reason for each in swept.failed}))
        raise kind(
            f"{len(swept.failed)} of {len(swept.orders)} orders could not be carried out "
            f"({reasons}).",
            remedy=_LATER,
        )
    return len(swept.orders)


@flow(name="reconcile", persist_result=False, log_prints=False, retries=0)
@shielded
def reconcile() -> int:
    """Put right what crashes left; returns how many things that were."""
    return reconcile_all(storage(), settings()).total


@flow(name="retention", persist_result=False, log_prints=False, retries=0)
@shielded
def retention() -> int:
    """Let go what has run out; returns how many things that were."""
    expired = let_expire(storage())
    return sum(count for name, count in vars(expired).items() if name != "held")
