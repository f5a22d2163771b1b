"""Twins: the registry."""

from __future__ import annotations

from typing import Any

from tests.windows.model.pc import Machine
from tests.windows.model.twins import twin


@twin("apply/registry_set")
def registry_set(machine: Machine, *, path: str, name: str, type: str, value: Any) -> dict[str, Any]:  # noqa: A002
    if path.startswith("HKLM:"):
        machine.require_admin()
    machine.registry(path)[name] = int(value) if type == "dword" else str(value)
    return {"changed": True, "data": None}
