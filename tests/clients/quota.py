"""How often a simulated vendor may be called: quotas for several windows of time, told in the headers RateLimit and RateLimit-Policy."""

from __future__ import annotations

import math

from gpurig import clock

WINDOWS = {"minute": (60, 60), "hour": (3000, 3600), "day": (50_000, 86_400)}
"""Calls that are allowed, and in how many seconds; RunPod's."""


class Quota:
    """Counts calls. Windows begin at fixed moments, all at the clock's zero."""

    def __init__(self) -> None:
        self._used = dict.fromkeys(WINDOWS, (-1, 0))

    def use(self) -> str:
        """Count a call; returns the name of a window that it is too many for, or nothing."""
        for name, (_, seconds) in WINDOWS.items():
            window, used = int(clock.monotonic() // seconds), self._used[name]
            self._used[name] = (window, used[1] + 1 if used[0] == window else 1)
        return next((name for name, (quota, _) in WINDOWS.items() if self._used[name][1] > quota), "")

    def left(self, name: str) -> int:
        """Seconds until a window ends."""
        seconds = WINDOWS[name][1]
        return math.ceil(seconds - clock.monotonic() % seconds)

    def headers(self) -> dict[str, str]:
        """As the draft of the IETF on RateLimit headers has them."""
        left = (
            f'"{name}";r={max(0, quota - self._used[name][1])};t={self.left(name)}'
            for name, (quota, _) in WINDOWS.items()
        )
        policy = (f'"{name}";q={quota};w={seconds}' for name, (quota, seconds) in WINDOWS.items())
        return {"RateLimit": ", ".join(left), "RateLimit-Policy": ", ".join(policy)}
