"""Pace: calls to a vendor are kept as far apart as it asks for, for all threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpurig import clock


@dataclass(slots=True)
class Pace:
    """Calls of one kind. taken: their moments, in order."""

    taken: list[float] = field(default_factory=list)
    closed_until: float = 0.0

    def free(self, earliest: float, seconds: float) -> float:
        """The first moment from `earliest` on that is that many seconds away from every other call."""
        place = max(earliest, self.closed_until)
        for other in self.taken:
            if place + seconds <= other:
                break
            place = max(place, other + seconds)
        return place

    def take(self, place: float, seconds: float) -> None:
        """Take a moment; forget those that have passed."""
        passed = clock.monotonic() - seconds
        self.taken = sorted([place, *(other for other in self.taken if other > passed)])


_PACES: dict[tuple[str, str], Pace] = {}
_LOCK = threading.Lock()


def claim(vendor: str, kind: str, every: Mapping[str, float]) -> float:
    """Take the first moment that is free for calls of this kind, and for calls at all. Returns the seconds to there.

    every: least seconds between two calls of a kind, by the kind's name; `""` is for all calls. A call that waits for its kind
    holds up no other: its moment is its own for both, and the time before it stays free.
    """
    with _LOCK:
        paces = [(_PACES.setdefault((vendor, name), Pace()), every[name]) for name in {"", kind} & set(every)]
        now = place = clock.monotonic()
        while any(pace.free(place, seconds) > place for pace, seconds in paces):
            place = max(pace.free(place, seconds) for pace, seconds in paces)
        for pace, seconds in paces:
            pace.take(place, seconds)
    return place - now


def close(vendor: str, seconds: float) -> None:
    """Nobody who asks from now on calls this vendor before that many seconds have passed."""
    with _LOCK:
        pace = _PACES.setdefault((vendor, ""), Pace())
        pace.closed_until = max(pace.closed_until, clock.monotonic() + seconds)
