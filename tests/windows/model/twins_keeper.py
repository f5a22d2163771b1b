"""Twins: the keeper's scheduled task, and Remote Desktop."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from gpurig.windows.topics.rdp import SERVER
from tests.windows.model import scheduler
from tests.windows.model.pc import Machine
from tests.windows.model.twins import twin

POLICY = "HKLM:\\SOFTWARE\\Policies\\Microsoft\\Windows NT\\Terminal Services"

LAST_LINES = 20


@twin("collect/keeper")
def collect(machine: Machine, *, task: str, folder: str) -> dict[str, Any]:
    there = machine.data["tasks"].get(task)
    files = {name: f"{folder}\\{file}" for name, file in (("script", "keeper.ps1"), ("settings", "keeper.json"))}
    aside, log = (
        base64.b64decode(machine.data["files"].get(f"{folder}\\{file}", "")).decode().splitlines()
        for file in ("keeper.log.1", "keeper.log")
    )
    return {
        "xml": scheduler.exported(machine, task),
        "state": _state(machine, task) if there else "",
        "enabled": bool(there) and scheduler.enabled(machine, task),
        "result": there["result"] if there else None,
        "last_run": there["last_run"] if there else None,
        "next_run": None,
        **{name: _digest(machine, path) for name, path in files.items()},
        "acls": {name: _acl(machine, path) for name, path in {"folder": folder, **files}.items()},
        "log": log[-LAST_LINES:],
        "ups": [
            found[1]
            for line in (*aside, *log)
            if '"event":"up"' in line and (found := re.search(r'"time":"([^"]+)"', line))
        ],
    }


@twin("apply/task_register")
def task_register(machine: Machine, *, name: str, xml: str, password: str = "") -> dict[str, Any]:
    scheduler.register(machine, name, xml, password)
    return {"changed": True, "data": None}


@twin("apply/task_start")
def task_start(machine: Machine, *, name: str) -> dict[str, Any]:
    machine.require_admin()
    scheduler.start(machine, name)
    return {"changed": True, "data": None}


@twin("apply/task_remove")
def task_remove(machine: Machine, *, name: str) -> dict[str, Any]:
    if name not in machine.data["tasks"]:
        return {"changed": False, "data": None}
    scheduler.remove(machine, name)
    return {"changed": True, "data": None}


@twin("collect/rdp")
def rdp(machine: Machine) -> dict[str, Any]:
    policy = machine.value(POLICY, "fDenyTSConnections")
    return {
        "supported": not machine.data["edition"].startswith("Core"),
        "enabled": machine.value(SERVER, "fDenyTSConnections", 1) == 0,
        "policy": None if policy is None else policy == 0,
        "nla": machine.value(f"{SERVER}\\WinStations\\RDP-Tcp", "UserAuthentication", 0) == 1,
        "port": machine.value(f"{SERVER}\\WinStations\\RDP-Tcp", "PortNumber", 3389),
    }


def _state(machine: Machine, task: str) -> str:
    return str(machine.data["tasks"][task]["state"]) if scheduler.enabled(machine, task) else "disabled"


def _digest(machine: Machine, path: str) -> str | None:
    content = machine.data["files"].get(path)
    return None if content is None else hashlib.sha256(base64.b64decode(content)).hexdigest()


def _acl(machine: Machine, path: str) -> dict[str, Any] | None:
    there = any(one == path or one.startswith(f"{path}\\") for one in machine.data["files"])
    found: dict[str, Any] | None = machine.data.get("acls", {}).get(path)
    return found or (
        {"owner": "S-1-5-32-544", "sids": ["S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"], "inherited": True}
        if there
        else None
    )
