"""WSL's service on the simulated PC: the registry of distributions, their disks, the VM, and what it needs of Windows."""

from __future__ import annotations

import uuid
from typing import Any

from tests.windows.model.pc import Machine

LXSS = "HKCU:\\Software\\Microsoft\\Windows\\CurrentVersion\\Lxss"

MSI = "HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Lxss\\MSI"

VMP, INBOX = "VirtualMachinePlatform", "Microsoft-Windows-Subsystem-Linux"

INSTALLED, INSTALLING, UNINSTALLING = 1, 3, 4

VM_MODE, VM_VERSION = 8, 2
"""The flag of what runs in a VM, which is WSL 2 (LXSS_DISTRO_FLAGS_VM_MODE)."""

GIB = 2**30

FRESH_DISK = {"size": 2 * GIB, "used": GIB}

ADDRESS = "172.28.120.45"


def entries(machine: Machine) -> list[tuple[str, dict[str, Any]]]:
    """Our user's distributions: GUID and the registry's values."""
    prefix = LXSS.partition(":\\")[2] + "\\"
    tree = machine.user["registry"]
    return [(key.removeprefix(prefix), values) for key, values in tree.items() if key.startswith(prefix)]


def find(machine: Machine, name: str) -> tuple[str, dict[str, Any]] | None:
    """The distribution of that name; letters' case does not matter."""
    return next((one for one in entries(machine) if one[1]["DistributionName"].lower() == name.lower()), None)


def default(machine: Machine) -> str:
    """Name of the default distribution; empty where there is none."""
    guid = machine.value(LXSS, "DefaultDistribution")
    return next((str(values["DistributionName"]) for key, values in entries(machine) if key == guid), "")


def same(path: str, other: str) -> bool:
    """Whether two paths are one folder."""
    return path.removeprefix("\\\\?\\").rstrip("\\").lower() == other.rstrip("\\").lower()


def disk(values: dict[str, Any]) -> str:
    """Path of a distribution's disk."""
    return f"{values['BasePath'].removeprefix(chr(92) * 2 + '?' + chr(92))}\\{values.get('VhdFileName', 'ext4.vhdx')}"


def version(values: dict[str, Any]) -> int:
    """1 or 2: which WSL a distribution runs in."""
    return VM_VERSION if values["Flags"] & VM_MODE else 1


def possible(machine: Machine) -> bool:
    """Whether a VM can be made: the hypervisor runs since the last boot, and the feature is there."""
    data = machine.data
    features = [VMP, INBOX] if data["build"] < 22000 else [VMP]
    return bool(data.get("hypervisor")) and all(data["features"].get(name) == "enabled" for name in features)


def install(machine: Machine, name: str, location: str, *, wsl: int = 2) -> str:
    """Register a distribution and unpack it. Returns its GUID. Power may go off between."""
    key = f"{machine.user['sid']}/{name}/{len(machine.data['done'])}"
    guid = f"{{{uuid.uuid5(uuid.NAMESPACE_DNS, key)}}}"
    folder = location or f"{machine.user['profile']}\\AppData\\Local\\wsl\\{guid}"
    values = machine.registry(f"{LXSS}\\{guid}")
    values |= {
        "DistributionName": name,
        "State": INSTALLING,
        "Version": 2,  # of the entry, not of WSL
        "BasePath": f"\\\\?\\{folder}",
        "DefaultUid": 0,
        "Flags": 7 | (VM_MODE if wsl == VM_VERSION else 0),
        "VhdFileName": "ext4.vhdx",
        "Modern": 1,
    }
    machine.step()
    machine.data.setdefault("disks", {})[disk(values)] = dict(FRESH_DISK)
    if name in machine.linux:
        machine.linux[name].create()
    machine.step()
    values["State"] = INSTALLED
    top = machine.registry(LXSS)
    top.setdefault("DefaultDistribution", guid)
    return guid


def export(machine: Machine, guid: str, name: str, path: str) -> None:
    """Write a distribution's files to one file. Starts nothing and stops it if it runs."""
    stop(machine, name)
    used = machine.data.setdefault("disks", {}).setdefault(disk(machine.registry(f"{LXSS}\\{guid}")), dict(FRESH_DISK))
    blobs = machine.data.setdefault("blobs", {})
    blobs[path] = {"sha256": "", "size": 0, "half": True}
    machine.step()
    blobs[path] = {"sha256": "", "size": used["used"], "of": name}


def remove(machine: Machine, guid: str, name: str) -> None:
    """Unregister: entry and disk are gone."""
    stop(machine, name)
    path = f"{LXSS}\\{guid}"
    values = machine.registry(path)
    values["State"] = UNINSTALLING
    machine.step()
    machine.data.setdefault("disks", {}).pop(disk(values), None)
    del machine.user["registry"][path.partition(":\\")[2]]
    if name in machine.linux:
        machine.linux[name].destroy()
    top = machine.registry(LXSS)
    if top.get("DefaultDistribution") == guid:
        left = entries(machine)
        top.pop("DefaultDistribution")
        if left:
            top["DefaultDistribution"] = left[0][0]


def move(machine: Machine, guid: str, location: str) -> None:
    """Its disk lies elsewhere."""
    values = machine.registry(f"{LXSS}\\{guid}")
    held = machine.data.setdefault("disks", {}).pop(disk(values), dict(FRESH_DISK))
    values["BasePath"] = location
    machine.data["disks"][disk(values)] = held


def start(machine: Machine, name: str) -> None:
    """The VM and a distribution in it, as the first program that runs there starts them."""
    wsl = machine.data["wsl"]
    if wsl["vm_started"] is None:
        wsl["vm_started"] = machine.data["now"]
        machine.registry(LXSS).setdefault("NatIpAddress", ADDRESS)
    if name not in wsl["running"]:
        wsl["running"].append(name)
        if name in machine.linux:
            machine.linux[name].start()


def stop(machine: Machine, name: str) -> None:
    """One distribution ends."""
    if name in machine.data["wsl"]["running"]:
        machine.data["wsl"]["running"].remove(name)
        if name in machine.linux:
            machine.linux[name].stop()


def shutdown(machine: Machine) -> None:
    """All distributions and the VM end."""
    for name in list(machine.data["wsl"]["running"]):
        stop(machine, name)
    machine.data["wsl"]["vm_started"] = None


def hypervisor(machine: Machine) -> bool:
    """Whether this start of Windows brings the hypervisor up. The feature sets bcdedit's word unless somebody set it."""
    data = machine.data
    if data["features"].get(VMP) != "enabled":
        return False
    if data["hypervisor_launch"] is None:
        data["hypervisor_launch"] = "auto"
    return bool(data["firmware_virtualization"] and data["hypervisor_launch"] == "auto")
