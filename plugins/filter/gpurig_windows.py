"""Jinja filter for the Linux side of a Windows PC: a name for a function of the gpurig package, without logic of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpurig.windows import inside


def gpurig_linux_to_come(state: Mapping[str, Any], port: int) -> bool:
    """Whether the Linux side has still to be made; see gpurig.windows.inside.to_come. state: of the PC, empty where it was not read."""
    return "inside" in state and inside.to_come(state["inside"], port)


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by the name that templates use."""
        return {"gpurig_linux_to_come": gpurig_linux_to_come}
