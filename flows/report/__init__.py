"""The page that tells a person what became of one upload."""
