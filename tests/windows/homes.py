"""A simulated PC on which WSL was set up already, for tests of what comes after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.windows.model import network, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine

NAME = "Ubuntu-24.04"

VARIABLES: dict[str, Any] = {"win_distribution_name": NAME, "win_keeper_distribution": NAME}

LAPTOP, STRANGER = "192.168.1.20", "203.0.113.9"
"""Addresses in the PC's network and elsewhere."""


@dataclass(slots=True)
class Quiet:
    """A Linux that tells its address and nothing more. listening: its ports. An old WSL does not tell its mode."""

    machine: Machine | None = None
    listening: list[int] = field(default_factory=lambda: [2222])
    silent: bool = False
    tells_mode: bool = True

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def create(self) -> None: ...
    def destroy(self) -> None: ...

    def run(self, script: str, arguments: list[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        if self.machine is None or self.silent:
            return 1, b"", b"nothing here"
        mode = "mirrored" if network.mirrored(self.machine) else "nat"
        lines = [f"address={network.guest_address(self.machine)}", "end=1", ""]
        lines[:0] = [f"networking_mode={mode}"] if self.tells_mode else []
        return 0, "\n".join(lines).encode(), b""


def home(**changes: Any) -> Machine:
    """A PC whose WSL runs, with one distribution. changes: of the PC's data."""
    linux = Quiet()
    machine = Machine(fresh(hypervisor=True, hypervisor_launch="auto", **changes), {NAME: linux})
    linux.machine = machine
    data = machine.data
    data["features"]["VirtualMachinePlatform"] = "enabled"
    data["services"] |= {name: {"state": "running", "start": "manual"} for name in ("vmcompute", "hns")}
    data["services"]["WSLService"] = {"state": "running", "start": "auto"}
    data["wsl"]["version"] = "2.6.3"
    machine.registry(wsl_vm.MSI)["InstallLocation"] = "C:\\Program Files\\WSL\\"
    wsl_vm.install(machine, NAME, "")
    wsl_vm.start(machine, NAME)
    return machine


def inside(machine: Machine) -> Quiet:
    """The Linux of such a PC."""
    found = machine.linux[NAME]
    assert isinstance(found, Quiet)
    return found
