"""What verification asks of the Linux within a Windows PC, where the answer would be another on a machine of its own."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpurig import verification
from gpurig.host import Capabilities, Endpoint, Guest
from gpurig.stack import Stack
from tests.unit.simulated import HOST_KEY
from tests.unit.test_verification import host

LINUX = Capabilities(init="systemd", kernel="own", gpu_driver="windows", privilege="sudo", can_stop=False)


class Notes:
    """A check that notes its verdicts."""

    def __init__(self) -> None:
        self.said: dict[str, tuple[str, str]] = {}

    def __call__(self, name: str, verdict: str, *, reason: str, **_: object) -> None:
        self.said[name] = (verdict, reason)

    def skip(self, name: str, reason: str) -> None:
        self.said[name] = ("SKIP", reason)


class Silent:
    """A Linux without systemd-timesyncd."""

    def run(self, command: str) -> Any:
        return type("Done", (), {"stdout": "no\n"})


def checks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_base", verification.CHECKS / "test_base.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("windows", "verdict"), [(True, "SKIP"), (False, "WARN")])
def test_who_keeps_the_clock_is_known_only_where_no_windows_is_around(
    tmp_path: Path, *, windows: bool, verdict: str
) -> None:
    stack = Stack(project="unit", name="test", root=tmp_path, home=tmp_path)
    endpoint = Endpoint(address="127.0.0.1", port=2222, user="me", host_key=HOST_KEY)
    guest = Guest(name="home-wsl", endpoint=endpoint, capabilities=LINUX) if windows else None
    made = replace(host("home"), guest=guest, capabilities=LINUX)
    notes = Notes()
    checks().test_clock_is_kept(verification.Target(stack, made, "home-wsl", endpoint, LINUX), Silent(), notes)
    assert notes.said["clock is kept right"][0] == verdict
