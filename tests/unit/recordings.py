"""Parts of recordings of GPUs, as tests need them: none was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpurig.health.finding import Finding, Platform, Wanted

GEFORCE = {"name": "NVIDIA GeForce RTX 3090", "memory.total": "24576", "driver_version": "580.95.05"}
SERVER = {"name": "NVIDIA H100 80GB HBM3", "memory.total": "81559", "driver_version": "590.48.01"}


def wanted(platform: Platform = "native", **more: Any) -> Wanted:
    return Wanted(platform=platform, **more)


def run(out: str = "", code: int | None = 0, err: str = "") -> dict[str, Any]:
    return {"code": code, "out": out, "err": err, "seconds": 0.1}


def smi(*gpus: Mapping[str, str], listed: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A recording in which nvidia-smi lists these GPUs."""
    fields = list(dict.fromkeys(field for gpu in gpus for field in gpu))
    lines = "".join(", ".join(gpu.get(field, "[N/A]") for field in fields) + "\n" for gpu in gpus)
    names = "".join(f"GPU {index}: {gpu.get('name', 'a GPU')} (UUID: GPU-1)\n" for index, gpu in enumerate(gpus))
    return {"smi": {"list": listed or run(names), "fields": fields, "query": run(lines), **more}}


def by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}
