"""Geometry of the report's plots: numbers in, path strings and percentages out, no markup."""
