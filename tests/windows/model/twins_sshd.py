"""Twins: Windows' own sshd."""

from __future__ import annotations

import base64
from typing import Any

from tests.windows.model.fresh_sshd import ADMIN_KEYS, CONFIG, FOLDER
from tests.windows.model.pc import Machine
from tests.windows.model.twins import twin

INHERITED = {"owner": "S-1-5-32-544", "sids": ["S-1-5-18", "S-1-5-32-544", "S-1-5-11"], "inherited": True}
"""Rights of a file in that folder that nobody changed: authenticated users may read it."""


@twin("collect/sshd")
def collect(machine: Machine) -> dict[str, Any]:
    files, sshd = machine.data["files"], machine.data.get("sshd") or {}
    keys = sorted(path for path in files if path.startswith(f"{FOLDER}\\ssh_host_") and path.endswith("_key.pub"))
    there = ADMIN_KEYS in files
    return {
        "source": sshd.get("source", "") if "sshd" in machine.data["services"] else "",
        "version": sshd.get("version", "") if "sshd" in machine.data["services"] else "",
        "config": files.get(CONFIG),
        "default_shell": machine.value("HKLM:\\SOFTWARE\\OpenSSH", "DefaultShell"),
        "admin_keys": _lines(files[ADMIN_KEYS]) if there else None,
        "acl": dict(machine.data.get("acls", {}).get(ADMIN_KEYS, INHERITED)) if there else None,
        "host_keys": [" ".join(line.split()[:2]) for path in keys for line in _lines(files[path])],
    }


def _lines(content: str) -> list[str]:
    return [line for line in base64.b64decode(content).decode().splitlines() if line]
