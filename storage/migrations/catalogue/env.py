"""Alembic's entry: runs on the connection that the caller's transaction holds."""

from __future__ import annotations

from alembic import context

from storage.catalogue import decisions, freezes, objects, people, runs, uploads  # noqa: F401
from storage.catalogue.metadata import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    version_table="catalogue_version",
)
context.run_migrations()
