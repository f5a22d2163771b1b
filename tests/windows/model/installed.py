"""A PC on which WSL and a distribution are installed already, and nothing of the rest."""

from __future__ import annotations

import base64
from typing import Any

from tests.windows.model import wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.linux import SimulatedLinux
from tests.windows.model.pc import Linux, Machine

NAME = "Ubuntu-24.04"


def installed(linux: Linux | None = None, **changes: Any) -> Machine:
    """changes: top-level entries of the PC's data; its wslconfig is the text of the user's .wslconfig."""
    config = changes.pop("wslconfig", None)
    machine = Machine(fresh(**changes), {NAME: SimulatedLinux() if linux is None else linux})
    machine.data["features"]["VirtualMachinePlatform"] = "enabled"
    machine.data["hypervisor"] = True
    machine.data["wsl"]["version"] = machine.data["wsl"]["version"] or "2.6.3.0"
    machine.data["services"]["WSLService"] = {"state": "running", "start": "auto"}
    wsl_vm.install(machine, NAME, "")
    if config is not None:
        write(machine, config)
    return machine


def write(machine: Machine, config: str) -> None:
    """The user writes .wslconfig by hand."""
    machine.data["files"][path(machine)] = base64.b64encode(config.encode()).decode()


def text(machine: Machine) -> str:
    """What .wslconfig says now; empty where it is not there."""
    return base64.b64decode(machine.data["files"].get(path(machine), "")).decode()


def path(machine: Machine) -> str:
    """Of .wslconfig."""
    return f"{machine.user['profile']}\\.wslconfig"
