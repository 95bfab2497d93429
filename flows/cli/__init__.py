"""The `likeness` command, one file a noun.

Only `application` knows all nouns. Heavy libraries are imported inside the commands that need them,
so that `consent`, `subject` and `upload` answer in under a second.
"""
