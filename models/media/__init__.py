"""Untrusted files, probed and decoded inside limits."""
