"""What can be had at AWS now: instance types of a region, and what they cost today."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from gpurig.errors import ConfigError, RigError
from gpurig.offers import Offer, Wish, objection
from gpurig.providers.aws import client, images, types
from gpurig.providers.aws.spec import Spec

AT_ONCE = 16
"""Regions, and prices, that are asked for side by side."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_prices: dict[tuple[str, str], Decimal] = {}
"""What Amazon's price list said, by region and type: it changes a few times a year."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new instance is made from. disk: GB."""

    offer: Offer
    image: str
    disk: int


def offers(wish: Wish) -> list[Offer]:
    """Offers of the types with the GPUs that are wished for."""
    names = types.with_gpus(wish.gpu, wish.count)
    if not names:
        return []

    def ask(region: str) -> list[Offer]:
        return _found(region, names, wish.disk, interruptible=wish.interruptible)

    return [offer for found in side_by_side(ask, _regions(wish.region)) for offer in found]


def terms(spec: Spec, zone: str = "") -> Terms:
    """What a host is to be made from: the cheapest instance type that meets its spec. Raises ConfigError where there is none.

    zone: where it must be; empty for anywhere in its region.
    """
    image, least = images.find(spec.region, spec.image)
    disk = max(spec.disk, least)
    names = [spec.instance_type] if spec.instance_type else types.with_gpus(spec.gpu, spec.count)
    found = _found(spec.region, names, disk, interruptible=spec.interruptible, zone=zone)
    meeting = [offer for offer in found if objection(offer, replace(spec.wish(), max_price=None)) is None]
    best = min(meeting, key=lambda offer: (offer.price, offer.id), default=None)
    if best is None:
        reasons = {objection(offer, spec.wish()) for offer in found} or {f"it has none of {', '.join(names)}"}
        raise ConfigError(f"region: {spec.region} has no such instance: {'; '.join(map(str, reasons))}.")
    if best.price > spec.max_price:
        raise ConfigError(
            f"max_price: nothing under ${spec.max_price} an hour; {best.id} costs ${best.price:f}, with {disk} GB of disk."
        )
    return Terms(best, image, disk)


def side_by_side(ask: Callable[[Item], Answer], about: Sequence[Item]) -> list[Answer]:
    """The answers to the same question about several things, asked at once."""
    if not about:
        return []
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(about))) as pool:
        return list(pool.map(ask, about))


def _regions(region: str | None) -> list[str]:
    """The regions that a search looks into: the one that is wished for, those of a country, else the one of AWS's usual chain."""
    if region and re.match(types.REGION, region.lower()):
        return [region.lower()]
    if region:
        return [name for name in client.regions() if types.in_country(name, region)]
    usual = client.default_region()
    if not usual:
        raise ConfigError("aws: no region: set AWS_REGION, or ask for one such as eu-central-1 (`--region`).")
    return [usual]


def _found(region: str, names: Sequence[str], disk: float, *, interruptible: bool, zone: str = "") -> list[Offer]:
    """Offers of those of these types that a region has, at today's prices. zone: of spot instances; empty for any."""
    lines = [line for line in client.instance_types(region, names) if line.get("GpuInfo")]
    there = [line["InstanceType"] for line in lines]
    if interruptible:
        spot = client.spot_prices(region, there, zone) if there else {}
        return [
            types.offer(line, region, disk, spot[name][0], zone=spot[name][1], source="spot price")
            for line, name in zip(lines, there, strict=True)
            if name in spot
        ]
    prices = side_by_side(lambda name: _on_demand(region, name), there)
    return [
        types.offer(line, region, disk, price, source=source)
        for line, (price, source) in zip(lines, prices, strict=True)
        if price is not None
    ]


def _on_demand(region: str, name: str) -> tuple[Decimal | None, str]:
    """USD per hour on demand, and who says so: Amazon's price list, else gpurig's own table."""
    price = _prices.get((region, name))
    if price is None:
        with suppress(RigError):  # not every account may ask, and its answer may be slow
            price = client.list_price(region, name)
    if price is None:
        return types.assumed(name, region), "gpurig's table"
    _prices[region, name] = price
    return price, "price list"
