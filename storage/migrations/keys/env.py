"""Alembic's entry: runs on the connection that the caller's transaction holds."""

from __future__ import annotations

from alembic import context

from storage import recorded_erasures  # noqa: F401
from storage.key_store import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    version_table="keys_version",
)
context.run_migrations()
