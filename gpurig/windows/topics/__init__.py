"""Topics: what is configured on a Windows PC, one module each, in the order in which their roles run.

A module has `SECTIONS` (of the state that it reads), `Wanted` (a frozen dataclass; its fields are the variables of role
win_<topic>, win_<topic>_<field>, with the same defaults) and `plan(state, wanted) -> Plan`: pure, and empty once its actions are done.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from gpurig.windows import plan
from gpurig.windows.plan import Plan
from gpurig.windows.state import State

TOPICS = ("preflight", "wsl", "wslconfig", "distribution", "linux", "keeper", "network", "power", "rdp", "disk")


def sections(topic: str) -> tuple[str, ...]:
    """The sections of the state that a topic reads."""
    found: tuple[str, ...] = import_module(f"{__name__}.{topic}").SECTIONS
    return found


def wanted(topic: str, variables: Mapping[str, Any]) -> Any:
    """A topic's `Wanted` from a host's variables. Raises ConfigError."""
    return plan.wanted(import_module(f"{__name__}.{topic}").Wanted, variables, f"win_{topic}_")


def decide(topic: str, state: State, variables: Mapping[str, Any]) -> Plan:
    """What is to be done about a topic on this PC. Raises ConfigError for variables of the wrong type."""
    found: Plan = import_module(f"{__name__}.{topic}").plan(state, wanted(topic, variables))
    return found
