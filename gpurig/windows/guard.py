"""Whether our firewall rules mean what they say: other people's rules and settings may open a port further, or shut it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpurig.windows import rules, topics
from gpurig.windows.state import State
from gpurig.windows.topics import network

KINDS = ("firewall_set", "firewall_remove", "hyperv_set", "hyperv_remove")
"""Actions that put a rule of ours right."""

HOW = "What is not ours is left alone: run the named command in an elevated PowerShell on the PC."


def wide(state: State, variables: Mapping[str, Any]) -> list[str]:
    """What of other people's lets every address reach a port of ours, and the command that ends it. Raises ConfigError."""
    found = state["network"]
    return [
        *network.unguarded(found, topics.wanted("network", variables)),
        *rules.loose(found, _desktop(state, variables)),
    ]


def shut(state: State, variables: Mapping[str, Any]) -> list[str]:
    """What of other people's may keep out whom our rules let in. Raises ConfigError."""
    found = state["network"]
    ports = [*network.guarded(topics.wanted("network", variables)), *_desktop(state, variables)]
    return [*rules.policies(found), *rules.shut(found, ports)]


def _desktop(state: State, variables: Mapping[str, Any]) -> list[int]:
    """Remote Desktop's port, where it is ours."""
    section: Mapping[str, Any] = state.get("rdp") or {}
    return [section["port"]] if variables.get("win_rdp_allow_from") and "port" in section else []
