"""Which offers a host is rented from: those that meet its wish, less machines that proved bad, one host each."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from gpurig import clock, offers
from gpurig.ledger import Ledger
from gpurig.offers import Answer, Offer
from gpurig.providers import Owner, listing
from gpurig.rental import RentalSpec
from gpurig.stack import Stack

NOT_ACCEPTED = "not accepted"
"""How the reason begins with which a machine was ended that is not what was paid for."""

BAD_FOR = timedelta(days=1)
"""How long such a machine is left out of later choices."""

_taken: set[tuple[str, str]] = set()
_taken_lock = threading.Lock()


def candidates(spec: RentalSpec, bad: frozenset[tuple[str, str]] = frozenset()) -> tuple[list[Offer], list[Answer]]:
    """The offers that meet a spec, best first, and what every provider answered."""
    wish = spec.wish(bad)
    answers = listing.shared((spec.sources(), wish), lambda: offers.search(spec.sources(), wish))
    found = [offer for answer in answers for offer in answer.offers]
    return offers.ranked(found, wish, spec.sources()), answers


def nothing_found(host: str, spec: RentalSpec, answers: Sequence[Answer]) -> str:
    """Why there is no offer, and what would be the nearest one."""
    wish = spec.wish()
    problems = [answer.problem for answer in answers if answer.problem]
    every = [offer for answer in answers for offer in answer.offers]
    anything = replace(wish, max_price=None)
    dearer = offers.ranked(every, anything)
    key = f"gpurig:hosts.{host}"
    if dearer:
        nearest = dearer[0]
        problems.append(
            f"{key}.max_price: nothing under ${spec.max_price} an hour. The cheapest that meets the rest is "
            f"${nearest.price:f} at {nearest.provider}{f' in {nearest.region}' if nearest.region else ''}."
        )
    elif every and wish.region and not any(offers.in_region(offer, wish.region) for offer in every):
        there = sorted({offer.country or offer.region for offer in every} - {""})
        problems.append(f"{key}.region: nothing is offered in {wish.region!r}; there are: {', '.join(there)}.")
    elif every:
        reasons = sorted({offers.objection(offer, wish) or "" for offer in every})
        problems.append(f"{key}: no offer meets it ({'; '.join(reasons[:4])}). `rig offers --explain` shows all.")
    elif len(problems) < len(answers):
        problems.append(
            f"{key}.gpu: nobody offers {spec.count} × {spec.gpu} with {spec.disk} GB of disk now. `rig offers` shows what there is."
        )
    return "\n".join(problems)


def known_bad(stack: Stack, owner: Owner) -> set[tuple[str, str]]:
    """Machines that this host had within BAD_FOR and that were not accepted; kinds of machines are not blamed for one."""
    return {
        (rental.provider, str(rental.offer["machine"]))
        for rental in Ledger(stack.home).rentals()
        if (rental.project, rental.stack, rental.host) == (owner.project, owner.stack, owner.host)
        and rental.reason.startswith(NOT_ACCEPTED)
        and rental.offer.get("unique")
        and clock.now() - rental.since < BAD_FOR
    }


@contextmanager
def claimed(offer: Offer) -> Iterator[bool]:
    """Whether no other host of this process is about to rent this one; held meanwhile."""
    key = (offer.provider, offer.machine)
    with _taken_lock:
        free = not offer.unique or key not in _taken
        if free and offer.unique:
            _taken.add(key)
    try:
        yield free
    finally:
        if free:
            with _taken_lock:
                _taken.discard(key)
