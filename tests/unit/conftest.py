"""A stack of its own for each test, and a provider that exists in memory only."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpurig import providers, reach, settle
from gpurig.stack import Stack
from tests.unit.simulated import Cloud, MemorySpec


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """An empty stack `test` of project `unit` in a folder of its own."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: unit\nruntime: python\n")
    home = tmp_path / "home"
    monkeypatch.setenv("GPURIG_HOME", str(home))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    monkeypatch.delenv("GPURIG_STACK", raising=False)
    monkeypatch.chdir(root)
    return Stack(project="unit", name="test", root=root, home=home)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The in-memory provider, registered as `memory`; its hosts count as reachable."""
    made = Cloud()
    monkeypatch.setitem(providers.REGISTRY, "memory", "nowhere")
    monkeypatch.setattr(providers, "provider", lambda name: made)
    monkeypatch.setattr(providers, "spec_class", lambda name: MemorySpec)
    monkeypatch.setattr(reach, "wait", lambda *_, **__: None)
    monkeypatch.setattr(settle, "END_SECONDS", 5.0)
    return made
