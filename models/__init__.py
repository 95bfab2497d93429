"""What is known and what is learned. Knows nothing of the rooms above it."""
