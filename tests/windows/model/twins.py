"""The Python twins of gpurig's PowerShell scripts: what each does, done to the simulated PC.

A twin is registered under its script's name and takes the script's parameters in snake_case. It is called only with the
very text of the script that is in the project, and with parameters that the script itself would take.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from gpurig.windows import wire
from tests.windows import powershell
from tests.windows.model.pc import Machine, PowerShellError

Twin = Callable[..., Any]

TWINS: dict[str, Twin] = {}
"""Script's name, such as apply/power_set → its twin."""


def twin(name: str) -> Callable[[Twin], Twin]:
    """Register the twin of a script."""

    def registered(function: Twin) -> Twin:
        TWINS[name] = function
        return function

    return registered


def load() -> Mapping[str, Twin]:
    """All twins: those in modules of this folder called twins_*.py."""
    for path in sorted(Path(__file__).parent.glob("twins_*.py")):
        import_module(f"tests.windows.model.{path.stem}")
    return TWINS


def call(machine: Machine, name: str, text: str, parameters: Mapping[str, Any]) -> Any:
    """Do what the script would do. Raises PowerShellError where PowerShell itself would refuse the call."""
    assert text == wire.script(name), f"{name}: not the text of the project"
    taken = {one.name: one for one in powershell.parameters(text)}
    for given, value in parameters.items():
        if given not in taken:
            problem = f"A parameter cannot be found that matches parameter name '{given}'."
            raise PowerShellError(problem, code="NamedParameterNotFound", hresult="0x80131501")
        if taken[given].allowed and value not in taken[given].allowed:
            problem = f"Cannot validate argument on parameter '{given}'."
            raise PowerShellError(problem, code="ParameterArgumentValidationError", hresult="0x80131501")
    missing = [one.name for one in taken.values() if one.mandatory and parameters.get(one.name) in (None, "", [])]
    if missing:
        problem = f"Cannot process command because of one or more missing mandatory parameters: {' '.join(missing)}."
        raise PowerShellError(problem, code="MissingMandatoryParameter", hresult="0x80131501")
    return load()[name](machine, **{_snake(given): value for given, value in parameters.items()})


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
