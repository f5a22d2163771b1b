"""Time, in one place: waiting, and what o'clock it is. Tests let it pass faster."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The time of day, with its zone (UTC)."""
    return datetime.fromtimestamp(time.time(), UTC)


def monotonic() -> float:
    """Seconds since some moment; never goes back."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


async def pause(seconds: float) -> None:
    """Wait, and let others go on meanwhile."""
    import asyncio

    await asyncio.sleep(seconds)
