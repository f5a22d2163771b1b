"""A stack of its own for each test, and time that passes a thousand times faster."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpurig import acceptance, reach
from gpurig.stack import Stack
from tests.clients.commands import rig, vast  # noqa: F401 (fixtures)
from tests.clients.fake import GOOD_KEY
from tests.clients.time import faster


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch.setattr, 1000)
    for name in ("VAST_API_KEY", "RUNPOD_API_KEY", "LAMBDA_API_KEY", "DIGITALOCEAN_TOKEN", "PAPERSPACE_API_KEY"):
        monkeypatch.setenv(name, GOOD_KEY)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """An empty stack `test` of project `unit`; its rented hosts count as reachable, and as what was paid for."""
    monkeypatch.setattr(reach, "wait", lambda *_, **__: None)
    monkeypatch.setattr(acceptance, "check", lambda *_, **__: None)
    return Stack(project="unit", name="test", root=tmp_path, home=tmp_path / "home")
