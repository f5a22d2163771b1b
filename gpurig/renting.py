"""Renting one machine for a host: the best offer within budget, entered first, looked for after any doubt, accepted or ended.

Called by the life cycle, which holds the host's lock. Never holds more than one machine for a host.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gpurig import acceptance, budget, clock, entries, market, offers, orders, providers, reach, records, settle
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.ledger import Ledger
from gpurig.offers import Offer
from gpurig.providers import BrokenError, DoubtError, Machine, NotReadyError, Order, Owner, RefusedError, Report
from gpurig.rental import RentalSpec
from gpurig.stack import Stack, locked

READY_SECONDS = 600.0
"""From a machine's rental until it is accepted."""

READY_SECONDS_LARGE = 1200.0
"""The same with LARGE or more GPUs: such machines take longer to boot."""

PRICE_MARGIN = Decimal("1.01")
"""What a vendor's listing may round a price up by."""

LARGE = 8
LOOK_SECONDS = 5.0
CALLS = 8
"""Offers that are asked for one machine; each may be taken by somebody else meanwhile."""


def rented(
    stack: Stack, owner: Owner, spec: RentalSpec, kept: Machine | None, recorded: Host | None, report: Report
) -> Host:
    """A host of this spec, accepted: on the machine that is there, else on one that is rented now.

    A new machine that proves bad is ended and another one tried; one that was accepted before is never ended for it.
    Raises RigError with every reason where none could be had.
    """
    problems: list[str] = []
    bad = market.known_bad(stack, owner)
    for _ in range(spec.tries):
        machine = kept or _rent(stack, owner, spec, frozenset(bad), report)
        try:
            return _accepted(stack, owner, spec, machine, recorded, report)
        except (BrokenError, reach.UnreachableError) as error:
            rental = entries.rental_of(stack, machine)
            ours = rental is not None and rental.offer and "accepted" not in [kind for _, kind in rental.times]
            if rental is None or not ours:
                raise RigError(
                    f"{owner.host}: {machine.provider} {machine.id} ({machine.state or 'no state told'}): {error}\n"
                    f"It is kept, since work may be on it, and it may cost money. `rig up` tries again, `rig rebuild "
                    f"{owner.host}` ends it and rents another, `rig down {owner.host}` ends it."
                ) from error
            problems.append(f"{rental.provider} {machine.id}: {error}")
            report(f"{owner.host}: {machine.provider} {machine.id} is not accepted: {error}")
            settle.remove(stack, machine, f"{market.NOT_ACCEPTED}: {error}", report)
            bad.add((rental.provider, str(rental.offer.get("machine"))))
            kept = None
    raise RigError(
        f"{owner.host}: {spec.tries} machines were tried and ended, none was accepted:\n" + "\n".join(problems)
    )


def _rent(stack: Stack, owner: Owner, spec: RentalSpec, bad: frozenset[tuple[str, str]], report: Report) -> Machine:
    """Rent the best offer that its vendor does not refuse. Raises ConfigError where there is none."""
    meeting, answers = market.candidates(spec, bad)
    if not meeting:
        raise ConfigError(market.nothing_found(owner.host, spec, answers))
    for problem in filter(None, (answer.problem for answer in answers)):
        report(f"{owner.host}: {problem}")
    refusals: list[str] = []
    try:
        machine = _taken(stack, owner, spec, meeting, refusals, report)
    except RigError:
        _tell(owner, refusals, report)
        raise
    if machine:
        _tell(owner, refusals, report)
        return machine
    if refusals:
        raise ConfigError(
            "\n".join([f"{owner.host}: nothing was rented; the vendors refused:", *dict.fromkeys(refusals)])
        )
    raise ConfigError(market.nothing_found(owner.host, spec, answers))


def _taken(
    stack: Stack, owner: Owner, spec: RentalSpec, meeting: Sequence[Offer], refusals: list[str], report: Report
) -> Machine | None:
    """The machine of the first of these offers that is not refused; None where all are. Adds why to refusals."""
    silent: set[str] = set()
    for offer in meeting:
        if offer.provider in silent or len(refusals) >= CALLS:
            continue
        with market.claimed(offer) as free:
            if not free:
                continue
            try:
                return _call(stack, owner, spec, offer, report)
            except RefusedError as error:
                refusals.append(str(error))
                if not error.another:
                    silent.add(offer.provider)
    return None


def _tell(owner: Owner, refusals: Sequence[str], report: Report) -> None:
    """Say why other offers were not taken. Where none was, the error says it, and nothing else does."""
    for refusal in dict.fromkeys(refusals):
        report(f"{owner.host}: refused before: {refusal}")


def _call(stack: Stack, owner: Owner, spec: RentalSpec, offer: Offer, report: Report) -> Machine:
    """Rent one offer and find it in the listing. Raises RefusedError where nothing was made."""
    generation = records.generation(stack, owner.host)
    order = orders.order(stack, owner, spec, generation, offer)
    daily = offer.price * offers.DAY
    report(
        f"{owner.host}: renting {offer.count} × {offer.gpu} from {offer.provider}{f' in {offer.region}' if offer.region else ''} "
        f"for ${offer.price:.3f} an hour (${daily:.2f} a day)"
    )
    with locked(stack.home / "locks" / "budget", wait=True, busy=""):
        budget.check(stack, offer.price)
        rental = Ledger(stack.home).intend(
            provider=offer.provider,
            label=order.label,
            project=owner.project,
            stack=owner.stack,
            host=owner.host,
            generation=generation,
            price=offer.price,
            price_stopped=offer.stopped,
            offer={**offer.to_dict(), "account": providers.account(offer.provider)},
        )
    where, answered = (offer.provider, owner, generation), True
    try:
        machine_id = providers.renter(offer.provider).create(order)
    except (RefusedError, ConfigError) as error:
        if isinstance(error, RefusedError) and error.made:
            left = settle.find(stack, rental, where, report, answered=True)
            if left:
                settle.remove(stack, left, f"made by a refusal: {error}", report)
                raise RefusedError(str(error), another=error.another) from error
        entries.enter(stack, rental, "refused", report, reason=str(error))
        records.supersede(stack, owner.host, generation)
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(str(error), another=False) from error
    except DoubtError as error:
        report(f"{owner.host}: {error} Looking whether it was rented nevertheless")
        machine_id, answered = "", error.answered
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        report(
            f"{owner.host}: {offer.provider}'s answer was not understood ({type(error).__name__}: {error}). Looking further"
        )
        machine_id = ""
    if machine_id:
        entries.enter(stack, rental, "rented", report, machine=machine_id)
    machine = settle.find(stack, rental, where, report, answered=answered)
    if machine is None and machine_id:
        raise RigError(
            f"{owner.host}: {offer.provider} says that it rented {machine_id}, but its listing does not show it. It may cost "
            "money: run this again, or `rig down`."
        )
    if machine is None:
        records.supersede(stack, owner.host, generation)
        entries.enter(stack, rental, "absent", report)
        raise RefusedError(f"{offer.provider}: {offer.id} was asked for, and is not in the listing.")
    return machine


def _accepted(
    stack: Stack, owner: Owner, spec: RentalSpec, machine: Machine, recorded: Host | None, report: Report
) -> Host:
    """The host on this machine, once it runs, lets us in and is what was paid for. Raises BrokenError where it is not."""
    deadline = clock.monotonic() + (READY_SECONDS_LARGE if spec.count >= LARGE else READY_SECONDS)
    order = orders.order(stack, owner, spec, machine.generation)
    rental = entries.rental_of(stack, machine)
    fresh = recorded is None or recorded.id != machine.id
    was_stopped = (rental is not None and rental.state == "stopped") or not (fresh or machine.running)
    if rental and was_stopped:
        entries.enter(stack, rental.id, "started", report)  # before it is started: what may bill counts as if it did
    if fresh and machine.price is not None and machine.price > spec.max_price * PRICE_MARGIN:
        raise BrokenError(f"it is billed ${machine.price:.3f} an hour, and max_price is ${spec.max_price}")
    host = _prepared(stack, machine, order, deadline, report)
    try:
        reach.wait(stack, host, seconds=max(0.0, deadline - clock.monotonic()), report=report, settling=True)
    except reach.UnreachableError as error:
        if recorded or not error.lasting:
            raise
        raise BrokenError("it shows another host key, so its start-up script did not do its work") from error
    rental = entries.rental_of(stack, machine)
    if fresh:
        acceptance.check(stack, host, spec, rental.offer if rental else {}, report=report)
    if rental and "accepted" not in [kind for _, kind in rental.times]:
        entries.enter(stack, rental.id, "accepted", report)
    if was_stopped and host.capabilities.stop_keeps != "all":
        report(
            f"{owner.host}: the stop wiped all but {host.capabilities.stop_keeps}; `ansible-playbook playbooks/site.yml --limit "
            f"{owner.host}` configures it again"
        )
    return host


def _prepared(stack: Stack, machine: Machine, order: Order, deadline: float, report: Report) -> Host:
    """The host on a machine, once its vendor says where it is reached. Tells how far it is."""
    provider = providers.renter(machine.provider)
    told, begun = "", clock.monotonic()
    while True:
        try:
            return orders.host(provider, machine, order)
        except (NotReadyError, DoubtError) as error:
            if begun > deadline:
                raise BrokenError(f"not ready in time: {error}") from error
            if str(error) != told:
                told = str(error)
                report(f"{order.owner.host}: {told}")
        clock.sleep(LOOK_SECONDS)
        begun = clock.monotonic()
        machine = _again(stack, order.owner, machine)


def _again(stack: Stack, owner: Owner, machine: Machine) -> Machine:
    """The machine as its vendor lists it now. Raises BrokenError where it is gone."""
    found = next((m for m in settle.listed(owner, [machine.provider], stack) if m.id == machine.id), None)
    if found is None:
        raise BrokenError("the vendor no longer lists it")
    return found
