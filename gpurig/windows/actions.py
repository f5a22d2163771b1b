"""What may be done to a Windows PC: one kind per script of powershell/apply/, each with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Action:
    """One step. says: what it changes, for people; before, after: for --diff.

    key: of the host's entry, such as wsl.msi, where the file of a file_fetch is named.
    """

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""
    before: str = ""
    after: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        wanted = KINDS[self.kind]
        unknown, missing = set(self.parameters) - set(wanted), set(wanted) - set(self.parameters)
        if unknown or missing:
            raise TypeError(f"{self.kind}: unknown {sorted(unknown)}, missing {sorted(missing)}")

    def told(self) -> str:
        """What it changes, in words."""
        return self.says or self.kind


KINDS: dict[str, dict[str, str]] = {
    # Windows
    "feature_enable": {"name": "an optional feature; data: {reboot: true} where it waits for one"},
    "service_set": {"name": "a service", "start": "auto, manual or disabled", "running": "whether it shall run"},
    "service_restart": {"name": "a service"},
    "registry_set": {
        "path": "HKLM:\\… or HKCU:\\…",
        "name": "a value",
        "type": "dword or string",
        "value": "the value",
    },
    "bcd_set": {"name": "hypervisorlaunchtype", "value": "auto"},
    "logon_right_grant": {"right": "SeServiceLogonRight or SeBatchLogonRight", "sid": "who gets it"},
    "power_set": {"what": "standby or hibernate", "seconds": "0 is never"},
    "wake_set": {"adapter": "a network card's name", "enabled": "whether a magic packet wakes the PC"},
    "file_fetch": {"url": "https://… or a path on the PC", "sha256": "of the file", "path": "where to put it"},
    "file_write": {
        "path": "a file",
        "content": "Base64",
        "before": "SHA-256 that it must still have; empty: not there",
    },
    "file_remove": {"path": "a file", "before": "SHA-256 that it must still have"},
    "acl_set": {"path": "a file", "sids": "who may do everything; nobody else anything, nothing is inherited"},
    "msi_install": {
        "path": "an MSI on the PC",
        "sha256": "of it; data: {code, reboot}",
        "repair": "true where this very package is installed: all of it anew",
    },
    # WSL, as the user who owns it
    "wsl_shutdown": {},
    "wsl_terminate": {"name": "a distribution"},
    "distribution_install": {
        "name": "its name",
        "file": "a .wsl or tar file on the PC",
        "location": "a folder; empty: the default",
    },
    "distribution_export": {"name": "a distribution", "path": "a new .tar file on the PC; refuses one that is there"},
    "distribution_unregister": {"name": "a distribution", "guid": "its GUID; destroys its disk"},
    "distribution_move": {"name": "a distribution", "location": "a folder"},
    "disk_compact": {"path": "a distribution's disk; shuts WSL down", "guid": "whose it is"},
    "inside_run": {
        "distribution": "where",
        "script": "a file of gpurig/windows/inside, without .sh; run as root",
        "text": "the script itself",
        "arguments": "words for it",
        "stdin": "Base64, for what must not be in argv",
        "seconds": "after which it is given up; data: Native",
    },
    # The keeper
    "task_register": {
        "name": "a task's path, such as \\gpurig\\keeper",
        "xml": "its definition",
        "password": "empty: S4U",
    },
    "task_start": {"name": "a task's path"},
    "task_remove": {"name": "a task's path"},
    # Network
    "portproxy_set": {
        "listen_address": "IPv4 address, 0.0.0.0 for all",
        "listen_port": "port",
        "connect_address": "IPv4 address",
        "connect_port": "port",
    },
    "portproxy_delete": {"listen_address": "as the registry has it", "listen_port": "port"},
    "firewall_set": {
        "name": "the rule's unique name, gpurig-…",
        "display": "what Windows shows",
        "port": "TCP port",
        "remote": "list of ranges, or LocalSubnet",
    },
    "firewall_remove": {"name": "a rule's unique name, gpurig-…"},
    "hyperv_set": {"name": "gpurig-…", "display": "what Windows shows", "port": "TCP port", "remote": "list of ranges"},
    "hyperv_remove": {"name": "gpurig-…"},
}
"""Kind → parameter → what it means. Every script takes exactly these, in PascalCase (listen_address: -ListenAddress)."""
