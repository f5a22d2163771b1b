"""What tests of one vendor ask for: offers, an order, a host."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gpurig import config, lifecycle, offers, orders, providers
from gpurig.host import Host
from gpurig.offers import Offer, Wish
from gpurig.providers import Machine, Order, Owner
from gpurig.rental import RentalSpec
from gpurig.stack import Stack
from tests.clients.fake import Vendor


def search(vendor: Vendor, **wish: Any) -> list[Offer]:
    """The vendor's offers."""
    return answered(providers.renter(vendor.name).offers(Wish(**wish)))


def answered(offers_of_one: Coroutine[Any, Any, list[Offer]]) -> list[Offer]:
    """What a provider's `offers` gives; run in a thread of its own, as gpurig.offers does."""
    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(asyncio.run, offers_of_one).result()


def spec(vendor: Vendor, **keys: Any) -> RentalSpec:
    """The configuration of a host with a GPU that the vendor has."""
    entry = {"provider": vendor.name, "gpu": vendor.gpu, "max_price": 50, **keys}
    made = config.parse({"hosts": {"a": entry}}, "test").hosts["a"]
    assert isinstance(made, RentalSpec)
    return made


def order(stack: Stack, vendor: Vendor, host: str = "a", generation: int = 1, **keys: Any) -> Order:
    """An order for the best offer."""
    wanted = spec(vendor, **keys)
    best = offers.ranked(search(vendor), wanted.wish())[0]
    return orders.order(stack, Owner(stack.project, stack.name, host), wanted, generation, best)


def ensure(stack: Stack, vendor: Vendor, **keys: Any) -> Host:
    """Host `a`, stood up."""
    return lifecycle.ensure(stack, "a", spec(vendor, **keys), report=print)


def end(stack: Stack) -> None:
    """End host `a`."""
    lifecycle.end(stack, "a", (), report=print)


def only(vendor: Vendor) -> Machine:
    """The one machine that the provider lists."""
    (machine,) = providers.renter(vendor.name).everything()
    return machine


def bodies(vendor: Vendor) -> list[dict[str, Any]]:
    """What the calls that rented a machine asked for."""
    return [machine.facts["body"] for machine in vendor.machines.values()]
