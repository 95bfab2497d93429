"""The catalogue: what exists, whose it is and what was decided. A file a group of tables."""
