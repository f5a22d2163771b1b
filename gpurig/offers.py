"""Offers of machines to rent, and which of them meets a wish: the same code for `rig offers` and for renting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from gpurig import providers
from gpurig.errors import RigError

SECONDS = 180.0
"""How long one provider may take to answer a search, its place in the vendor's queue included; see api.ASK_SECONDS."""

DAY = 24

REGIONS = {
    "EU": "AT BE BG HR CY CZ DE DK EE ES FI FR GR HU IE IT LT LU LV MT NL PL PT RO SE SI SK",
    "EUROPE": "AT BE BG CH CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LT LU LV MT NL NO PL PT RO RS SE SI SK UA",
    "NA": "US CA MX",
    "ASIA": "JP KR SG TW IN HK VN TH MY ID CN AE IL",
}
"""Groups of countries (ISO 3166 codes) that a wish may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A machine that can be rented now.

    id: what the provider's call to rent takes. machine: what is left out of later choices when this one proves bad.
    gpu: canonical name, else the vendor's. memory: GB of one GPU; ram, disk: GB; link: Mbit/s down; reliability: 0 to 1.
    region: the vendor's own name; country: ISO 3166 code, empty where unknown.
    price: USD per hour for the whole machine, its disk included; stopped: USD per hour while stopped, None where it
    cannot be stopped. unique: it is one machine, not a kind of which there may be more. data: what the provider needs to rent it, as plain JSON data.
    """

    provider: str
    id: str
    machine: str
    gpu: str
    count: int
    memory: float
    cpus: float | None = None
    ram: float | None = None
    disk: float | None = None
    region: str = ""
    country: str = ""
    price: Decimal
    stopped: Decimal | None = None
    interruptible: bool = False
    reliability: float | None = None
    link: float | None = None
    unique: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; money as text, so that it stays exact."""
        return {key: str(value) if isinstance(value, Decimal) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to rent. Units as in Offer; disk is what must be had besides, and enters the price.

    interruptible: True wants machines that may be taken away, for less; False wants those that may not.
    exclude: machines, as (provider, machine), that proved bad or that nobody wants.
    """

    gpu: str | None = None
    count: int = 1
    memory: float | None = None
    disk: float = 50
    max_price: Decimal | None = None
    region: str | None = None
    reliability: float | None = None
    link: float | None = None
    interruptible: bool = False
    exclude: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one provider said to a search. problem: why it could not answer; its offers are empty then."""

    provider: str
    offers: tuple[Offer, ...] = ()
    problem: str = ""


def objection(offer: Offer, wish: Wish) -> str | None:
    """Why this offer does not meet the wish, in words; None where it does."""
    return next((words for met, words in _conditions(offer, wish) if not met), None)


def _conditions(offer: Offer, wish: Wish) -> Iterator[tuple[bool, str]]:
    """Each condition of a wish: whether the offer meets it, and what is said where it does not. Unknown figures pass."""
    yield (
        (offer.provider, offer.machine) not in wish.exclude,
        "this machine is excluded: it proved bad before, or `exclude` names it",
    )
    yield wish.gpu in (None, offer.gpu), f"its GPU is {offer.gpu}, not {wish.gpu}"
    yield offer.count == wish.count, f"it has {offer.count} GPUs, not {wish.count}"
    yield _enough(offer.memory, wish.memory), f"{offer.memory:g} GB of GPU memory are less than {wish.memory or 0:g}"
    taken_away = "it may be interrupted" if offer.interruptible else "it is on demand, not interruptible"
    yield offer.interruptible == wish.interruptible, taken_away
    yield _enough(offer.disk, wish.disk), f"{offer.disk or 0:g} GB of disk are less than {wish.disk:g}"
    away = f"it is in {offer.region or 'an unknown place'}, not in {wish.region}"
    yield wish.region is None or in_region(offer, wish.region), away
    reliability = f"its reliability of {offer.reliability or 0:.1%} is less than {wish.reliability or 0:.1%}"
    yield _enough(offer.reliability, wish.reliability), reliability
    yield _enough(offer.link, wish.link), f"{offer.link or 0:.0f} Mbit/s are less than {wish.link or 0:.0f}"
    affordable = wish.max_price is None or offer.price <= wish.max_price
    yield affordable, f"${offer.price:f} an hour is more than ${wish.max_price}"


def _enough(found: float | None, wanted: float | None) -> bool:
    return wanted is None or found is None or found >= wanted


def in_region(offer: Offer, region: str) -> bool:
    """Whether an offer is in a region: the vendor's own name or its beginning, a country's code, or a group of REGIONS."""
    wanted = region.upper()
    return (
        offer.country in (wanted, *REGIONS.get(wanted, "").split())
        or offer.region.upper() == wanted
        or offer.region.upper().startswith((f"{wanted}-", f"{wanted} ", f"{wanted},"))
    )


def ranked(offers: Iterable[Offer], wish: Wish, order: Sequence[str] = ()) -> list[Offer]:
    """The offers that meet a wish, best first: by the order of preferred providers, else all alike; then by price."""
    preferred = {name: place for place, name in enumerate(order)}
    meeting = [offer for offer in offers if objection(offer, wish) is None]
    return sorted(meeting, key=lambda o: (preferred.get(o.provider, len(order)), o.price, -(o.reliability or 0), o.id))


def search(names: Iterable[str], wish: Wish) -> list[Answer]:
    """Ask these providers at once, each with a time limit of its own. Answers come in the order of the names.

    A provider that is slow, broken or has no key is an Answer with a problem; it never hides the others.
    """
    with ThreadPoolExecutor(max_workers=1) as apart:  # the caller's thread may have a loop of its own, as Pulumi's has
        return apart.submit(asyncio.run, _search(list(names), wish)).result()


async def _search(names: list[str], wish: Wish) -> list[Answer]:
    return list(await asyncio.gather(*(_ask(name, wish) for name in names)))


async def _ask(name: str, wish: Wish) -> Answer:
    try:
        async with asyncio.timeout(SECONDS):
            return Answer(name, tuple(await providers.renter(name).offers(wish)))
    except TimeoutError:
        return Answer(name, problem=f"{name}: no answer within {SECONDS:.0f} s")
    except RigError as error:
        return Answer(name, problem=str(error))
    except Exception as error:  # noqa: BLE001 (a broken provider must not hide the others)
        return Answer(name, problem=f"{name}: its answer was not understood ({type(error).__name__}: {error})")
