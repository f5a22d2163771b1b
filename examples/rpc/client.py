# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2"]
# ///
"""Multiplies two matrices on a host, checks the product here, and measures what a call costs: uv run client.py HOST [CALLS]."""

import json
import statistics
import sys
import time

import numpy as np
from remote import Remote, RemoteError

FEWEST = 2
"""Calls that a median can be told of."""


def main() -> None:
    if not sys.argv[1:]:
        sys.exit("Which host? Write `uv run examples/rpc/client.py HOST`, in the project's folder.")
    host, given, *_ = [*sys.argv[1:], "500"]
    calls = int(given) if given.isdecimal() else 0
    if calls < FEWEST:
        sys.exit(f"CALLS: found {given!r}: write a whole number, {FEWEST} or more.")
    command = json.loads(host) if host.startswith("[") else ()  # a list of words, as tests give it
    try:
        with Remote(host, command) as gpu:
            print(json.dumps({**product(gpu), **latency(gpu, calls), **bandwidth(gpu)}))
    except RemoteError as error:
        sys.exit(f"{host}: {error}")


def product(gpu: Remote) -> dict[str, float]:
    """Largest difference between a product computed there and here."""
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((256, 256), dtype=np.float32) for _ in range(2))
    return {"largest_difference": float(np.abs(gpu.call("matmul", left, right) - left @ right).max())}


def latency(gpu: Remote, calls: int) -> dict[str, float]:
    """Microseconds of a call with one number."""
    number, taken = np.zeros(1, dtype=np.float32), []
    for _ in range(calls):
        started = time.perf_counter()
        gpu.call("echo", number)
        taken.append((time.perf_counter() - started) * 1e6)
    parts = statistics.quantiles(taken, n=100)
    return {"calls": calls, "p50_us": round(parts[49], 1), "p99_us": round(parts[98], 1)}


def bandwidth(gpu: Remote) -> dict[str, float]:
    """GB/s of 64 MB that go there and come back."""
    block = np.zeros(16_000_000, dtype=np.float32)
    started = time.perf_counter()
    gpu.call("echo", block)
    return {"round_trip_gb_per_s": round(2 * block.nbytes / (time.perf_counter() - started) / 1e9, 3)}


if __name__ == "__main__":
    main()
