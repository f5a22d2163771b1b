"""Machines with GPUs, as gpurig_gpu describes them, and what may be asked of them."""

from __future__ import annotations

from typing import Any

from gpurig.gpu_software import Wanted

RTX_4090, RTX_3090, RTX_5090, V100, GTX_1080_TI, K80 = (
    "10de:2684",
    "10de:2204",
    "10de:2b85",
    "10de:1db1",
    "10de:1b06",
    "10de:102d",
)
H100, A100, B200, T4, M4000 = "10de:2330", "10de:20b2", "10de:2901", "10de:1eb8", "10de:13f1"

KERNELS = {
    "jammy": "5.15.0-151-generic",
    "noble": "6.8.0-51-generic",
    "bookworm": "6.1.0-28-amd64",
    "trixie": "6.12.48+deb13-amd64",
}


def facts(*pci: str, **changed: Any) -> dict[str, Any]:
    """A machine of its own with these GPUs, before a driver is installed."""
    found = {
        "platform": "native",
        "driver": "",
        "installed": "",
        "nouveau": False,
        "secure_boot": False,
        "nvswitches": 0,
        "devices": [],
        "pci": list(pci),
        "problem": "",
    }
    return {**found, **changed}


def wanted(release: str = "noble", **changed: Any) -> Wanted:
    given = {
        "gpu_driver": "managed",
        "init": "systemd",
        "release": release,
        "kernel": KERNELS.get(release, ""),
        "driver": "580",
    }
    return Wanted(**{**given, **changed})


def device(capability: str) -> dict[str, Any]:
    return {"name": "GPU", "capability": capability, "memory": 24 << 30}
