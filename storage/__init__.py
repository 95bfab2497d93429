"""What is kept, and the only way to it."""
