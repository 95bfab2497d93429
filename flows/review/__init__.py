"""Whose voice, whose face: what a reviewer is told, may look at, and decides (invariant 11)."""
