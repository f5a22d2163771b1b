"""The same product on all devices for minutes: steady heat, and bits that must not change."""

from __future__ import annotations

import time
from typing import Any

from gpurig.health.probes import apart, torch_numbers, torch_speed

BATCH = 20
"""Products between two looks at the clock."""

SAMPLE_SECONDS, SAMPLES_MOST = 10.0, 60


def samples(seconds: float) -> tuple[float, int]:
    """Seconds between nvidia-smi's answers, and how many of them, over a burn."""
    count = max(torch_speed.SAMPLES, min(SAMPLES_MOST, int(seconds / SAMPLE_SECONDS)))
    return seconds / (count + 1), count


def look(tell: apart.Tell, torch: Any, device: dict[str, Any], kind: str, seconds: float, *, flip: bool) -> None:
    """Multiply, and compare every result with the first one, bit by bit."""
    place = torch_numbers.place_of(torch, kind, device["index"])
    tell(step="the burn")
    _, left, right = torch_speed.factors(torch, place, device)
    work = 2 * left.shape[0] ** 3 / 1e12
    first = (left @ right).view(torch.int16)
    out, different = torch.empty_like(left), torch.zeros((), dtype=torch.int64, device=place)
    torch_speed.wait(torch, place)
    begin = time.monotonic()
    ends: list[float] = []
    while not ends or ends[-1] < seconds:
        for _ in range(BATCH):
            torch.matmul(left, right, out=out)
            if flip and not ends:
                out.view(torch.int16).view(-1)[out.numel() // 3] ^= 1
                flip = False
            different += (out.view(torch.int16) != first).any()
        torch_speed.wait(torch, place)
        ends.append(time.monotonic() - begin)
        if len(ends) % 50 == 0:
            tell(times=BATCH * len(ends), different=int(different))
    tell(
        times=BATCH * len(ends),
        different=int(different),
        first=round(rate(ends, 0, seconds / 3) * work, 3),
        last=round(rate(ends, 2 * seconds / 3, ends[-1]) * work, 3),
    )


def rate(ends: list[float], since: float, until: float) -> float:
    """Products per second within a part of the time."""
    inside = [end for end in ends if since <= end <= until]
    if len(inside) < 2:  # noqa: PLR2004 (a rate needs two times)
        return BATCH * len(ends) / ends[-1]
    return BATCH * (len(inside) - 1) / (inside[-1] - inside[0])
