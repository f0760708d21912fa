"""Who drives the ego: its vehicle, the expert, the safety driver, and what they see."""
