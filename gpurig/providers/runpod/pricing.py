"""RunPod's catalogue of GPUs as offers, with the disks in the price."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from gpurig import gpus
from gpurig.offers import Offer, Wish

CONTAINER_DISK = 20
"""GB of the container's own disk beside the user's. With less, the community cloud often finds no machine."""

LEAST_LASTING = 10
"""GB; the vendor's least for a disk that outlasts a stop."""

RUNNING_GB_MONTH = Decimal("0.10")
STOPPED_GB_MONTH = Decimal("0.20")
"""USD for a GB of disk and month: either kind while running; the lasting kind, alone, while stopped. Source: docs.runpod.io/pods/pricing."""

HOURS_A_MONTH = 720
"""The vendor does not say how long its month is; with 30 days a disk costs at most what is said here."""

STOCKS = ("HIGH", "MEDIUM", "LOW")
"""How much is free, best first. There is also NONE, of which there is no offer."""


def disks(wanted: float, *, stops: bool) -> tuple[int, int]:
    """GB of the container's own disk, wiped at every stop, and of the lasting one, for a disk of so many GB.

    stops: without a network volume. With one there can be no lasting disk, so the container's own is the user's.
    """
    whole = int(-(-wanted // 1))
    return (CONTAINER_DISK, max(LEAST_LASTING, whole)) if stops else (max(CONTAINER_DISK, whole), 0)


def price(gpu: Decimal, own: float, lasting: float, *, stopped: bool = False) -> Decimal:
    """USD per hour. gpu: of all GPUs now; own, lasting: disks in GB. A network volume is billed apart, whether mounted or not."""
    month = STOPPED_GB_MONTH * Decimal(str(lasting)) if stopped else RUNNING_GB_MONTH * Decimal(str(own + lasting))
    return (gpu + month / HOURS_A_MONTH).quantize(Decimal("0.0001"))


def offers_of(line: dict[str, Any], cloud: str, wish: Wish, *, stops: bool) -> Iterator[Offer]:
    """The offers of one model of GPU in one cloud: one for each data centre that has it, or one where the vendor names none."""
    side = cloud.lower()
    rate = line["price"].get(side)
    if line["manufacturer"] != "NVIDIA" or not line[side] or not rate:
        return
    own, lasting = disks(wish.disk, stops=stops)
    model = gpus.find(line["id"], line["memory"]) or gpus.find(line["name"], line["memory"])
    for place, stock in _stocks(line):
        yield Offer(
            provider="runpod",
            # Offers of one price are tried in the order of their ids: where most is free first.
            id=f"{STOCKS.index(stock) + 1}/{cloud}/{place or 'anywhere'}/{line['id']}",
            machine=f"{cloud}/{place or 'anywhere'}/{line['id']}",
            gpu=model.name if model else line["name"],
            count=wish.count,
            memory=float(model.memory if model else line["memory"]),
            disk=float(lasting or own),
            region=place,
            country=country(place),
            price=price(Decimal(str(rate)) * wish.count, own, lasting),
            stopped=price(Decimal(0), own, lasting, stopped=True) if stops else None,
            data={"gpu": line["id"], "cloud": cloud, "place": place},
        )


def country(place: str) -> str:
    """ISO 3166 code of a data centre, as its name tells: EU-RO-1 is in Romania, US-KS-2 in the United States."""
    continent, _, rest = place.partition("-")
    if continent in ("US", "CA"):
        return continent
    code = rest.partition("-")[0]
    return code if len(code) == 2 else ""  # noqa: PLR2004 (letters of a country's code)


def _stocks(line: dict[str, Any]) -> list[tuple[str, str]]:
    """Data centre and how much of this model is free there; "" for a data centre of the vendor's choice."""
    centres = line.get("dataCenters")
    found = [(c["id"], c["availability"]) for c in centres] if centres else [("", line.get("availability"))]
    return [(place, stock) for place, stock in found if stock in STOCKS]
