"""Pace: calls to a vendor are kept as far apart as it asks for, for all threads of this process.

What it asks for is written in its client; where its answers tell how many calls are left, that counts too, since other programs may
use the same account.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gpurig import clock

RESERVE = 0.1
"""The part of a vendor's allowance that is spread over the time until there is more; before, calls are as fast as its client says."""

LONGEST_PAUSE = 60.0
"""Seconds; the most that is waited because of what an answer said. Then the vendor is asked again, and says what holds now."""

_LEFT = re.compile(r'"?(?P<name>[\w-]+)"?;r=(?P<left>\d+);t=(?P<seconds>\d+)')
_POLICY = re.compile(r'"?(?P<name>[\w-]+)"?;q=(?P<calls>\d+)')


@dataclass(slots=True)
class Pace:
    """Calls of one kind. taken: their moments, in order. apart: seconds between two of them until a moment, by the vendor's answers."""

    taken: list[float] = field(default_factory=list)
    closed_until: float = 0.0
    apart: float = 0.0
    apart_until: float = 0.0

    def seconds(self, usual: float) -> float:
        """Least seconds between two calls now."""
        return max(usual, self.apart) if clock.monotonic() < self.apart_until else usual

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
        kinds = {name: _PACES.setdefault((vendor, name), Pace()) for name in {"", kind} & set(every)}
        paces = [(pace, pace.seconds(every[name])) for name, pace in kinds.items()]
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


def heed(vendor: str, headers: Mapping[str, str]) -> None:
    """Keep to what an answer's headers say of the calls that are left."""
    told = [(seconds / max(left, 1), seconds) for calls, left, seconds in _told(headers) if left < RESERVE * calls]
    apart, lasts = max(told, default=(0.0, 0.0))
    with _LOCK:
        pace = _PACES.setdefault((vendor, ""), Pace())
        pace.apart, pace.apart_until = min(apart, LONGEST_PAUSE), clock.monotonic() + lasts


def _told(headers: Mapping[str, str]) -> Iterator[tuple[int, int, float]]:
    """Calls that are allowed in some window of time, calls that are left, and seconds until there are more.

    In either of two forms: ratelimit-limit, -remaining and -reset, a Unix time, as DigitalOcean has them; RateLimit and
    RateLimit-Policy as an IETF draft and RunPod do. Whatever else a header says is passed over.
    """
    limit, left, reset = (headers.get(f"ratelimit-{name}", "") for name in ("limit", "remaining", "reset"))
    if limit.isdecimal() and left.isdecimal() and reset.isdecimal():
        yield int(limit), int(left), max(0.0, int(reset) - clock.now().timestamp())
    policy = {found["name"]: int(found["calls"]) for found in _POLICY.finditer(headers.get("ratelimit-policy", ""))}
    for found in _LEFT.finditer(headers.get("ratelimit", "")):
        if found["name"] in policy:
            yield policy[found["name"]], int(found["left"]), float(found["seconds"])
