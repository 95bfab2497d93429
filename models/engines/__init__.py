"""Engines: whoever learns a voice or a face and speaks with it, behind one contract."""
