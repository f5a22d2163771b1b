"""What `rig up` would spend, host by host, and whether it may: said before anything is rented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from gpurig import budget, providers, quotes, records
from gpurig.errors import ConfigError
from gpurig.ledger import Ledger, Rental
from gpurig.offers import DAY
from gpurig.ops import console
from gpurig.quotes import Quote
from gpurig.rental import RentalSpec

if TYPE_CHECKING:
    from gpurig.config import StackConfig
    from gpurig.engine import Step
    from gpurig.host import Host
    from gpurig.offers import Offer
    from gpurig.stack import Stack


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps, and what they cost. quotes: for hosts that are to be rented; taken_over: for those that an interrupted run
    may have rented already; resumed: for those that are stopped; lost: rented machines that are to be ended."""

    steps: Sequence[Step]
    quotes: Mapping[str, Quote] = field(default_factory=dict)
    taken_over: Mapping[str, Rental] = field(default_factory=dict)
    resumed: Mapping[str, Rental] = field(default_factory=dict)
    lost: Sequence[Host] = ()

    @property
    def spends(self) -> bool:
        """Whether it costs money, so that somebody must agree."""
        return bool(self.quotes or self.taken_over or self.resumed)


def planned(stack: Stack, wanted: StackConfig, steps: Sequence[Step]) -> Plan:
    """Ask the vendors what these steps would cost. Tells of vendors that do not answer."""
    rented: dict[str, RentalSpec] = {}
    for step in steps:
        spec = wanted.hosts.get(step.host)
        if isinstance(spec, RentalSpec) and step.action in ("create", "replace"):
            rented[step.host] = spec
    recorded = [host for step in steps if (host := _record(stack, step)) and host.provider in providers.RENTERS]
    ending = {step.host for step in steps if step.action in ("replace", "end")}
    if not rented and not recorded:
        return Plan(steps)
    entries = {rental.host: rental for rental in _open(stack)}
    taken_over = {name: entries[name] for name in rented if name in entries and name not in ending}
    asked = {name: spec for name, spec in rented.items() if name not in taken_over}
    found: dict[str, Quote] = {}
    if asked:
        with console.working("Asking for offers"):
            found = quotes.quotes(asked)
    for problem in dict.fromkeys(problem for quote in found.values() for problem in quote.problems):
        console.say(problem)
    starting = {step.host for step in steps if step.action == "start"}
    return Plan(
        steps,
        found,
        taken_over,
        {host.name: entries[host.name] for host in recorded if host.name in starting and host.name in entries},
        [host for host in recorded if host.name in ending],
    )


def warn(plan: Plan, *, at_once: bool = False) -> None:
    """Say what is lost, what is not to be had, and what everything costs together.

    at_once: nobody is asked first, so that the error which comes at once says what is not to be had.
    """
    for host in plan.lost:
        console.say(f"Warning: {host.name}: {host.provider} {host.id} is ended; its disk and everything on it is lost.")
    tried = {step.host for step in plan.steps if at_once and step.action == "create"}
    for name, quote in plan.quotes.items():
        if quote.nothing and name not in tried:
            console.say(quote.nothing)
    price = quotes.hourly(plan.quotes.values())
    if sum(quote.offer is not None for quote in plan.quotes.values()) > 1:
        console.say(f"Together {_price(price)}, while they are there.")


def refuse(plan: Plan, stack: Stack, wanted: StackConfig) -> None:
    """Raise ConfigError where a host would be ended for one that cannot be had, or the budget does not bear it all."""
    replaced = {step.host for step in plan.steps if step.action == "replace"}
    hopeless = [name for name, quote in plan.quotes.items() if name in replaced and quote.offer is None]
    if hopeless:
        raise ConfigError(
            f"{', '.join(hopeless)}: not replaced, since there is no offer for what would replace it; nothing was changed."
        )
    if wanted.budget and plan.quotes:
        ending = {step.host for step in plan.steps if step.action in ("replace", "end")}
        budget.fits(stack, quotes.hourly(plan.quotes.values()), wanted.budget, ending=ending)


def words(plan: Plan, host: str) -> str:
    """What is said of a host's price; nothing where it costs none."""
    if quote := plan.quotes.get(host):
        return _offered(quote.offer) if quote.offer else "nothing is offered for it"
    if rental := plan.taken_over.get(host):
        return f"an interrupted run may have rented it: {rental.provider} {rental.machine or rental.label}, {_price(rental.price)}"
    if rental := plan.resumed.get(host):
        return f"it costs {_price(rental.price)} again"
    return ""


def as_data(plan: Plan, host: str) -> dict[str, object]:
    """The same for programs: the offer, and USD per hour as text."""
    if quote := plan.quotes.get(host):
        if quote.offer is None:
            return {"problem": quote.nothing}
        return {"hourly": f"{quote.offer.price:f}", "offer": quote.offer.to_dict()}
    rental = plan.taken_over.get(host) or plan.resumed.get(host)
    return {"hourly": f"{rental.price:f}"} if rental else {}


def _offered(offer: Offer) -> str:
    kind = ", interruptible" if offer.interruptible else ""
    where = f" in {offer.region}" if offer.region else ""
    return f"{offer.count} × {offer.gpu} from {offer.provider}{where}{kind}, {_price(offer.price)}"


def _price(hourly: Decimal) -> str:
    return f"${hourly:.3f} an hour (${hourly * DAY:.2f} a day)"


def _record(stack: Stack, step: Step) -> Host | None:
    return None if step.action in ("create", "same") else records.get(stack, step.host)


def _open(stack: Stack) -> list[Rental]:
    if not Ledger(stack.home).file.exists():
        return []
    return [r for r in Ledger(stack.home).open_rentals() if (r.project, r.stack) == (stack.project, stack.name)]
