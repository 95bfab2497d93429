"""Erasure: orders, their plans, carrying them out, verifying, and the receipt (invariants 5, 6)."""
