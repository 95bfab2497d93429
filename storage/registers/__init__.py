"""What is on record: people, consents, uploads, and whatever else is decided or asked for.

One register a file. Each writes ledger entry and rows in one transaction, and none touches bytes:
these go through the door alone.
"""
