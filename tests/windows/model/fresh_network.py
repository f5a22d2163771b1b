"""The network of a fresh PC: one cable, Windows' firewall, and sshd with the bootstrap's rule."""

from __future__ import annotations

from typing import Any

from gpurig.windows.openings import EVERYWHERE


def rule(port: str, remote: str, **more: Any) -> dict[str, Any]:
    """A firewall rule as Windows keeps it, by default one that is on and allows TCP from somewhere."""
    return {
        "display": "",
        "group": "",
        "enabled": True,
        "action": "Allow",
        "profiles": ["any"],
        "protocol": "TCP",
        "ports": [port],
        "remote": [remote],
        **more,
    }


NETWORK: dict[str, Any] = {
    "network": {
        "client": "192.168.1.20",
        "interfaces": {"Ethernet": {"addresses": ["192.168.1.50/24"], "category": "public"}},
        "excluded": [[50000, 50059]],
        "deaf": [],
        "programs": [
            {"address": EVERYWHERE, "port": 135, "process": "svchost", "service": "RpcSs"},
            {"address": "::", "port": 445, "process": "System", "service": ""},
        ],
    },
    "firewall": {
        "profiles": {
            name: {"enabled": True, "block_all": False, "local_rules": True} for name in ("domain", "private", "public")
        },
        "rules": {
            "gpurig-ssh": rule("22", "LocalSubnet", display="gpurig: SSH", group="gpurig"),
            "OpenSSH-Server-In-TCP": rule("22", "any", display="OpenSSH SSH Server (sshd)", enabled=False),
            "RemoteDesktop-UserMode-In-TCP": rule(
                "3389", "any", display="Remote Desktop - User Mode (TCP-In)", enabled=False
            ),
        },
    },
    "hyperv": {"enabled": True, "inbound": "Block", "rules": {}},
    "tasks": {},
}
"""client: from where SSH comes. excluded: what winnat took at this start. programs: what else listens.

deaf: entries of the port proxy that IP Helper does not listen for until it is started anew, as after a start in a bad order.
"""
