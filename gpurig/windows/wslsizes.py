"""How much of a PC WSL gets where nobody says."""

from __future__ import annotations

GIB = 2**30

WINDOWS_LEAST = 8
"""GB that Windows keeps: it, its desktop and a browser; with less it pages, and WSL with it."""

WINDOWS_PROCESSORS = 2
"""Left to Windows, so that its sshd, the port proxy and the keeper answer while every processor of WSL is busy."""

SMALL = 4
"""Up to so many processors, all are WSL's."""


def computed(memory: int, processors: int, given: int | None = None) -> dict[str, int]:
    """memory and swap in GB, and processors, of a PC with so many bytes and logical processors. given: memory that was asked for.

    Windows keeps a quarter of the memory and at least 8 GB, but never more than half, which is WSL's own rule. WSL gets the rest, rather
    than the half that it would take, since pinned memory and data loading are limited by it (NVIDIA, CUDA on WSL: pinned memory).
    Swap is a quarter of WSL's memory, rounded up, as WSL itself does it. All processors but two; on a small PC all.
    """
    total = memory / GIB
    ours = int(max(total / 2, total - max(WINDOWS_LEAST, total / 4))) or 1
    swap = -(-(given or ours) // 4)
    return {
        "memory": ours,
        "swap": swap,
        "processors": processors - WINDOWS_PROCESSORS if processors > SMALL else processors,
    }
