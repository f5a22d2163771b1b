"""nvidia-smi's answers: where it is found, which fields it knows, and what it says of every GPU."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from gpurig.health.probes import programs

SECONDS = 30.0
"""For each answer of nvidia-smi."""

PLACES = ("/usr/lib/wsl/lib", "/usr/bin", "/usr/local/nvidia/bin", "/usr/local/bin", "/run/current-system/sw/bin")
"""Where nvidia-smi is although it is not on the PATH; the first is WSL2's."""

FIELDS = (
    ("index",),
    ("name",),
    ("pci.bus_id",),
    ("driver_version",),
    ("vbios_version",),
    ("compute_cap",),
    ("memory.total",),
    ("memory.used",),
    ("temperature.gpu",),
    ("temperature.gpu.tlimit",),
    ("temperature.memory",),
    ("pstate",),
    ("power.draw",),
    ("power.limit",),
    ("enforced.power.limit",),
    ("power.default_limit",),
    ("clocks.sm", "clocks.current.sm"),
    ("clocks.max.sm",),
    ("clocks_event_reasons.active", "clocks_throttle_reasons.active"),
    ("pcie.link.gen.gpucurrent", "pcie.link.gen.current"),
    ("pcie.link.gen.max",),
    ("pcie.link.width.current",),
    ("pcie.link.width.max",),
    ("ecc.mode.current",),
    ("ecc.mode.pending",),
    ("ecc.errors.corrected.volatile.total",),
    ("ecc.errors.uncorrected.volatile.total",),
    ("ecc.errors.uncorrected.aggregate.total",),
    ("ecc.errors.uncorrected.aggregate.sram",),
    ("retired_pages.pending",),
    ("retired_pages.single_bit_ecc.count",),
    ("retired_pages.double_bit.count",),
    ("remapped_rows.correctable",),
    ("remapped_rows.uncorrectable",),
    ("remapped_rows.pending",),
    ("remapped_rows.failure",),
    ("gpu_recovery_action",),
    ("persistence_mode",),
    ("compute_mode",),
    ("mig.mode.current",),
    ("display_active",),
)
"""What is asked of each GPU; of several names, the first that this nvidia-smi knows. One unknown name fails the whole query."""

KNOWN_TO_ALL = (
    "index",
    "name",
    "pci.bus_id",
    "driver_version",
    "memory.total",
    "memory.used",
    "temperature.gpu",
    "pstate",
)

UNKNOWN = re.compile(r'Field "([^"]+)" is not a valid field')


def answers() -> dict[str, Any]:
    """Everything that nvidia-smi is asked, most of it side by side."""
    path = program()
    found: dict[str, Any] = {"path": path}
    programs.together(
        {
            "list": lambda: programs.run([path, "-L"], SECONDS),
            "help": lambda: programs.run([path, "--help-query-gpu"], SECONDS),
        },
        found,
    )
    known = found.pop("help")["out"]
    if found["list"]["code"] is None:
        silence = {"code": None, "out": "", "err": "not asked, as nvidia-smi -L gave no answer", "seconds": 0.0}
        return dict(found, fields=[], query=silence, nvlink=silence, nvlink_errors=silence, topology=silence)
    programs.together(
        {
            "query": lambda: query(path, fields(known)),
            "nvlink": lambda: programs.run([path, "nvlink", "-s"], SECONDS),
            "nvlink_errors": lambda: programs.run([path, "nvlink", "-e"], SECONDS),
            "topology": lambda: programs.run([path, "topo", "-m"], SECONDS),
        },
        found,
    )
    found["fields"], found["query"] = found["query"]
    return found


def program() -> str:
    """Where nvidia-smi is; its bare name where it is nowhere."""
    places = (f"{place}/nvidia-smi" for place in PLACES)
    return shutil.which("nvidia-smi") or next((path for path in places if Path(path).exists()), "nvidia-smi")


def fields(known: str) -> list[str]:
    """Names of fields to ask for, from nvidia-smi's own list of them."""
    names = {name for line in known.splitlines() if line.startswith('"') for name in re.findall(r'"([\w.]+)"', line)}
    if not names:
        return list(KNOWN_TO_ALL)
    return [next(name for name in spellings if name in names) for spellings in FIELDS if names.intersection(spellings)]


def query(path: str, names: list[str], seconds: float = SECONDS) -> tuple[list[str], dict[str, Any]]:
    """The fields that could be asked for, and the answer. What this nvidia-smi calls unknown is left out."""
    while True:
        answer = programs.run([path, f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"], seconds)
        refused = UNKNOWN.search(answer["out"] + answer["err"])
        if not refused or refused.group(1) not in names or len(names) == 1:
            return names, answer
        names = [name for name in names if name != refused.group(1)]
