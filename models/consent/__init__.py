"""The decision about consent: facts, laws, reasons."""
