"""Ending one thing that no stack has, and nothing else: no other machine is looked at, taken over or entered."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from gpurig import access, clock, entries, gate, providers, records, runs, settle
from gpurig.errors import ConfigError, ResultsAtRiskError, RigError
from gpurig.gate import DISCARD, SAFE
from gpurig.ledger import Ledger, Rental
from gpurig.providers import Machine, Report
from gpurig.reap import Left, is_recorded, stack_of
from gpurig.stack import Stack, held


def end(home: Path, one: Left, *, report: Report) -> None:
    """End it for good, and enter that; looks once more whether a stack has it, or somebody works on it.

    Raises RigError where its end is not confirmed, or it holds results, ConfigError where it must be left alone.
    """
    stack, host = stack_of(home, one.owner), one.owner.host
    with records.host_lock(stack, host, wait=False):
        if held(stack.dir / "locks" / "engine"):
            raise ConfigError(f"{one.label}: another `rig` works on stack {stack.name} now; wait for it.")
        recorded = records.get(stack, host)
        rental = _entry(home, one)
        own = is_recorded(recorded, one)
        if own and not (rental and rental.state == "ending"):
            raise ConfigError(f"{one.label}: stack {one.owner.stack} has it now; `rig down {host}` ends it.")
        machine = _listed(stack, one, rental, other="" if own or recorded is None else recorded.id)
        if machine:
            if own:
                gate.check(stack, host, running=machine.running)
            elif recorded is None:
                _guard(stack, machine)
            report(f"{host}: ending {machine.label} ({machine.provider} {machine.id})")
            settle.remove(stack, machine, rental.reason or "reaped" if rental else "reaped", report)
        elif rental:
            _not_there(stack, one, rental, report)
        if own:
            access.hang_up(stack, host)
        if own or recorded is None:
            _forget(stack, one, whole=own)


def _entry(home: Path, one: Left) -> Rental | None:
    """Its entry in the ledger as it is now; None where it was closed meanwhile."""
    if one.rental is None:
        return None
    return next((rental for rental in Ledger(home).open_rentals() if rental.id == one.rental.id), None)


def _listed(stack: Stack, one: Left, rental: Rental | None, *, other: str) -> Machine | None:
    """The machine as its vendor lists it now; None once the listing must show it and does not. other: never this one."""
    never_seen = rental is not None and rental.state in ("intended", "rented")
    delay = settle.WORK_SECONDS + providers.renter(one.provider).listing_delay if never_seen else 0
    until = (rental.since if rental else clock.now()) + timedelta(seconds=delay)
    looks = 0
    while True:
        for machine in settle.listed(one.owner, [one.provider], stack):
            if machine.id != other and (machine.id == one.id if one.id else machine.generation == one.generation):
                return machine
        looks += 1
        left = (until - clock.now()).total_seconds()
        if left <= 0 and looks >= settle.LOOKS:
            return None
        clock.sleep(min(settle.LOOK_SECONDS, max(left + 0.1, 1.0)))


def _not_there(stack: Stack, one: Left, rental: Rental, report: Report) -> None:
    """Enter what became of a rental that no listing shows; where its id is known, it is ended by that as well.

    Raises ConfigError under another account's key.
    """
    entries.accounts_match(rental)
    records.supersede(stack, one.owner.host, one.generation)
    if rental.machine:
        by_id = Machine(rental.machine, one.owner, one.generation, "", running=False, provider=one.provider)
        providers.provider(one.provider).end(stack, by_id)
    if rental.state == "ending":
        entries.enter(stack, rental.id, "ended", report)
    elif rental.machine:
        entries.enter(stack, rental.id, "gone", report, reason="the vendor's listing no longer shows it")
    else:
        entries.enter(stack, rental.id, "absent", report)


def _forget(stack: Stack, one: Left, *, whole: bool) -> None:
    """Drop the record, and the note of an interrupted run where nothing is left of it."""
    host = one.owner.host
    noted = records.intents(stack).get(host, ())
    if not whole and not noted:
        return
    try:
        entered = Ledger(stack.home).of_host(stack.project, stack.name, host)
    except RigError:  # it cannot tell what else there is, so the note stays
        return
    others = set(noted) - {one.provider} | {rental.provider for rental in entered}
    if not others and settle.listed(one.owner, [one.provider], stack):
        others = {one.provider}
    if whole or not others:
        records.remove(stack, host)
    if whole and others:
        records.intend(stack, host, sorted(others))


def _guard(stack: Stack, machine: Machine) -> None:
    """Raise ResultsAtRiskError where runs of this very machine are noted whose results are not here."""
    host = machine.owner.host
    of_it = [run for run in runs.of_host(stack, host) if run.label == machine.label]
    at_risk = [run.id for run in of_it if run.results not in SAFE]
    if at_risk and host not in os.environ.get(DISCARD, "").split(","):
        raise ResultsAtRiskError(
            f"{machine.label}: not ended, since the results of {', '.join(at_risk)} were not brought back and verified. "
            f"`rig up` in its project takes it over again, then `rig results {host}` brings them; or give them up with "
            "`rig reap --discard`."
        )
