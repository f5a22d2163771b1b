"""One listing for all who ask at the same time: ten hosts that wait for their machines cost a vendor no more calls than one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from gpurig import clock
from gpurig.providers import Machine


@dataclass(slots=True)
class _Latest:
    """A vendor's newest listing. started: when it was begun, by gpurig.clock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    started: float = float("-inf")
    machines: list[Machine] = field(default_factory=list)


_LATEST: dict[str, _Latest] = {}
_LOCK = threading.Lock()


def shared(vendor: str, ask: Callable[[], list[Machine]]) -> list[Machine]:
    """A listing that was begun after this call: one that somebody else began meanwhile, else `ask`'s. Raises what `ask` raises."""
    wanted_since = clock.monotonic()
    with _LOCK:
        latest = _LATEST.setdefault(vendor, _Latest())
    with latest.lock:
        if latest.started <= wanted_since:
            started = clock.monotonic()
            latest.machines = ask()
            latest.started = started
        return latest.machines
