"""What Paperspace rents, and for how much: `types.toml`, the vendor's templates, and sizes of disks."""

from __future__ import annotations

import functools
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from gpurig import gpus
from gpurig.offers import Offer, Wish

FILE = Path(__file__).with_name("types.toml")

HOURS_A_MONTH = 720

TEMPLATES = ("ML-in-a-Box", "Ubuntu 24.04", "Ubuntu 22.04")
"""Beginnings of names of the vendor's templates, the best first: the first has NVIDIA's driver and CUDA."""

COUNTRIES = {"ny2": "US", "ca1": "US", "ams1": "NL"}


def fitting(wish: Wish) -> dict[str, dict[str, Any]]:
    """The machine types with the GPUs that are wished for: name → row of the table."""
    rows: dict[str, dict[str, Any]] = _table()["types"]
    return {name: row for name, row in rows.items() if row["count"] == wish.count and wish.gpu in (None, row["gpu"])}


def template(templates: list[dict[str, Any]], machine_type: str) -> dict[str, Any] | None:
    """The best template for a machine type, the newest of its kind; None where there is none."""
    there = [
        line
        for line in templates
        if any(t["machineTypeLabel"] == machine_type and t["isAvailable"] for t in line["availableMachineTypes"])
    ]
    for wanted in TEMPLATES:
        named = [line for line in there if line["name"].startswith(wanted)]
        if named:
            return max(named, key=lambda line: str(line["dtCreated"]))
    return None


def offer(name: str, row: dict[str, Any], chosen: dict[str, Any], region: str, wish: Wish) -> Offer:
    """The offer of a type (its name and row) with a template in a region, with a disk as large as wished."""
    size = disk(max(wish.disk, chosen["defaultSizeGb"] or 0))
    gpu = gpus.find(row["gpu"])
    stopped = disk_price(size)
    price = Decimal(row["price"]) + stopped + Decimal(_table()["address"]["month"]) / HOURS_A_MONTH
    return Offer(
        provider="paperspace",
        id=f"{name} in {region}",
        machine=f"{name} in {region}",
        gpu=row["gpu"],
        count=row["count"],
        memory=float(gpu.memory) if gpu else 0.0,
        cpus=row["cpus"],
        disk=size,
        region=region,
        country=COUNTRIES[region],
        price=price.quantize(Decimal("0.0001")),
        stopped=stopped.quantize(Decimal("0.0001")),
        data={
            "type": name,
            "region": region,
            "template": chosen["id"],
            "disk": size,
            "nvlink": bool(row.get("nvlink")),
            "compute": row["price"],
        },
    )


def disk(least: float) -> int:
    """The smallest size of a disk, in GB, that is enough; else the largest there is."""
    sizes = sorted(int(size) for size in _table()["disks"])
    return next((size for size in sizes if size >= least), sizes[-1])


def disk_price(size: int) -> Decimal:
    """USD per hour, whether the machine runs or not."""
    return Decimal(_table()["disks"][str(size)]) / HOURS_A_MONTH


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
