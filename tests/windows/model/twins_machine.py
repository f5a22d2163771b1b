"""Twins: the PC itself, its features, services, boot settings and rights."""

from __future__ import annotations

from typing import Any

from tests.windows.model import wsl_vm
from tests.windows.model.pc import Machine, PowerShellError
from tests.windows.model.twins import twin

SERVICES = (
    "vmcompute",
    "hns",
    "iphlpsvc",
    "SharedAccess",
    "sshd",
    "WSLService",
    "LxssManager",
    "winnat",
    "TermService",
)

UNKNOWN_FEATURE, ELEVATION_REQUIRED = -2146498548, 740

Done = dict[str, Any]


@twin("collect/machine")
def collect(machine: Machine) -> Done:
    data, login = machine.data, machine.data["login"]
    return {
        **{name: data[name] for name in ("computer", "build", "revision", "edition", "architecture", "powershell")},
        **{name: data[name] for name in ("language", "memory", "processors", "now", "domain", "battery")},
        "boot_time": data["booted"],
        "user": {
            "name": login["user"],
            "sid": machine.user["sid"],
            "profile": machine.user["profile"],
            "admin": login["elevated"],
            "session": login["session"],
        },
        "owners": [name for name, user in data["users"].items() if user["sid"].startswith("S-1-5-21-")],
        "firmware_virtualization": None if data["hypervisor"] else data["firmware_virtualization"],
        "hypervisor_present": data["hypervisor"],
        "hypervisor_launch": data["hypervisor_launch"] if login["elevated"] else None,
        "reboot_pending": bool(data["pending"] or data.get("reboot_pending")),
        "drives": {letter: dict(drive) for letter, drive in data["drives"].items()},
    }


@twin("collect/features")
def features(machine: Machine) -> Done:
    data = machine.data
    found = {name: data["features"].get(name, "absent") for name in (wsl_vm.VMP, wsl_vm.INBOX)}
    services = {name: dict(data["services"][name]) for name in SERVICES if name in data["services"]}
    if found[wsl_vm.VMP] == "enabled" and "vmcompute" not in services:
        return {"features": {**found, wsl_vm.VMP: "disabled"}, "pending": [wsl_vm.VMP], "services": services}
    return {"features": found, "pending": list(data["pending"]), "services": services}


@twin("apply/feature_enable")
def feature_enable(machine: Machine, *, name: str) -> Done:
    if not machine.data["login"]["elevated"]:
        raise PowerShellError(f"dism /enable-feature {name} ended with {ELEVATION_REQUIRED}")
    if machine.data["features"].get(name, "absent") == "absent":
        raise PowerShellError(f"dism /enable-feature {name} ended with {UNKNOWN_FEATURE}")
    waits = machine.data["features"][name] != "enabled"
    machine.step()
    if waits and name not in machine.data["pending"]:
        machine.data["pending"].append(name)
    return {"changed": True, "data": {"reboot": waits}}


@twin("apply/service_set")
def service_set(machine: Machine, *, name: str, start: str, running: bool) -> Done:
    service = _service(machine, name)
    service["start"] = start
    if running and start == "disabled":
        raise PowerShellError(
            f"Failed to start service '{name}'.", code="StartServiceFailed,Microsoft.PowerShell.Commands"
        )
    service["state"] = "running" if running else "stopped"
    return {"changed": True, "data": None}


@twin("apply/service_restart")
def service_restart(machine: Machine, *, name: str) -> Done:
    service = _service(machine, name)
    if service["start"] == "disabled":
        raise PowerShellError(
            f"Failed to start service '{name}'.", code="StartServiceFailed,Microsoft.PowerShell.Commands"
        )
    if name in ("vmcompute", "hns", "WSLService"):
        wsl_vm.shutdown(machine)
    machine.step()
    if name == "iphlpsvc":
        machine.data["network"]["deaf"] = []
    service["state"] = "running"
    return {"changed": True, "data": None}


@twin("apply/bcd_set")
def bcd_set(machine: Machine, *, name: str, value: str) -> Done:
    if not machine.data["login"]["elevated"]:
        raise PowerShellError(f"bcdedit /set {{current}} {name} {value} ended with 1")
    machine.data["hypervisor_launch"] = value
    return {"changed": True, "data": None}


@twin("apply/logon_right_grant")
def logon_right_grant(machine: Machine, *, right: str, sid: str) -> Done:
    if not machine.data["login"]["elevated"]:
        raise PowerShellError("secedit /export ended with 1")
    holders = machine.data.setdefault("rights", {}).setdefault(right, [])
    if sid in holders:
        return {"changed": False, "data": None}
    holders.append(sid)
    return {"changed": True, "data": None}


def _service(machine: Machine, name: str) -> dict[str, Any]:
    if name not in machine.data["services"]:
        raise PowerShellError(f"Cannot find any service with service name '{name}'.", code="NoServiceFoundForGivenName")
    machine.require_admin()
    found: dict[str, Any] = machine.data["services"][name]
    return found
