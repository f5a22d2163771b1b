"""Lets gpurig's clock, and the simulated vendors', run faster than time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from gpurig import clock
from gpurig.providers import pace

CENTURY = 3e9
"""Seconds; dates beyond cannot be told."""


def faster(replace: Callable[[Any, str, Any], object], times: float) -> None:
    """Speed the clock up in this process. replace: sets an attribute, as monkeypatch.setattr does.

    Moments that were taken for calls under another clock are forgotten: on this one they may lie years ahead.
    """
    replace(clock, "sleep", lambda seconds: time.sleep(seconds / times))
    replace(clock, "pause", lambda seconds: asyncio.sleep(seconds / times))
    replace(clock, "monotonic", lambda: time.monotonic() * times)
    replace(clock, "now", lambda: datetime.fromtimestamp(time.monotonic() * times % CENTURY, UTC))
    replace(pace, "_PACES", {})
