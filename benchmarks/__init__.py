"""Benchmarks: speed and driving, measured as ratios to a named peer or limit in the same run."""
