"""The `likeness` command, one file a noun.

Only `application` knows all nouns. Heavy libraries are imported inside the commands that need them,
so that `consent`, `subject` and `upload` answer in under a second.
"""

import gc

# Collecting garbage while some hundred modules load takes a quarter of a short command's time, and
# finds nothing; `application.main` turns it on again.
gc.disable()
