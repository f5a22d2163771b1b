"""What is rented, as the vendors' listings and the ledger tell together; and ending it for good.

A listing may lag behind: a machine that was just rented may not be in it yet. So a rental whose call was made, but whose
outcome is not known here, is looked for until the listing must show it; only then is it said that there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from gpurig import clock, providers, records
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.ledger import Kind, Ledger, Rental
from gpurig.providers import Machine, Owner, Report
from gpurig.stack import Stack

END_SECONDS = 60.0
"""How long a listing on this machine may go on showing what was ended."""

RENTED_END_SECONDS = 900.0
"""The same for a vendor's listing. After that the ledger says "may still bill", and the next run goes on."""

WORK_SECONDS = 100.0
"""The longest that a vendor works on a call whose answer nobody waits for any more: gateways cut it then (Cloudflare's limit)."""

LOOK_SECONDS = 5.0
"""Between two looks at a vendor's listing."""

LOOKS = 3
"""Least number of looks before it is said that a machine is not there."""


def listed(owner: Owner, names: Iterable[str], stack: Stack) -> list[Machine]:
    """Every machine of this owner at these providers; each once. Raises RigError where one cannot be asked."""
    found: dict[tuple[str, str], Machine] = {}
    for name in names:
        for machine in providers.provider(name).machines(stack, owner):
            found.setdefault((name, machine.id), replace(machine, provider=name))
    return list(found.values())


def settled(stack: Stack, owner: Owner, names: Sequence[str], report: Report, *, ending: bool = False) -> list[Machine]:
    """The same, after everything that an interrupted run may have rented or ended was found out and entered.

    ending: the host is to go, so a machine that the ledger knows and the listing does not show is ended by its id too.
    """
    machines = listed(owner, names, stack)
    for rental in _noted(stack, owner, names, report):
        machines = _awaited(stack, owner, names, rental, machines, report)
        here = next((m for m in machines if _is(rental, m)), None)
        if here and rental.state == "ending" and not ending:
            report(f"{owner.host}: going on to end {here.label} ({here.provider} {here.id}): {rental.reason}")
            remove(stack, here, rental.reason, report)
            machines = [machine for machine in machines if machine.id != here.id]
        elif here and rental.state in ("intended", "rented"):
            enter(stack, rental.id, "listed", report, machine=here.id)
        elif here is None:
            _missing(stack, owner, rental, report, ending=ending)
    for machine in machines:
        if providers.provider(machine.provider).rents and rental_of(stack, machine) is None:
            _adopted(stack, machine, report)
    return machines


def _missing(stack: Stack, owner: Owner, rental: Rental, report: Report, *, ending: bool) -> None:
    """Enter what became of a rental that no listing shows any more, or ever did."""
    records.supersede(stack, owner.host, rental.generation)
    if rental.machine and (ending or rental.state in ("rented", "ending")):
        by_id = Machine(rental.machine, owner, rental.generation, "", running=False, provider=rental.provider)
        providers.provider(rental.provider).end(stack, by_id)
    if rental.state == "ending":
        enter(stack, rental.id, "ended", report)
    elif rental.machine:
        enter(stack, rental.id, "gone", report, reason="the vendor's listing no longer shows it")
    else:
        enter(stack, rental.id, "absent", report)


def find(
    stack: Stack, rental: str, machine_of: tuple[str, Owner, int], report: Report, *, answered: bool
) -> Machine | None:
    """Look for the machine of a rental that was intended just now, until the listing must show it; None where it does not.

    answered: the vendor answered the call, whatever it said, so it does not work on it any more.
    """
    provider, owner, generation = machine_of
    delay = providers.renter(provider).listing_delay + (0 if answered else WORK_SECONDS)
    deadline, looks = clock.monotonic() + delay, 0
    while True:
        looks += 1
        try:
            shown = listed(owner, [provider], stack)
        except ConfigError:
            raise
        except RigError as error:  # a look that failed says nothing; the machine may be there
            if clock.monotonic() > deadline + RENTED_END_SECONDS:
                raise
            report(f"{owner.host}: {error}")
            shown, looks = [], looks - 1
        for machine in shown:
            if machine.generation == generation:
                enter(stack, rental, "listed", report, machine=machine.id)
                return machine
        if clock.monotonic() >= deadline and looks >= LOOKS:
            return None
        clock.sleep(LOOK_SECONDS)


def remove(stack: Stack, machine: Machine, why: str, report: Report) -> None:
    """End one machine: done when the call was understood and the listing no longer shows it. Raises RigError where it does."""
    provider = providers.provider(machine.provider)
    rental = rental_of(stack, machine) if provider.rents else None
    if rental:
        enter(stack, rental.id, "ending", report, reason=why)
    patience = RENTED_END_SECONDS if provider.rents else END_SECONDS
    deadline, pause, told = clock.monotonic() + patience, 0.5, ""
    while True:
        problem = ""
        try:
            provider.end(stack, machine)
            if all(found.id != machine.id for found in provider.machines(stack, machine.owner)):
                break
            problem = f"{machine.id} is still listed"
        except ConfigError:  # a key that is wrong now
            raise
        except RigError as error:
            problem = str(error)
        if clock.monotonic() > deadline:
            raise RigError(f"{machine.owner.host}: {problem} after {patience:.0f} s; run this again.")
        if provider.rents and problem != told:
            report(f"{machine.owner.host}: not ended yet: {problem}")
            told = problem
        clock.sleep(pause)
        pause = min(LOOK_SECONDS, pause * 1.5)
    if rental:
        enter(stack, rental.id, "ended", report)
    records.supersede(stack, machine.owner.host, machine.generation)


def gone(stack: Stack, host: Host) -> str:
    """Enter that a recorded machine is no longer listed. Returns why, where its vendor can tell; empty where it does not rent."""
    provider = providers.provider(host.provider)
    if not provider.rents:
        return ""
    why = providers.renter(host.provider).why_gone(host.id)
    for rental in Ledger(stack.home).of_host(host.project, host.stack, host.name):
        if rental.machine == host.id:
            Ledger(stack.home).note(rental.id, "gone", reason=why)
    return why


def rental_of(stack: Stack, machine: Machine) -> Rental | None:
    """The open entry of a machine; None where the ledger has none, or cannot be read."""
    try:
        rentals = Ledger(stack.home).open_rentals(label=machine.label)
    except RigError:
        return None
    return next((rental for rental in rentals if _is(rental, machine)), None)


def enter(stack: Stack, rental: str, kind: Kind, report: Report, **data: str) -> None:
    """Enter what was found out. Where the ledger cannot be written, the rental stays open there, and that is told."""
    try:
        Ledger(stack.home).note(rental, kind, **data)
    except RigError as error:
        report(f"Warning: {error}")


def _is(rental: Rental, machine: Machine) -> bool:
    same = rental.provider == machine.provider and rental.label == machine.label
    return same and rental.machine in ("", machine.id)


def _noted(stack: Stack, owner: Owner, names: Sequence[str], report: Report) -> list[Rental]:
    try:
        rentals = Ledger(stack.home).of_host(owner.project, owner.stack, owner.host)
    except RigError as error:
        report(f"Warning: {error}")
        return []
    return [rental for rental in rentals if rental.provider in names]


def _awaited(
    stack: Stack, owner: Owner, names: Sequence[str], rental: Rental, machines: list[Machine], report: Report
) -> list[Machine]:
    """The listing, once it shows this rental or must have shown it; what it showed before is looked for LOOKS times."""
    never_seen = rental.state in ("intended", "rented")
    delay = timedelta(seconds=WORK_SECONDS + providers.renter(rental.provider).listing_delay if never_seen else 0)
    looks, told = 1, False
    while not any(_is(rental, machine) for machine in machines):
        left = (rental.since + delay - clock.now()).total_seconds()
        if left < 0 and looks >= LOOKS:
            break
        if left > 0 and not told:
            report(f"{owner.host}: an interrupted run may have rented {rental.label}; looking for it for {left:.0f} s")
            told = True
        clock.sleep(min(LOOK_SECONDS, max(left + 0.1, 1.0)))
        machines = listed(owner, names, stack)
        looks += 1
    return machines


def _adopted(stack: Stack, machine: Machine, report: Report) -> None:
    """Enter a machine of ours that the ledger here does not know, from another laptop or a lost ledger."""
    owner = machine.owner
    report(f"{owner.host}: found {machine.label} ({machine.provider} {machine.id}), which the ledger did not have")
    try:
        Ledger(stack.home).adopt(
            machine.id,
            provider=machine.provider,
            label=machine.label,
            project=owner.project,
            stack=owner.stack,
            host=owner.host,
            generation=machine.generation,
            price=machine.price if machine.price is not None else Decimal(0),
            price_stopped=None,
            offer={},
        )
    except RigError as error:
        report(f"Warning: {error}")
