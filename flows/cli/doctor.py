"""`likeness doctor`: what is installed, what answers, what is missing and how to get it."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.answers import Answer, Json, answering


def add_to(application: typer.Typer) -> None:
    """Register the command."""
    application.command("doctor")(doctor)


@answering
def doctor(
    repair: Annotated[
        bool, typer.Option("--fix", help="Make the home and pull the default weights.")
    ] = False,
    deployment: Annotated[
        bool, typer.Option("--deployment", help="Demand what a deployment needs: a Prefect server.")
    ] = False,
    json_output: Json = False,
) -> Answer:
    """Check programs, packages, weights, device, stores and services; exits 5 when one is missing.

    Example: likeness doctor --fix
    """
    from flows.inspection import Check, fix, inspect
    from flows.opening import storage
    from flows.settings import settings

    if repair:
        fix(settings())

    def open_and_ask() -> None:
        house = storage()
        house.catalogue.check()
        house.keys.database.check()
        house.store.check()

    checks = list(inspect(settings(), open_and_ask, for_deployment=deployment))
    missing = [check for check in checks if not check.ok and check.needed]

    def line(check: Check) -> str:
        mark = "ok" if check.ok else ("MISSING" if check.needed else "absent")
        remedy = f"  -> {check.remedy}" if check.remedy and not check.ok else ""
        return f"{mark:<8} {check.name:<26} {check.found}{remedy}"

    return Answer(
        {"ok": not missing, "checks": [vars(check) for check in checks]},
        lines=[line(check) for check in checks],
        exit_code=5 if missing else 0,
    )
