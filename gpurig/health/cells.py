"""What nvidia-smi's row of one GPU tells, and in which words to say that it does not."""

from __future__ import annotations

import re

from gpurig.health.finding import Finding, Wanted
from gpurig.health.recording import Row

DATACENTER = re.compile(r"(NVIDIA )?(Tesla )?(A|B|GB|GH|H|L|P|T|V)\d+")
"""Names of GPUs made for servers; all of them have ECC memory."""


def number(row: Row, *fields: str) -> float | None:
    """The first of these fields that has a number; None where none has."""
    found = (cell.number for field in fields if (cell := row.get(field)))
    return next((value for value in found if value is not None), None)


def text(row: Row, field: str) -> str:
    """A field's value as it stands there; empty where it is not told."""
    cell = row.get(field)
    return cell.text if cell and cell.state == "known" else ""


def of_server(row: Row) -> bool:
    """Whether it is a GPU made for servers."""
    return DATACENTER.match(text(row, "name")) is not None


def broken(name: str, row: Row) -> Finding | None:
    """A FAIL where the GPU could not fill a field that it has."""
    bad = [f"{field}: {cell.text}" for field, cell in row.items() if cell.state == "broken"]
    if not bad:
        return None
    return Finding(
        name=name,
        verdict="FAIL",
        value=bad[0] + f" and {len(bad) - 1} more" * (len(bad) > 1),
        expected="a value, or N/A",
        source="NVIDIA, nvml.h: NVML_ERROR_RESET_REQUIRED, NVML_ERROR_UNKNOWN",
        reason="The GPU does not answer its driver as it should.",
        advice="Reset it (`nvidia-smi --gpu-reset`) or reboot the machine; of a rented machine, take another.",
    )


def not_told(name: str, row: Row, field: str, wanted: Wanted) -> Finding:
    """A SKIP with the reason why this field says nothing here."""
    return Finding(name=name, verdict="SKIP", reason=_why(row, field, wanted))


def _why(row: Row, field: str, wanted: Wanted) -> str:
    if field not in row:
        return f"this driver's nvidia-smi has no field {field}"
    if wanted.platform == "wsl2":
        return "WSL2 does not tell it"
    if (split := row.get("mig.mode.current")) and split.yes:
        return "a GPU split by MIG does not tell it"
    name = text(row, "name")
    if name and not of_server(row):
        return f"{name} does not tell it, as most GPUs that were not made for servers"
    return f"{name or 'this GPU'} does not tell it here"
