"""Whether a GPU is what was paid for: a recording of what a machine says and thresholds go in, findings come out.

Nothing here runs anything on a host; tests/verify gathers the recording, and a recorded file can take a host's place.
"""
