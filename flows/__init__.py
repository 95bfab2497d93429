"""What runs. A flow reads top to bottom like the sentence that describes it."""
