"""What a person may ask for: reading everything that is held about them (Policy P16)."""
