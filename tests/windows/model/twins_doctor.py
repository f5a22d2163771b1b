"""Twins: what only the doctor asks, and the GPU as Windows sees it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from tests.windows.model.pc import Machine
from tests.windows.model.twins import twin

GPU = {
    "name": "NVIDIA GeForce RTX 4090",
    "driver": "581.57",
    "version": "32.0.15.8157",
    "model": "WDDM",
    "state": 0,
    "code": 0,
}
"""The GPU where machine.data["gpu"] says nothing else."""

SYMPTOMS: dict[str, Any] = {
    "session": 0,
    "logoff": None,
    "woke": None,
    "vm_memory": 4 * 2**30,
    "ipv6_components": 0,
    "winrm": "stopped",
    "answers": {},
}
"""What the doctor finds where machine.data["symptoms"] says nothing else. answers: what differs from 200."""


@twin("collect/gpu")
def gpu(machine: Machine) -> dict[str, Any]:
    card = GPU | machine.data.get("gpu", {})
    said = f"{card['name']}, {card['driver']}, {card['model']}\r\n" if card["code"] == 0 else ""
    smi = {"code": card["code"], "out": base64.b64encode(said.encode()).decode(), "err": "", "seconds": 0.2}
    return {
        "system": "C:\\Windows\\System32\\nvidia-smi.exe",
        "smi": smi,
        "adapters": [{"name": card["name"], "version": card["version"], "state": card["state"]}],
    }


@twin("collect/symptoms")
def symptoms(machine: Machine, *, urls: Sequence[str] = ()) -> dict[str, Any]:
    told = SYMPTOMS | machine.data.get("symptoms", {})
    runs = bool(machine.data["wsl"]["vm_started"])
    return {
        "session": told["session"] if runs else None,
        "logoff": told["logoff"],
        "woke": told["woke"],
        "memory_free": told.get("memory_free", machine.data["memory"] // 4),
        "vm_memory": told["vm_memory"] if runs else None,
        "ipv6_components": told["ipv6_components"],
        "winrm": told["winrm"],
        "answers": {url: told["answers"].get(url, "200") for url in urls if url},
    }
