"""Instance types and what they cost: `types.toml`, disks and addresses."""

from __future__ import annotations

import functools
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from gpurig import gpus
from gpurig.offers import REGIONS, Offer

FILE = Path(__file__).with_name("types.toml")

REGION = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
"""What names of regions look like."""

COUNTRIES = {
    "us": "US", "ca": "CA", "mx": "MX", "sa": "BR", "il": "IL", "af": "ZA", "eu-central-1": "DE", "eu-central-2": "CH",
    "eu-west-1": "IE", "eu-west-2": "GB", "eu-west-3": "FR", "eu-north-1": "SE", "eu-south-1": "IT", "eu-south-2": "ES",
    "ap-northeast-1": "JP", "ap-northeast-2": "KR", "ap-northeast-3": "JP", "ap-southeast-1": "SG", "ap-southeast-2": "AU",
    "ap-southeast-3": "ID", "ap-southeast-4": "AU", "ap-southeast-5": "MY", "ap-southeast-7": "TH", "ap-south-1": "IN",
    "ap-south-2": "IN", "ap-east-1": "HK", "ap-east-2": "TW", "me-central-1": "AE", "me-south-1": "BH",
}  # fmt: skip
"""Region, or how its name begins → ISO 3166 code."""

CHEAP = ("us-east-1", "us-east-2", "us-west-2")
"""Regions where the table's prices hold."""

DEARER = Decimal("1.5")
"""What is assumed elsewhere, where Amazon's price list cannot be asked: more than most regions cost."""

HOURS_A_MONTH = 730

DISK_MONTH = Decimal("0.08")
DISK_MONTH_ELSEWHERE = Decimal("0.12")
"""USD per GB of gp3 and month in CHEAP regions, and at most in most others (https://aws.amazon.com/ebs/pricing)."""

ADDRESS = Decimal("0.005")
"""USD per hour of a public IPv4 address (https://aws.amazon.com/vpc/pricing)."""

EXACT = Decimal("0.0001")


def names() -> tuple[str, ...]:
    """Every instance type of the table."""
    return tuple(_table())


def row(name: str) -> dict[str, Any]:
    """A type's GPU, count and price."""
    return _table()[name]


def with_gpus(gpu: str | None, count: int) -> list[str]:
    """Types with these GPUs, the cheapest first; None for any GPU."""
    found = [name for name, row in _table().items() if row["count"] == count and gpu in (None, row["gpu"])]
    return sorted(found, key=lambda name: Decimal(row(name)["price"]))


def assumed(name: str, region: str) -> Decimal | None:
    """USD per hour on demand after the table; None where it has no such type."""
    known = _table().get(name)
    return None if known is None else Decimal(known["price"]) * (1 if region in CHEAP else DEARER)


def disk(gigabytes: float, region: str) -> Decimal:
    """USD per hour of a disk, also while its instance is stopped."""
    month = DISK_MONTH if region in CHEAP else DISK_MONTH_ELSEWHERE
    return Decimal(str(gigabytes)) * month / HOURS_A_MONTH


def country(region: str) -> str:
    """ISO 3166 code; empty where unknown."""
    return COUNTRIES.get(region) or COUNTRIES.get(region.partition("-")[0], "")


def in_country(region: str, wanted: str) -> bool:
    """Whether a region is in a country (its ISO 3166 code) or in a group of countries."""
    return country(region) in (wanted.upper(), *REGIONS.get(wanted.upper(), "").split())


def offer(
    line: dict[str, Any], region: str, gigabytes: float, compute: Decimal, *, zone: str = "", source: str = ""
) -> Offer:
    """The offer of a type, as DescribeInstanceTypes tells of it.

    compute: USD per hour. zone: where a spot instance has this price; empty on demand. source: of the price.
    """
    name = line["InstanceType"]
    device = line["GpuInfo"]["Gpus"][0]
    memory = device["MemoryInfo"]["SizeInMiB"] / 1024
    known = gpus.find(_table()[name]["gpu"]) if name in _table() else gpus.find(device["Name"], memory)
    stopped = disk(gigabytes, region)
    return Offer(
        provider="aws",
        id=f"{name} in {zone or region}",
        machine=f"{name} in {zone or region}",
        gpu=known.name if known else device["Name"],
        count=device["Count"],
        memory=float(known.memory) if known else round(memory, 1),
        cpus=line["VCpuInfo"]["DefaultVCpus"],
        ram=round(line["MemoryInfo"]["SizeInMiB"] / 1024, 1),
        disk=None,
        region=region,
        country=country(region),
        price=(compute + stopped + ADDRESS).quantize(EXACT),
        stopped=None if zone else stopped.quantize(EXACT),
        interruptible=bool(zone),
        data={"type": name, "region": region, "zone": zone, "source": source},
    )


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
