"""Measurements: each prints ratios against a peer or a limit, taken in one run. Never timed tests."""
