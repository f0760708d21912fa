"""The embedded towns: simulated places to drive in. They are not reality, and pages that score them say so."""
