"""Time passes on the simulated PC: tasks start and look around, and WSL goes idle where nobody holds it."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta

from tests.windows.model import keeper, scheduler, wsl_vm
from tests.windows.model.pc import Machine


def advance(machine: Machine, minutes: int) -> None:
    """So many minutes pass."""
    for _ in range(minutes):
        now = datetime.fromisoformat(machine.data["now"]) + timedelta(minutes=1)
        machine.data["now"] = now.isoformat()
        for path, task in list(machine.data["tasks"].items()):
            if task["state"] == "running":
                scheduler.ended(task, keeper.tick(machine))
            elif scheduler.enabled(machine, path) and scheduler.due(machine, path):
                scheduler.start(machine, path)
        _idle(machine)


def _idle(machine: Machine) -> None:
    """WSL ends a distribution 15 s after its last program that came through wsl.exe, unless told otherwise."""
    config = machine.data["files"].get(f"{machine.user['profile']}\\.wslconfig", "")
    text = base64.b64decode(config).decode(errors="replace").lower()
    if re.search(r"^\s*instanceidletimeout\s*=\s*-\d", text, re.MULTILINE) or keeper.holds(machine):
        return
    wsl_vm.shutdown(machine)
