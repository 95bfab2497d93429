"""Face features: found, followed, measured, recognised, and what they suffice for."""
