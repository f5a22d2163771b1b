"""A fresh Windows 11 Home with an RTX 4090, after one run of the bootstrap."""

from __future__ import annotations

import copy
from typing import Any

from tests.windows.model.fresh_network import NETWORK
from tests.windows.model.fresh_sshd import SSHD

GIB = 2**30

SCHEME = "381b4222-f694-41f0-9685-ff5bb260df2e"

_FRESH: dict[str, Any] = {
    "computer": "HOME-PC",
    "build": 26100,
    "revision": 4061,
    "edition": "Core",
    "architecture": "AMD64",
    "powershell": "5.1.26100.4061",
    "language": "en-US",
    "memory": 64 * GIB,
    "processors": 24,
    "boots": 1,
    "booted": "2026-11-20T08:00:00+00:00",
    "now": "2026-11-22T12:00:00+00:00",
    "domain": False,
    "battery": False,
    "firmware_virtualization": True,
    "hypervisor_launch": None,
    "hypervisor": False,
    "drives": {"C": {"size": 2000 * 10**9, "free": 900 * 10**9}},
    "login": {"user": "me", "elevated": True, "session": 0},
    "users": {
        "me": {"sid": "S-1-5-21-1111111111-2222222222-3333333333-1001", "profile": "C:\\Users\\me", "registry": {}}
    },
    "registry": {},
    "features": {"VirtualMachinePlatform": "disabled", "Microsoft-Windows-Subsystem-Linux": "disabled"},
    "pending": [],
    "services": {
        "iphlpsvc": {"state": "running", "start": "auto"},
        "SharedAccess": {"state": "stopped", "start": "manual"},
        "sshd": {"state": "running", "start": "auto"},
        "TermService": {"state": "stopped", "start": "manual"},
    },
    "files": {},
    "wsl": {"version": None, "stub": True, "running": [], "vm_started": None},
    "power": {
        "standby": 1800,
        "hibernate": 10800,
        "wake": [{"adapter": "Ethernet", "mac": "00-11-22-33-44-55", "enabled": False}],
    },
    **NETWORK,
    **SSHD,
    "done": [],
}


def fresh(**changes: Any) -> dict[str, Any]:
    """A PC's data, with some top-level entries changed."""
    return {**copy.deepcopy(_FRESH), **changes}
