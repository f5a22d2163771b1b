"""Twins: WSL, its distributions and their disks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gpurig.windows import questions, wire
from tests.windows.model import wsl_exe, wsl_vm
from tests.windows.model.pc import Machine, PowerShellError
from tests.windows.model.twins import twin
from tests.windows.model.twins_fetch import protect

PROGRAM = "C:\\Program Files\\WSL\\wsl.exe"

PAUSE = f"{questions.FOLDER}\\keeper.pause"

POLICY = "HKLM:\\SOFTWARE\\Policies\\WSL"

Done = dict[str, Any]


def native(said: wsl_exe.Said, seconds: float = 0.1) -> Done:
    """What Invoke-Native makes of a program's words."""
    code, out, err = said
    return {
        "code": code,
        "out": base64.b64encode(out).decode(),
        "err": base64.b64encode(err).decode(),
        "seconds": seconds,
    }


@twin("collect/wsl")
def collect(machine: Machine) -> Done:
    wsl = machine.data["wsl"]
    there = wsl["version"] is not None
    config = f"{machine.user['profile']}\\.wslconfig"
    return {
        "path": PROGRAM if there else None,
        "msi_version": wsl["version"],
        "stub": wsl["stub"],
        "version": native(wsl_exe.run(machine, ["--version"])) if there else None,
        "running": native(wsl_exe.run(machine, ["--list", "--running", "--quiet"])) if there else None,
        "distributions": [_distribution(machine, guid, values) for guid, values in wsl_vm.entries(machine)],
        "elsewhere": _elsewhere(machine),
        "policy": dict(machine.data["registry"].get(POLICY.partition(":\\")[2], {})),
        "config_path": config,
        "config": machine.data["files"].get(config),
        "vm_started": wsl["vm_started"],
        "nat_address": machine.value(wsl_vm.LXSS, "NatIpAddress"),
    }


@twin("apply/wsl_shutdown")
def shutdown(machine: Machine) -> Done:
    _wsl(machine, "--shutdown")
    return _changed()


@twin("apply/wsl_terminate")
def terminate(machine: Machine, *, name: str) -> Done:
    _wsl(machine, "--terminate", name)
    return _changed()


@twin("apply/distribution_install")
def install(machine: Machine, *, name: str, file: str, location: str = "") -> Done:
    where = ["--location", location] if location else []
    said = _wsl(machine, "--install", "--from-file", file, "--name", name, "--version", "2", "--no-launch", *where)
    found = wsl_vm.find(machine, name)
    if found is None or found[1]["State"] != wsl_vm.INSTALLED:
        raise PowerShellError(f"wsl --install registered nothing: {said}")
    return _changed()


@twin("apply/distribution_export")
def export(machine: Machine, *, name: str, path: str) -> Done:
    blobs = machine.data.setdefault("blobs", {})
    if path in blobs:
        raise PowerShellError(f"{path} is there already")
    if path[0].upper() not in machine.data["drives"]:
        raise PowerShellError(
            f"Cannot find drive. A drive with the name '{path[0]}' does not exist.", code="DriveNotFound"
        )
    blobs.pop(f"{path}.partial", None)
    _wsl(machine, "--export", name, f"{path}.partial")
    machine.step()
    blobs[path] = blobs.pop(f"{path}.partial")
    return _changed({"bytes": blobs[path]["size"]})


@twin("apply/distribution_unregister")
def unregister(machine: Machine, *, name: str, guid: str) -> Done:
    found = machine.value(f"{wsl_vm.LXSS}\\{guid}", "DistributionName") or ""
    if found.lower() != name.lower():
        raise PowerShellError(f"{guid} is '{found}', not '{name}'")
    _wsl(machine, "--unregister", name)
    return _changed()


@twin("apply/distribution_move")
def move(machine: Machine, *, name: str, location: str) -> Done:
    with _paused(machine):
        _wsl(machine, "--terminate", name)
        machine.step()
        _wsl(machine, "--manage", name, "--move", location)
    return _changed()


@twin("apply/disk_compact")
def compact(machine: Machine, *, path: str, guid: str) -> Done:
    values = machine.user["registry"].get(f"{wsl_vm.LXSS}\\{guid}".partition(":\\")[2])
    if values is None or wsl_vm.disk(values) != path:
        raise PowerShellError(f"{path} is not the disk of {guid}")
    held = machine.data.setdefault("disks", {}).setdefault(path, dict(wsl_vm.FRESH_DISK))
    before = held["size"]
    with _paused(machine):
        _wsl(machine, "--shutdown")
        machine.step()
        held["size"] = min(before, held["used"] + wsl_vm.GIB // 8)
        machine.step()
    return {"changed": held["size"] < before, "data": {"before": before, "after": held["size"]}}


@contextmanager
def _paused(machine: Machine) -> Iterator[None]:
    """Invoke-Paused: the keeper stays away. Where the power goes off, the file stays."""
    protect(machine)
    machine.data["files"][PAUSE] = ""
    try:
        yield
    except PowerShellError:
        del machine.data["files"][PAUSE]
        raise
    del machine.data["files"][PAUSE]


def _changed(data: Any = None) -> Done:
    return {"changed": True, "data": data}


def _wsl(machine: Machine, *arguments: str) -> str:
    """Invoke-Wsl: what it said, on one line. Raises PowerShellError with its words."""
    if machine.data["wsl"]["version"] is None:
        raise PowerShellError("WSL is not installed: its package has no wsl.exe here")
    code, out, err = wsl_exe.run(machine, arguments)
    text = " ".join(f"{wire.decoded(out)} {wire.decoded(err)}".split())
    if code:
        raise PowerShellError(f"wsl {' '.join(arguments)} ended with {code}: {text}")
    return text


def _distribution(machine: Machine, guid: str, values: Done) -> Done:
    path = wsl_vm.disk(values)
    held = machine.data.get("disks", {}).get(path)
    return {
        "guid": guid,
        "name": values["DistributionName"],
        "wsl": wsl_vm.version(values),
        "base_path": values["BasePath"].removeprefix("\\\\?\\"),
        "uid": values["DefaultUid"],
        "state": values["State"],
        "default": machine.value(wsl_vm.LXSS, "DefaultDistribution") == guid,
        "vhd_path": path,
        "vhd_size": held["size"] if held else None,
    }


def _elsewhere(machine: Machine) -> dict[str, list[str]]:
    """Of other people who are logged on."""
    prefix = wsl_vm.LXSS.partition(":\\")[2] + "\\"
    found = {}
    for user in machine.data["users"].values():
        names = [values["DistributionName"] for key, values in user["registry"].items() if key.startswith(prefix)]
        if user is not machine.user and user.get("logged_on") and names:
            found[user["sid"]] = names
    return found
