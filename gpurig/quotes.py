"""What renting would cost: for each host that is to be made, the offer that would be taken now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from gpurig import market
from gpurig.offers import Answer, Offer, Wish
from gpurig.rental import RentalSpec


@dataclass(frozen=True, slots=True)
class Quote:
    """For one host: the offer, or why there is none. problems: vendors that could not answer, though others did."""

    offer: Offer | None
    problems: tuple[str, ...] = ()
    nothing: str = ""


def quotes(specs: Mapping[str, RentalSpec]) -> dict[str, Quote]:
    """Quotes for hosts that are to be rented at once. Hosts of one wish are asked for once, and get different machines."""
    answered: dict[tuple[Wish, tuple[str, ...]], tuple[list[Offer], list[Answer]]] = {}
    taken: set[tuple[str, str]] = set()
    found = {}
    for name, spec in specs.items():
        key = (spec.wish(), spec.sources())
        if key not in answered:
            answered[key] = market.candidates(spec)
        meeting, answers = answered[key]
        best = next((offer for offer in meeting if (offer.provider, offer.machine) not in taken), None)
        if best and best.unique:
            taken.add((best.provider, best.machine))
        problems = tuple(answer.problem for answer in answers if answer.problem)
        nothing = "" if best else market.nothing_found(name, spec, answers) if not meeting else _taken(name, spec)
        found[name] = Quote(best, problems if best else (), nothing)
    return found


def hourly(found: Iterable[Quote]) -> Decimal:
    """What they cost together, in USD per hour."""
    return sum((quote.offer.price for quote in found if quote.offer), Decimal(0))


def _taken(host: str, spec: RentalSpec) -> str:
    return f"gpurig:hosts.{host}: every machine that meets it, {spec.count} × {spec.gpu}, goes to another host of this stack."
