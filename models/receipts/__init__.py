"""Receipts of erasures: signed, checked, referred to."""
