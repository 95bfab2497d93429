"""Saying in plain words what a person agreed to, and what was done since, in English or Chinese."""
