"""The 32 ways in which the simulated PC can be broken, numbered as in gpurig/windows/failures/names.py."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gpurig.windows.failures import Link
from gpurig.windows.questions import TASK
from tests.windows.model import network, wsl_exe, wsl_vm
from tests.windows.model.fresh_sshd import ADMIN_KEYS
from tests.windows.model.healthy import NAME, GpuLinux
from tests.windows.model.pc import Machine
from tests.windows.model.twins_sshd import INHERITED

WELL = Link(ports={22: "open", 2222: "open"}, ssh="", guest="", smi="/usr/local/bin/nvidia-smi", cuda="0")
"""What the laptop sees of a PC that is well."""

LOST = replace(WELL, guest="channel 0: open failed: connect failed: Connection refused")
"""The way to the Linux inside is broken somewhere."""

Breaks = Callable[[Machine], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """breaks: what happens to the PC. entry: keys of the host's entry without which this cannot happen.

    companions: what is found besides, since one comes with the other. link: what the laptop sees then. mends: the actions that
    are offered repair it, so that nothing is found afterwards.
    """

    breaks: Breaks
    entry: tuple[tuple[str, Any], ...] = ()
    companions: frozenset[int] = frozenset()
    link: Link = WELL
    mends: bool = False


def linux(machine: Machine) -> GpuLinux:
    """The Linux of the PC."""
    found = machine.linux[NAME]
    assert isinstance(found, GpuLinux)
    return found


def told(machine: Machine, **facts: Any) -> None:
    """Let the distribution say these things of itself."""
    data = linux(machine).data
    assert data is not None
    data["facts"] |= facts


def late(machine: Machine, seconds: int) -> None:
    """The clock inside is behind."""
    data = linux(machine).data
    assert data is not None
    data["behind"] = seconds


def task(machine: Machine, element: str, value: str) -> None:
    """Change an element of the keeper's task."""
    found = machine.data["tasks"][TASK]
    found["xml"] = re.sub(rf"<{element}>[^<]*</{element}>", f"<{element}>{value}</{element}>", found["xml"])


def config(machine: Machine, change: Callable[[str], str]) -> None:
    """Edit .wslconfig, as its user does."""
    path = f"{machine.user['profile']}\\.wslconfig"
    text = base64.b64decode(machine.data["files"].get(path, "")).decode()
    machine.data["files"][path] = base64.b64encode(change(text).encode()).decode()


def stopped(machine: Machine) -> None:
    """WSL is down, and the keeper with it."""
    wsl_vm.shutdown(machine)
    machine.data["wsl"]["holder"] = None
    for found in machine.data["tasks"].values():
        found["state"] = "ready"


def _stub(machine: Machine) -> None:
    machine.data["wsl"]["version"] = None
    stopped(machine)


def _idle(machine: Machine) -> None:
    config(machine, lambda text: re.sub(r"(?m)^(instance|vm)IdleTimeout.*\n", "", text))
    task(machine, "Enabled", "true")
    stopped(machine)


def _session(machine: Machine) -> None:
    machine.data.setdefault("symptoms", {})["session"] = 1


def _user(machine: Machine) -> None:
    machine.data["users"]["other"] = {
        "sid": "S-1-5-21-1111111111-2222222222-3333333333-1002",
        "profile": "C:\\Users\\other",
        "registry": {},
    }
    machine.data["login"]["user"] = "other"


def _system(machine: Machine) -> None:
    task(machine, "UserId", "S-1-5-18")


def _virtualization(machine: Machine) -> None:
    machine.data |= {"firmware_virtualization": False, "hypervisor": False}
    stopped(machine)


def fails(code: str) -> Breaks:
    """WSL does not start any more, and names this code."""

    def breaks(machine: Machine) -> None:
        stopped(machine)
        machine.data["wsl"]["fails"] = code

    return breaks


def _no_right(machine: Machine) -> None:
    stopped(machine)
    machine.data["denied"] = {"SeServiceLogonRight": [wsl_exe.VIRTUAL_MACHINES]}


def fell_back(machine: Machine) -> None:
    """Windows' NAT failed when WSL started, which went on without it."""
    told(machine, networking_mode="virtioproxy")


def _source(machine: Machine) -> None:
    _stub(machine)
    machine.data.setdefault("symptoms", {})["answers"] = Refusing()


def _updated(machine: Machine) -> None:
    stopped(machine)
    machine.data["services"]["WSLService"]["state"] = "stopped"


def _moved(machine: Machine) -> None:
    network.move(machine, "172.20.7.9")


def _proxy(machine: Machine) -> None:
    machine.data["services"]["iphlpsvc"] = {"state": "stopped", "start": "manual"}


def _firewall(machine: Machine) -> None:
    machine.data["firewall"]["rules"]["gpurig-wsl-2222"]["enabled"] = False


def _hyperv(machine: Machine) -> None:
    machine.data["hyperv"]["rules"].clear()


def _not_mirrored(machine: Machine) -> None:
    machine.data["build"] = 22000
    stopped(machine)
    wsl_vm.start(machine, NAME)


def _dns(machine: Machine) -> None:
    linux(machine).deaf = True
    machine.data.setdefault("symptoms", {})["woke"] = machine.data["now"]


def _clock(machine: Machine) -> None:
    late(machine, 7200)


def _sharing(machine: Machine) -> None:
    machine.data["services"]["SharedAccess"]["start"] = "disabled"
    linux(machine).deaf = True


def _sshd(machine: Machine) -> None:
    data = linux(machine).data
    assert data is not None
    data["units"]["ssh.service"] = {"enabled": False, "active": False}
    data["units"]["ssh.socket"] = {"enabled": True, "active": True}


def _nothing(_: Machine) -> None:
    """Only what the laptop sees differs."""


def _blocked(machine: Machine) -> None:
    said = base64.b64encode(b"Failed to initialize NVML: GPU access blocked by the operating system\n").decode()
    told(machine, nvidia_smi_code=255, nvidia_smi_out=said)


def _lint(machine: Machine) -> None:
    config(machine, lambda text: text.replace("[wsl2]", "[wsl2]\r\nkernel=C:\\Users\\me\\bzImage"))


def _conf(machine: Machine) -> None:
    data = linux(machine).data
    assert data is not None
    data["files"]["/etc/wsl.conf"] += "; a comment as in other files\n[interop]\nenabled=true\n"


def _limit(machine: Machine) -> None:
    task(machine, "ExecutionTimeLimit", "PT72H")


def _degraded(machine: Machine) -> None:
    told(machine, systemd="degraded", failed_unit=["systemd-remount-fs.service"])


def _full(machine: Machine) -> None:
    machine.data["drives"]["C"]["free"] = 200 * 10**6


def _eaten(machine: Machine) -> None:
    memory = machine.data["memory"]
    machine.data.setdefault("symptoms", {}).update(vm_memory=memory * 3 // 4, memory_free=memory // 50)


def _public(machine: Machine) -> None:
    machine.data["network"]["interfaces"]["Ethernet"]["category"] = "public"


def _acl(machine: Machine) -> None:
    machine.data.setdefault("acls", {})[ADMIN_KEYS] = dict(INHERITED)


def _relay(machine: Machine) -> None:
    machine.data["wsl"]["relay"] = False


def _docker(machine: Machine) -> None:
    config(machine, lambda text: text.replace("autoMemoryReclaim=dropCache", "autoMemoryReclaim=gradual"))
    told(machine, docker="failed")


class Refusing(dict[str, str]):
    """Every server refuses the PC."""

    def get(self, url: str, default: str = "") -> str:  # type: ignore[override]  # plain enough for a model
        return "403"


DIRECT = (("reach", "direct"),)
MIRRORED = (("reach", "direct"), ("wsl", {"networking": "mirrored"}))
WINRM = (("connection", "psrp"),)

FAULTS: dict[int, Fault] = {
    1: Fault(_stub),
    2: Fault(_idle, mends=True),
    3: Fault(_session, mends=True),
    4: Fault(_user),
    5: Fault(_system, mends=True),
    6: Fault(_virtualization),
    7: Fault(fails("REGDB_E_CLASSNOTREG")),
    8: Fault(_no_right, mends=True),
    9: Fault(_source, companions=frozenset({1})),
    10: Fault(_updated, mends=True),
    11: Fault(_moved, DIRECT, link=LOST, mends=True),
    12: Fault(_proxy, DIRECT, link=LOST, mends=True),
    13: Fault(_firewall, DIRECT, link=replace(LOST, ports={22: "open", 2222: "silent"}), mends=True),
    14: Fault(_hyperv, MIRRORED, link=LOST, mends=True),
    15: Fault(_not_mirrored, MIRRORED),
    16: Fault(_dns, mends=True),
    17: Fault(_clock, mends=True),
    18: Fault(_sharing, mends=True),
    19: Fault(_sshd, link=LOST, mends=True),
    20: Fault(_nothing, link=replace(WELL, smi=""), mends=True),
    21: Fault(_blocked, mends=True),
    22: Fault(_nothing, link=replace(WELL, ldconfig="ldconfig: /usr/lib/wsl/lib/libcuda.so.1 is not a symbolic link")),
    23: Fault(_lint),
    24: Fault(_conf),
    25: Fault(_limit, mends=True),
    26: Fault(_degraded),
    27: Fault(_full),
    28: Fault(_eaten),
    29: Fault(_public, WINRM),
    30: Fault(_acl, mends=True),
    31: Fault(_relay, link=LOST, mends=True),
    32: Fault(_docker, mends=True),
}
"""Number → how it is brought about."""
