"""Twins: power."""

from __future__ import annotations

from typing import Any

from gpurig.windows.topics.power import FAST_STARTUP
from tests.windows.model.pc import Machine, PowerShellError
from tests.windows.model.twins import twin


@twin("collect/power")
def collect(machine: Machine) -> dict[str, Any]:
    power = machine.data["power"]
    return {
        "standby_ac": power["standby"],
        "hibernate_ac": power["hibernate"],
        "fast_startup": machine.value(FAST_STARTUP, "HiberbootEnabled") == 1,
        "wake": [dict(card) for card in power["wake"]],
    }


@twin("apply/power_set")
def power_set(machine: Machine, *, what: str, seconds: int) -> dict[str, Any]:
    machine.data["power"][what] = -(-seconds // 60) * 60
    return {"changed": True, "data": None}


@twin("apply/wake_set")
def wake_set(machine: Machine, *, adapter: str, enabled: bool) -> dict[str, Any]:
    machine.require_admin()
    for card in machine.data["power"]["wake"]:
        if card["adapter"] == adapter:
            card["enabled"] = enabled
            return {"changed": True, "data": None}
    raise PowerShellError(
        f"No MSFT_NetAdapter objects found with property 'Name' equal to '{adapter}'.",
        code="CmdletizationQuery_NotFound",
    )
