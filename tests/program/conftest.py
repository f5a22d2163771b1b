"""What every test of the Pulumi program needs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def event_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pulumi's mocks ask for the thread's event loop, and make another one where asyncio.run has taken it away.

    All of them end with the test: Python would complain of an open one in whichever test comes later.
    """
    made: list[asyncio.AbstractEventLoop] = []
    new_event_loop = asyncio.new_event_loop

    def noted() -> asyncio.AbstractEventLoop:
        made.append(new_event_loop())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", noted)
    asyncio.set_event_loop(noted())
    yield
    asyncio.set_event_loop(None)
    for loop in made:
        loop.close()
