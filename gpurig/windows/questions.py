"""What is asked of a PC: every section, with the parameters that its script needs, from the host's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpurig.windows import inside

GROUP = "gpurig"
"""Group and name prefix of our firewall rules."""

TASK = "\\gpurig\\keeper"
"""Path of the keeper's scheduled task."""

FOLDER = "C:\\ProgramData\\gpurig"
"""Ours on the PC: the keeper's script and log, downloads. Written by administrators only."""

NOTE = f"{FOLDER}\\wslconfig.txt"
"""Written whenever we change a value of .wslconfig: WSL that started before its time does not have that value yet."""

SSH_PORT, WSL_PORT, RDP_PORT = 22, 2222, 3389


def sections(variables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Section → the parameters of its script, in snake_case."""
    distribution = str(variables.get("win_distribution_name") or "")
    listed = variables.get("win_network_ports") or {}
    wsl_port = int(variables.get("win_network_wsl_port") or variables.get("win_linux_port") or WSL_PORT)
    ports = sorted({int(variables.get("win_network_ssh_port") or SSH_PORT), wsl_port, RDP_PORT, *map(int, listed)})
    return {
        "machine": {},
        "features": {},
        "wsl": {},
        "inside": {
            "distribution": distribution,
            "port": wsl_port,
            "user": str(variables.get("win_linux_user") or "-"),
            "script": inside.script("facts"),
            "note": NOTE,
        },
        "network": {"ports": ports, "group": GROUP},
        "keeper": {"task": TASK, "folder": FOLDER},
        "power": {},
        "rdp": {},
        "sshd": {},
        "gpu": {},
        "symptoms": {"urls": []},
    }
