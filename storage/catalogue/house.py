"""What the catalogue states about the house it belongs to."""

from __future__ import annotations

from sqlalchemy import Column, Connection, String, Table, insert, select

from storage.catalogue.metadata import METADATA

HOUSE = Table(
    "house",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
)

_REGION = "region"


def stated_region(connection: Connection) -> str | None:
    """The jurisdiction that everything in this catalogue belongs to; None before the first use."""
    return connection.execute(select(HOUSE.c.value).where(HOUSE.c.name == _REGION)).scalar()


def state_region(connection: Connection, region: str) -> None:
    """State the jurisdiction; once."""
    connection.execute(insert(HOUSE).values(name=_REGION, value=region))
