"""Receipts of erasures, as people are given them."""
