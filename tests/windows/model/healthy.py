"""A PC as it is after site.yml, some minutes later: nothing is wrong with it."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gpurig.providers.workstation.windows import WindowsSpec
from gpurig.windows import wire, wslconfig, wslkeys
from tests.windows.model import clock, network
from tests.windows.model.fresh import fresh
from tests.windows.model.linux import SimulatedLinux
from tests.windows.model.linux_scripts import simulates
from tests.windows.model.pc import Machine
from tests.windows.rounds import converge

NAME = "Ubuntu-24.04"

TOPICS = ("wsl", "distribution", "linux", "wslconfig", "keeper", "network", "power")

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@laptop"

SMI = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 580.105.07             Driver Version: 581.57         CUDA Version: 13.0     |
+-----------------------------------------------------------------------------------------+
"""


@simulates("nvidia_smi")
def nvidia_smi(data: dict[str, Any], stdin: bytes) -> None:
    data["files"].setdefault("/usr/local/bin/nvidia-smi", "-> /usr/lib/wsl/lib/nvidia-smi")


def configured(machine: Machine) -> dict[str, str]:
    """What .wslconfig says: `section.key` → value."""
    held = machine.data["files"].get(f"{machine.user['profile']}\\.wslconfig", "")
    return dict(wslconfig.parse(wire.decoded(base64.b64decode(held))))


def sizes(machine: Machine, found: Mapping[str, str]) -> dict[str, int]:
    """How large WSL makes its VM by that file."""
    data = machine.data

    def size(key: str, default: int) -> int:
        value = wslkeys.meaning(f"wsl2.{key}", found.get(f"wsl2.{key}", ""))
        return value if isinstance(value, int) else default

    return {
        "nproc": min(size("processors", data["processors"]) or data["processors"], data["processors"]),
        "memory_bytes": int(0.98 * min(size("memory", data["memory"] // 2), data["memory"])),
        "swap_bytes": size("swap", data["memory"] // 8),
    }


@simulates("clock")
def clock_set(data: dict[str, Any], stdin: bytes) -> None:
    data["behind"] = 0


class GpuLinux(SimulatedLinux):
    """A Linux on that PC: it has the GPU, Windows' clock, and what .wslconfig said when its VM started."""

    machine: Machine
    deaf = False
    """Its network is dead, until it starts anew."""

    def start(self) -> None:
        super().start()
        found = configured(self.machine)
        data = self.machine.data
        data.setdefault("symptoms", {})["session"] = data["login"]["session"]
        self.deaf = data["services"]["SharedAccess"]["start"] == "disabled"
        self.machine.data["wsl"]["networking"] = self._mode(found.get("wsl2.networkingMode", "nat").lower())
        self._made()["facts"] |= {
            **sizes(self.machine, found),
            "networking_mode": self.machine.data["wsl"]["networking"],
            "docker": "",
            **self._gpu(),
        }

    def run(self, script: str, arguments: list[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        now = int(datetime.fromisoformat(self.machine.data["now"]).timestamp())
        self._made()["facts"] |= {"clock": now - self._made().get("behind", 0), "dns_ok": int(not self.deaf)}
        if "address" not in self.changes:
            self._made()["facts"]["address"] = network.guest_address(self.machine)
        return super().run(script, arguments, stdin)

    def _mode(self, wanted: str) -> str:
        return wanted if wanted != "mirrored" or self.machine.data["build"] >= network.HYPERV_BUILD else "nat"

    def _gpu(self) -> dict[str, Any]:
        return {
            "dxg": 1,
            "libcuda": "/usr/lib/wsl/lib/libcuda.so.1",
            "nvidia_smi_path": "/usr/lib/wsl/lib/nvidia-smi",
            "nvidia_smi_code": 0,
            "nvidia_smi_out": base64.b64encode(SMI.encode()).decode(),
            "disk_size_bytes": 1000 * 2**30,
            "disk_free_bytes": 900 * 2**30,
        }


def variables(**entry: Any) -> dict[str, Any]:
    """The host's variables, as its record has them. entry: further keys of its entry in the stack's file."""
    given = {"provider": "workstation", "os": "windows-wsl2", "address": "192.168.1.50", "user": "me", **entry}
    spec = WindowsSpec.model_validate(given)
    return {**spec.host_variables(), "win_linux_public_key": KEY, "win_linux_host_key": ""}


def healthy(**entry: Any) -> Machine:
    """The PC. entry: as of `variables`."""
    key = repr(sorted(entry.items()))
    if key not in _MADE:
        _MADE[key] = _made(entry)
    return copy.deepcopy(_MADE[key])


_MADE: dict[str, Machine] = {}


def _made(entry: dict[str, Any]) -> Machine:
    linux = GpuLinux()
    machine = Machine(fresh(), linux={NAME: linux})
    linux.machine = machine
    for topic in TOPICS:
        converge(machine, topic, variables(**entry))
    clock.advance(machine, 3)
    return machine
