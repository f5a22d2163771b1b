"""Several GPUs together: one process each adds up a large tensor over all of them (all-reduce), and checks every element."""

from __future__ import annotations

import os
import time
from typing import Any

from gpurig.health.probes import apart, torch_numbers, torch_speed

BYTES = {"cuda": 1 << 30, "cpu": 4 << 20}
FREE = 2 << 30
"""Bytes of a GPU's memory that this needs at most."""

RUNS = 5
PERIOD = 1021
"""Element i holds (i mod PERIOD) · (rank + 1): sums stay exact in fp32, and an element in the wrong place shows."""

PART = PERIOD << 14
"""Elements that are checked at once: whole periods."""


def rank(tell: apart.Tell, torch: Any, number: int, count: int, kind: str, meeting: str, *, flip: bool) -> None:
    """One process of the all-reduce. meeting: path of a new file in which they find each other."""
    place = torch_numbers.place_of(torch, kind, number)
    os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")  # they meet on this machine, and listen nowhere else
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    elements = BYTES[kind] // 4
    tell(step="meeting the others")
    torch.distributed.init_process_group(
        "nccl" if kind == "cuda" else "gloo", init_method=f"file://{meeting}", rank=number, world_size=count
    )
    pattern = torch.arange(PERIOD, device=place, dtype=torch.float32).repeat(PART // PERIOD)
    values = torch.empty(elements, device=place, dtype=torch.float32)
    times, wrong = [], 0
    for turn in range(RUNS + 1):
        fill(values, pattern, number + 1)
        tell(step=f"all-reduce {turn + 1} of {RUNS + 1}")
        torch.distributed.barrier()
        torch_speed.wait(torch, place)
        begin = time.perf_counter()
        torch.distributed.all_reduce(values)
        torch_speed.wait(torch, place)
        times.append(time.perf_counter() - begin)
        if flip and number == 0 and turn == RUNS:
            torch_numbers.spoil(values, 1)
        wrong += check(values, pattern, count * (count + 1) // 2)
    bus = 2 * (count - 1) / count * elements * 4 / torch_speed.GB
    tell(elements=elements, bytes=elements * 4, wrong=wrong, **torch_speed.rates(times[1:], bus))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def fill(values: Any, pattern: Any, factor: int) -> None:
    """Write the pattern, times a factor."""
    for part in values.split(PART):
        part.copy_(pattern[: len(part)]).mul_(factor)


def check(values: Any, pattern: Any, factor: int) -> int:
    """How many elements are not what the sum must be."""
    return sum(int((part != pattern[: len(part)] * factor).sum()) for part in values.split(PART))


def peers(torch: Any, count: int) -> list[list[int]]:
    """Pairs of GPUs that reach each other's memory directly."""
    return [[a, b] for a in range(count) for b in range(a + 1, count) if torch.cuda.can_device_access_peer(a, b)]
