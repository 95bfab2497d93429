"""Contracts between the rooms."""
