"""What is rented, as the vendors' listings and the ledger tell together; and ending it for good.

A listing may lag behind: a machine that was just rented may not be in it yet. So a rental whose call was made, but whose
outcome is not known here, is looked for until the listing must show it; only then is it said that there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from gpurig import clock, entries, providers, records
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.ledger import Ledger, Rental
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
        try:
            machines = providers.provider(name).machines(stack, owner)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise RigError(f"{name}: its listing was not understood ({type(error).__name__}: {error}).") from error
        for machine in machines:
            found.setdefault((name, machine.id), replace(machine, provider=name))
    return list(found.values())


def settled(stack: Stack, owner: Owner, names: Sequence[str], report: Report, *, ending: bool = False) -> list[Machine]:
    """The same, after everything that an interrupted run may have rented or ended was found out and entered.

    ending: the host is to go, so a machine that the ledger knows and the listing does not show is ended by its id too.
    """
    machines = listed(owner, names, stack)
    for rental in _noted(stack, owner, names, report):
        machines = _awaited(stack, owner, names, rental, machines, report, ending=ending)
        here = next((m for m in machines if entries.belongs(rental, m)), None)
        if here and rental.state == "ending" and not ending:
            report(f"{owner.host}: going on to end {here.label} ({here.provider} {here.id}): {rental.reason}")
            remove(stack, here, rental.reason, report)
            machines = [machine for machine in machines if machine.id != here.id]
        elif here and rental.state in ("intended", "rented"):
            entries.enter(stack, rental.id, "listed", report, machine=here.id)
        elif here is None:
            _missing(stack, owner, rental, report, ending=ending)
    kept = []
    for machine in machines:
        if providers.provider(machine.provider).rents and entries.rental_of(stack, machine) is None:
            if entries.ended_from_here(stack, machine):  # a listing that lags shows it once more
                remove(stack, machine, "ended before", report)
                continue
            entries.adopted(stack, machine, report)
        kept.append(machine)
    return kept


def _missing(stack: Stack, owner: Owner, rental: Rental, report: Report, *, ending: bool) -> None:
    """Enter what became of a rental that no listing shows any more, or ever did. Raises ConfigError under another account's key."""
    entries.accounts_match(rental)
    records.supersede(stack, owner.host, rental.generation)
    if rental.machine and (ending or rental.state in ("rented", "ending")):
        if rental.state != "ending":
            entries.enter(stack, rental.id, "ending", report, reason="not listed, and not wanted any more")
        by_id = Machine(rental.machine, owner, rental.generation, "", running=False, provider=rental.provider)
        providers.provider(rental.provider).end(stack, by_id)
        entries.enter(stack, rental.id, "ended", report)
    elif rental.machine:
        entries.enter(stack, rental.id, "gone", report, reason="the vendor's listing no longer shows it")
    else:
        entries.enter(stack, rental.id, "absent", report)


def find(
    stack: Stack, rental: str, machine_of: tuple[str, Owner, int], report: Report, *, answered: bool
) -> Machine | None:
    """Look for the machine of a rental that was intended just now, until the listing must show it; None where it does not.

    A look says that it is not there where it was begun after that, however long this computer took or slept meanwhile.
    answered: the vendor answered the call, whatever it said, so it does not work on it any more.
    """
    provider, owner, generation = machine_of
    delay = providers.renter(provider).listing_delay + (0 if answered else WORK_SECONDS)
    deadline, looks = clock.monotonic() + delay, 0
    while True:
        looks, begun = looks + 1, clock.monotonic()
        try:
            shown = listed(owner, [provider], stack)
        except ConfigError:
            raise
        except RigError as error:  # a look that failed says nothing; the machine may be there
            if begun > deadline + RENTED_END_SECONDS:
                raise
            report(f"{owner.host}: {error}")
            shown, looks = [], looks - 1
        for machine in shown:
            if machine.generation == generation:
                entries.enter(stack, rental, "listed", report, machine=machine.id)
                return machine
        if begun >= deadline and looks >= LOOKS:
            return None
        clock.sleep(LOOK_SECONDS)


def remove(stack: Stack, machine: Machine, why: str, report: Report) -> None:
    """End one machine: done when the call was understood and the listing no longer shows it. Raises RigError where it does."""
    provider = providers.provider(machine.provider)
    rental = entries.rental_of(stack, machine) if provider.rents else None
    if rental:
        entries.enter(stack, rental.id, "ending", report, reason=why)
    patience = RENTED_END_SECONDS if provider.rents else END_SECONDS
    deadline, pause, told = clock.monotonic() + patience, 0.5, ""
    while True:
        problem, begun = "", clock.monotonic()
        try:
            provider.end(stack, machine)
            if all(found.id != machine.id for found in provider.machines(stack, machine.owner)):
                break
            problem = f"{machine.id} is still listed"
        except ConfigError:  # a key that is wrong now
            raise
        except RigError as error:
            problem = str(error)
        if begun > deadline:
            raise RigError(f"{machine.owner.host}: {problem} after {patience:.0f} s; run this again.")
        if provider.rents and problem != told:
            report(f"{machine.owner.host}: not ended yet: {problem}")
            told = problem
        clock.sleep(pause)
        pause = min(LOOK_SECONDS, pause * 1.5)
    if rental:
        entries.enter(stack, rental.id, "ended", report)
    records.supersede(stack, machine.owner.host, machine.generation)


def gone(stack: Stack, host: Host) -> str:
    """Enter that a recorded machine is no longer listed. Returns why, where its vendor can tell; empty where it does not rent."""
    provider = providers.provider(host.provider)
    if not provider.rents:
        return ""
    rentals = [r for r in Ledger(stack.home).of_host(host.project, host.stack, host.name) if r.machine == host.id]
    for rental in rentals:
        entries.accounts_match(rental)
    why = providers.renter(host.provider).why_gone(host.id)
    for rental in rentals:
        Ledger(stack.home).note(rental.id, "gone", reason=why)
    return why


def _noted(stack: Stack, owner: Owner, names: Sequence[str], report: Report) -> list[Rental]:
    try:
        rentals = Ledger(stack.home).of_host(owner.project, owner.stack, owner.host)
    except RigError as error:
        report(f"Warning: {error}")
        return []
    return [rental for rental in rentals if rental.provider in names]


def _awaited(
    stack: Stack,
    owner: Owner,
    names: Sequence[str],
    rental: Rental,
    machines: list[Machine],
    report: Report,
    *,
    ending: bool,
) -> list[Machine]:
    """The listing, once it shows this rental or must have shown it; one gap in a listing says nothing.

    ending: what the vendor's own id can end need not be looked for.
    """
    never_seen = rental.state in ("intended", "rented")
    delay = providers.renter(rental.provider).listing_delay
    if never_seen:
        until = rental.since + timedelta(seconds=WORK_SECONDS + delay)
        what = f"an interrupted run may have rented {rental.label}; looking for it"
    else:
        until = clock.now() + timedelta(seconds=0 if ending or rental.state == "ending" else delay)
        what = f"{rental.provider} does not list {rental.machine} just now; looking for it"
    looks, told, begun = 1, False, clock.now()
    while not any(entries.belongs(rental, machine) for machine in machines):
        left = (until - begun).total_seconds()
        if left <= 0 and looks >= LOOKS:
            break
        if left > 0 and not told:
            report(f"{owner.host}: {what} for {left:.0f} s")
            told = True
        clock.sleep(min(LOOK_SECONDS, max(left + 0.1, 1.0)))
        begun = clock.now()
        machines = listed(owner, names, stack)
        looks += 1
    return machines
