"""One deployment per jurisdiction: a store states its region and refuses another (Policy P13)."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from models.schema.errors import Refused
from storage.catalogue.house import state_region, stated_region
from storage.database import Database


def claim(catalogue: Database, region: str) -> None:
    """State the region of a new catalogue; raises Refused where another region is stated.

    Every worker calls this before it touches anything, so none of another region ever reads.
    """
    with catalogue.reading() as connection:
        stated = stated_region(connection)
    if stated is None:
        stated = _state(catalogue, region)
    if stated != region:
        raise Refused(
            f"What is stored here belongs to region '{stated}', and this worker serves '{region}'.",
            remedy="Use the deployment of the data's own region, or correct LIKENESS_REGION. Data "
            "leaves its region only as a disclosure (Policy P13).",
            code="other_region",
        )


def _state(catalogue: Database, region: str) -> str | None:
    """State the region; returns what is stated then, which another process may have done first."""
    try:
        with catalogue.writing() as writing:
            state_region(writing.connection, region)
    except IntegrityError:
        with catalogue.reading() as connection:
            return stated_region(connection)
    return region
