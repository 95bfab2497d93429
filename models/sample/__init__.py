"""A recording that a fresh machine makes by itself: a real portrait in motion, reading aloud."""

from models.sample.recording import make_sample

__all__ = ["make_sample"]
