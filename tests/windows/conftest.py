"""A simulated PC on the network, in a stack of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.containers import Containers, containers
from tests.windows import patient as patients
from tests.windows.home import Home, home
from tests.windows.model.fresh import fresh


@pytest.fixture(scope="module")
def at_hand(host_image: str) -> Iterator[Containers]:
    """Containers of this module, gone at its end."""
    with containers(host_image) as made:
        yield made


@pytest.fixture(scope="module")
def fresh_home(at_hand: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A fresh Windows 11 Home after the bootstrap, registered, and nothing more."""
    entry: dict[str, Any] = {
        "allow_reboot": True,
        "environments": ["starter"],
        "services": ["jupyter"],
        "allow_from": "192.168.1.0/24",
    }
    with home(tmp_path_factory.mktemp("project"), at_hand, fresh(), **entry) as made:
        yield made


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> patients.Patient:
    """A PC as site.yml leaves it, without any network."""
    return patients.at_hand(tmp_path, monkeypatch)
