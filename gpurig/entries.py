"""A machine and its entry in the ledger: which belongs to which, and what is entered of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal

from gpurig import providers
from gpurig.errors import ConfigError, RigError
from gpurig.ledger import Kind, Ledger, Rental
from gpurig.providers import Machine, Report
from gpurig.stack import Stack

SAME_ACCOUNT = "GPURIG_SAME_ACCOUNT"
"""Environment variable with the vendors, by comma, whose key was changed for another one of the same account."""


def rental_of(stack: Stack, machine: Machine) -> Rental | None:
    """The open entry of a machine; None where the ledger has none, or cannot be read."""
    try:
        rentals = Ledger(stack.home).open_rentals(label=machine.label)
    except RigError:
        return None
    return next((rental for rental in rentals if belongs(rental, machine)), None)


def ended_from_here(stack: Stack, machine: Machine) -> bool:
    """Whether the ledger says that its vendor was told from here to end this very machine."""
    try:
        rentals = Ledger(stack.home).rentals()
    except RigError:
        return False
    return "ending" in _kinds(rentals, machine)


def belongs(rental: Rental, machine: Machine) -> bool:
    same = rental.provider == machine.provider and rental.label == machine.label
    return same and rental.machine in ("", machine.id)


def expendable(stack: Stack, machine: Machine, *, by_program: bool) -> bool:
    """Whether nobody can miss this machine: the ledger says that it was rented from here, and never accepted.

    by_program: Pulumi's program makes such machines, whose state is shared, so that they need not be entered here.
    """
    try:
        rentals = [rental for rental in Ledger(stack.home).rentals() if rental.provider == machine.provider]
    except RigError:
        return False
    ours = by_program or any(r.label == machine.label and r.times[0][1] == "intended" for r in rentals)
    return ours and "accepted" not in _kinds(rentals, machine)


def _kinds(rentals: Iterable[Rental], machine: Machine) -> set[str]:
    """All that was ever entered of this very machine."""
    same = [rental for rental in rentals if (rental.provider, rental.machine) == (machine.provider, machine.id)]
    return {kind for rental in same for _, kind in rental.times}


def enter(stack: Stack, rental: str, kind: Kind, report: Report, **data: str) -> None:
    """Enter what was found out. Where the ledger cannot be written, the rental stays open there, and that is told."""
    try:
        Ledger(stack.home).note(rental, kind, **data)
    except RigError as error:
        report(f"Warning: {error}")


def adopted(stack: Stack, machine: Machine, report: Report) -> None:
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


def accounts_match(rental: Rental) -> None:
    """Raise ConfigError where the key now is another than the one that rented: its listing can say nothing of this machine."""
    rented_with = rental.offer.get("account")
    if not rented_with or rental.provider in os.environ.get(SAME_ACCOUNT, "").split(","):
        return
    if rented_with != providers.account(rental.provider):
        raise ConfigError(
            f"{rental.host}: {rental.provider} {rental.machine or rental.label} was rented with another key than the one that is "
            "set now, and this one's listing does not show it, so it may still bill. Set the key that rented it; if both are "
            f"of one account, {SAME_ACCOUNT}={rental.provider}."
        )
