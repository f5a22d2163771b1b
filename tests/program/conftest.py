"""What every test of the Pulumi program needs."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture(autouse=True)
def event_loop() -> None:
    """Pulumi's mocks ask for the thread's event loop, which is gone where another test has called asyncio.run before."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
