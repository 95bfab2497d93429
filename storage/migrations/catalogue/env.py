"""Alembic's entry: runs on the connection that the caller's transaction holds."""

from __future__ import annotations

from alembic import context

from storage.catalogue import (  # noqa: F401
    artefacts,
    avatars,
    challenges,
    decisions,
    disclosures,
    erasures,
    freezes,
    holds,
    house,
    objects,
    orders,
    people,
    policies,
    requests,
    runs,
    snapshots,
    uploads,
)
from storage.catalogue.metadata import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    version_table="catalogue_version",
)
context.run_migrations()
